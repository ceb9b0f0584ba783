"""Single steps with the state in the caller's hands, by the native kernels, against the cells' own steps."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.engines.native import why_absent
from recurra.nn import Recurrent, quick_steps
from recurra.nn.quick_steps import STEPPED, QuickMoves, open_moves
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.state import State, leaves

pytestmark = pytest.mark.skipif(why_absent() is not None, reason="no native library")

LAYERS: dict[str, Any] = {
    "rnn": lambda: Recurrent("rnn", 3, 5),
    "gru, residual": lambda: Recurrent("gru", 3, 7, 3, residual=True),
    "lstm, learned": lambda: Recurrent("lstm", 3, 20, 2, learned_state=True, dtype=torch.float64),
    "dilated": lambda: Recurrent("gru", 3, 4, 2, dilation=[1, 3]),
    "one number": lambda: Recurrent("lstm", 1, 1),
}


def without_kernels(layer: Recurrent, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """Step by step with gradients on, where the native kernels are not asked."""
    steps, outputs = RecurrentSteps(layer), []
    with torch.enable_grad():
        for x in inputs:
            y, state = steps.step(x, state)
            outputs.append(y)
    assert steps._moves is None
    return torch.stack(outputs).detach(), state


def with_kernels(steps: RecurrentSteps, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = []
    with torch.no_grad():
        for x in inputs:
            y, state = steps.step(x, state)
            outputs.append(y)
    return torch.stack(outputs), state


def assert_same(found: tuple[Tensor, State], expected: tuple[Tensor, State]) -> None:
    torch.testing.assert_close(found[0], expected[0])
    for (name, one), (_, other) in zip(leaves(found[1]), leaves(expected[1]), strict=True):
        torch.testing.assert_close(one, other, msg=name)


@pytest.mark.parametrize("rows", [1, 2, 17, STEPPED])
@pytest.mark.parametrize("name", LAYERS)
def test_a_step_is_the_cells_own(name: str, rows: int) -> None:
    layer = LAYERS[name]().eval()
    weight = next(layer.parameters())
    inputs, state = torch.randn(6, rows, layer.input_size, dtype=weight.dtype), layer.initial_state(rows)
    steps = RecurrentSteps(layer)
    assert_same(with_kernels(steps, inputs, state), without_kernels(layer, inputs, state))
    assert isinstance(steps._moves, QuickMoves)


def test_the_given_state_stays_as_it_was_and_what_comes_out_is_never_written_again() -> None:
    layer = Recurrent("lstm", 3, 5, 2).eval()
    steps, x, begin = RecurrentSteps(layer), torch.randn(4, 3), layer.initial_state(4)
    with torch.no_grad():
        y, state = steps.step(x, begin)
        kept = [y.clone(), *(leaf.clone() for _, leaf in leaves(state))]
        for _ in range(300):
            steps.step(torch.randn(4, 3), state)
    for one, other in zip([y, *(leaf for _, leaf in leaves(state))], kept, strict=True):
        assert torch.equal(one, other)
    assert all(not leaf.any() for _, leaf in leaves(begin))


def test_strided_and_negative_inputs_are_read_as_they_are() -> None:
    layer = Recurrent("gru", 3, 5).eval()
    steps, state = RecurrentSteps(layer), layer.initial_state(4)
    whole = torch.randn(4, 6)
    negative = torch.complex(whole[:, :3], whole[:, 3:]).conj().imag
    for x in (whole[:, ::2], whole[:, :3].flip(0), whole.t().contiguous().t()[:, 1:4], negative):
        assert_same(with_kernels(steps, x[None], state), without_kernels(layer, x[None].clone(), state))


def test_other_weights_are_seen_at_the_next_step() -> None:
    layer, x = Recurrent("gru", 3, 5).eval(), torch.randn(1, 2, 3)
    steps, state = RecurrentSteps(layer), layer.initial_state(2)
    with_kernels(steps, x, state)
    with torch.no_grad():
        layer.layers[0][0].cell.weight_hh.mul_(-2)
        layer.layers[0][0].cell.bias_ih.add_(1)
    assert_same(with_kernels(steps, x, state), without_kernels(layer, x, state))


@pytest.mark.parametrize("rows", [0, STEPPED + 1])
def test_none_and_many_rows_go_another_way(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Recurrent("gru", 3, 5).eval()
    inputs, state = torch.randn(2, rows, 3), layer.initial_state(rows)
    monkeypatch.setattr(quick_steps.QuickMoves, "step", lambda *_: pytest.fail("the kernels were asked"))
    assert_same(with_kernels(RecurrentSteps(layer), inputs, state), without_kernels(layer, inputs, state))


@pytest.mark.parametrize("engine", ["loop", "fused"])
def test_another_engine_that_is_asked_for_by_name_steps(engine: Any) -> None:
    steps = RecurrentSteps(Recurrent("gru", 3, 5, engine=engine).eval())
    with_kernels(steps, torch.randn(1, 2, 3), steps.initial_state(2))
    assert steps._moves is None


def test_threads_share_one() -> None:
    layer = Recurrent("lstm", 8, 33, 2).eval()
    moves = open_moves(RecurrentSteps(layer).native())
    assert moves is not None
    inputs = torch.randn(8, 50, 3, 8)

    def run(part: Tensor) -> tuple[Tensor, State]:
        state: State = layer.initial_state(3)
        outputs = []
        for x in part:
            y, state = moves.step(x, state)
            outputs.append(y)
        return torch.stack(outputs), state

    with torch.no_grad():
        expected = [run(part) for part in inputs]
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(run, inputs))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one[0], other[0])


def test_copies_and_pickles_step_alike() -> None:
    layer = Recurrent("gru", 3, 5).eval()
    steps, x, state = RecurrentSteps(layer), torch.randn(1, 2, 3), layer.initial_state(2)
    expected = with_kernels(steps, x, state)
    for twin in (copy.deepcopy(steps), pickle.loads(pickle.dumps(steps))):  # noqa: S301 - made a line above
        assert_same(with_kernels(twin, x, state), expected)
