"""The native kernels of the cells beside GRU and LSTM, against the loop: outputs, ends and gradients."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from recurra import laws
from recurra.cells import CELLS, LinearCell, LinearState, MinGRUCell
from recurra.engines import run, select_engine
from recurra.engines.native import native
from recurra.engines.native.arrangement import arrange
from recurra.engines.native.kernels import kernel_of
from recurra.engines.native.library import Library
from recurra.errors import SettingsError, ShapeError
from recurra.nn import Recurrent
from recurra.state import map_state
from tests.engines.chains import along

KINDS = (
    "rnn", "rnn_relu", "indrnn", "lstm_peephole", "lstm_layernorm", "gru_layernorm", "lstm_projection", "mingru",
    "minlstm",
)  # fmt: skip
DTYPES = (torch.float64, torch.float32)
SHAPES = [(1, 1, 5), (7, 3, 1), (7, 3, 5), (17, 1, 5), (33, 3, 5), (17, 3, 64)]  # hidden, batch, steps


def drawn(kind: str, hidden: int, dtype: torch.dtype = torch.float64, **options: object) -> Recurrent:
    torch.manual_seed(hidden)
    layer = Recurrent(kind, 3, hidden, dtype=dtype, engine="native", **options)
    with torch.no_grad():
        for parameter in layer.parameters():  # gains of 1 and biases of 0 would hide what is left out
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) / 2)
    return layer


def sizes_of(kind: str) -> list[tuple[int, int, int]]:
    return [(max(hidden, 2) if "layernorm" in kind else hidden, rows, steps) for hidden, rows, steps in SHAPES]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_shape_equals_the_loop(level: str, kind: str, dtype: torch.dtype) -> None:
    for hidden, rows, steps in sizes_of(kind):
        if dtype == torch.float32 and (hidden == 2 or steps == 64):  # normalised, these lose digits in the loop too
            continue
        layer = drawn(kind, hidden, dtype)
        state = map_state(torch.randn_like, layer.initial_state(rows))
        x, lengths = torch.randn(rows, steps, 3, dtype=dtype), torch.randint(0, steps + 1, (rows,))
        for valid in (lengths, None) if steps == 5 else (lengths,):
            far = laws.engines_agree(layer, x, valid, state, engine="native")
            assert laws.within(far, dtype), (level, hidden, rows, steps, valid, far)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(library: Library, kind: str) -> None:
    cell = drawn(kind, 3).layers[0][0].cell
    state = map_state(lambda leaf: torch.randn_like(leaf).requires_grad_(), cell.initial_state(2))
    x, lengths = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True), torch.tensor([2, 3])
    names, weights = zip(*cell.named_parameters(), strict=True)

    def outputs_and_ends(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        leaves, values = rest[: len(state)], rest[len(state) :]

        class Bare(torch.nn.Module):
            def forward(self) -> tuple[Tensor, ...]:
                outputs, ends = native(cell, x, type(state)(*leaves), lengths)
                return outputs, *ends

        bare = Bare()
        bare.cell = cell
        given = {f"cell.{name}": value for name, value in zip(names, values, strict=True)}
        found: tuple[Tensor, ...] = torch.func.functional_call(bare, given, ())
        return found

    assert torch.autograd.gradcheck(outputs_and_ends, (x, *state, *weights))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_not_read_and_rows_of_length_0_keep_their_state(library: Library, kind: str) -> None:
    cell = drawn(kind, 7).layers[0][0].cell
    state = map_state(torch.randn_like, cell.initial_state(4))
    lengths = torch.tensor([2, 5, 0, 3])
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    dirty = x.clone()
    for row, length in enumerate(lengths):
        dirty[row, length:] = float("nan")
    dirty.requires_grad_()
    outputs, ends = native(cell, dirty, state, lengths)
    plain, plain_ends = run(cell, x, state, engine="loop", lengths=lengths)
    torch.testing.assert_close(outputs, plain, rtol=1e-12, atol=1e-12)
    for end, plain_end, begin in zip(ends, plain_ends, state, strict=True):
        torch.testing.assert_close(end, plain_end, rtol=1e-12, atol=1e-12)
        assert torch.equal(end[2], begin[2])
    outputs.sum().backward()
    assert dirty.grad is not None and not dirty.grad.isnan().any() and not dirty.grad[2].any()
    assert all(not weight.grad.isnan().any() for weight in cell.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_nothing_is_kept_and_the_numbers_are_the_same(library: Library, kind: str) -> None:
    cell = drawn(kind, 17).layers[0][0].cell
    state, x = cell.initial_state(4), torch.randn(4, 9, 3, dtype=torch.float64)
    for lengths in (None, torch.tensor([9, 1, 0, 4])):
        kept = native(cell, x, state, lengths)
        with torch.no_grad():
            bare = native(cell, x, state, lengths)
        assert torch.equal(kept[0], bare[0])
        assert all(torch.equal(*pair) for pair in zip(kept[1], bare[1], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_the_input_reaches_its_row_from_there_on(level: str, kind: str) -> None:
    layer = drawn(kind, 3)
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    x[0, 1] = float("nan")
    outputs, _ = layer(x)
    assert outputs[0, 1:].isnan().all() and not outputs[0, 0].isnan().any() and not outputs[1].isnan().any()


@pytest.mark.parametrize("kind", KINDS)
def test_empty_batches_strides_and_frozen_weights(library: Library, kind: str) -> None:
    layer = drawn(kind, 4, bidirectional=True)
    for rows, steps in ((0, 4), (3, 0)):
        begin = map_state(torch.randn_like, layer.initial_state(rows))
        assert layer(torch.randn(rows, steps, 3, dtype=torch.float64), begin)[0].shape[:2] == (rows, steps)
    x = torch.randn(5, 3, 6, dtype=torch.float64)
    assert torch.equal(layer(x.transpose(1, 2).contiguous())[0], layer(x.transpose(1, 2))[0])
    gradients = []
    for one in (copy.deepcopy(layer).requires_grad_(False), layer):
        given = x.transpose(1, 2).clone().requires_grad_()
        one(given)[0].sum().backward()
        gradients.append(given.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_no_bit(library: Library, three_threads: None, kind: str) -> None:
    alone = kind in ("indrnn", "mingru", "minlstm")  # little work a step: more of it, or one thread does all
    hidden, rows, steps = (300, 60, 128) if alone else (130, 10, 16)
    cell = drawn(kind, hidden, torch.float32).layers[0][0].cell
    kernel = kernel_of(cell)
    assert kernel is not None
    arranged = arrange(torch.randint(steps // 2, steps + 1, (rows,)), rows, steps)
    with torch.no_grad():
        inputs = kernel.project(cell, arranged.packed(torch.randn(rows, steps, 3)))
        weights = kernel.weights(cell)
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        leaves = [inputs.clone(), *map_state(torch.ones_like, cell.initial_state(rows))]
        for leaf in leaves:
            leaf.requires_grad_()
        outputs = along(kernel, arranged, steps, leaves[0], leaves[1:], weights)
        gradients = torch.autograd.grad(sum(one.square().sum() for one in outputs), leaves)
        found.append([*outputs, *gradients])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


class Leaky(LinearCell):
    """h' = −h / 2 + x, by its coefficients."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.weight = torch.nn.Parameter(torch.full((2,), -0.5, dtype=torch.float64))

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.weight.expand_as(x), x


def test_a_linear_cell_of_ones_own_runs_by_hand(library: Library) -> None:
    cell, x = Leaky(), torch.ones(1, 3, 2, dtype=torch.float64)
    state = LinearState(torch.tensor([[4.0, -4.0]], dtype=torch.float64, requires_grad=True))
    outputs, end = native(cell, x, state)
    assert outputs[0].tolist() == [[-1.0, 3.0], [1.5, -0.5], [0.25, 1.25]]
    end.hidden.sum().backward()
    assert state.hidden.grad is not None and state.hidden.grad.tolist() == [[-0.125, -0.125]]
    assert cell.weight.grad is not None  # h₃ = a³·h + a² + a + 1, so 3·a²·h + 2·a + 1
    assert cell.weight.grad.tolist() == [0.75 * 4 - 1 + 1, 0.75 * -4 - 1 + 1]


def test_a_subclass_and_a_step_of_ones_own_are_not_taken_for_the_cell(library: Library) -> None:
    class Other(MinGRUCell):
        def step(self, x: Tensor, state: LinearState) -> tuple[Tensor, LinearState]:
            return super().step(x, state)

    for cell in (Other(2, 2), type("Own", (type(CELLS["indrnn"](2, 2)),), {})(2, 2)):
        with pytest.raises(SettingsError, match=r"there is no native kernel for (Other|Own)"):
            select_engine("native", cell)
        with pytest.raises(
            SettingsError, match=r"native: there is no native kernel for (Other|Own); give engine 'loop'"
        ):
            native(cell, torch.randn(1, 1, 2), cell.initial_state(1))


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused(library: Library, kind: str) -> None:
    cell = CELLS[kind](3, 4)
    name, x, state = type(cell).__name__, torch.randn(2, 5, 3), cell.initial_state(2)
    with pytest.raises(ShapeError, match=rf"native {name}: hidden has shape \[3, \d\], expected \[2, \d\]"):
        native(cell, x, cell.initial_state(3))
    with pytest.raises(ShapeError, match=f"native {name}: the state is a GRUCell, expected"):
        native(cell, x, CELLS["gru"](3, 4))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=f"native {name}: lengths go from 1 to 6, expected 0 to 5"):
        native(cell, x, state, torch.tensor([6, 1]))
    with pytest.raises(ShapeError, match=f"native {name}: hidden is torch.float64"):
        native(cell, x, map_state(torch.Tensor.double, state))
    kernel = kernel_of(cell)
    assert kernel is not None
    arranged = arrange(None, 2, 5)
    with pytest.raises(ShapeError, match="the projected input has shape"):
        along(kernel, arranged, 5, torch.randn(10, 1), state, kernel.weights(cell))
    with pytest.raises(SettingsError, match="gives first derivatives only, and a second one is asked for"):
        given = x.clone().requires_grad_()
        torch.autograd.grad(native(cell, given, state)[0].sum(), given, create_graph=True)


@pytest.mark.parametrize("kind", ("gru", "lstm", *KINDS))
def test_backward_can_come_twice_and_leaves_what_was_kept_as_it_was(library: Library, kind: str) -> None:
    layer, x = drawn(kind, 5), torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    outputs = layer(x, lengths=torch.tensor([4, 1, 3]))[0].square().sum()
    given = (x, *layer.parameters())
    first = torch.autograd.grad(outputs, given, retain_graph=True)
    second = torch.autograd.grad(outputs, given, retain_graph=True)
    last = torch.autograd.grad(outputs, given)  # this one may write over it
    for one, other, third in zip(first, second, last, strict=True):
        assert torch.equal(one, other) and torch.equal(one, third)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(outputs, given)


@pytest.mark.parametrize("kind", ("gru", "lstm", *KINDS))
def test_outputs_may_be_written_to_and_backward_says_so(library: Library, kind: str) -> None:
    layer, x = drawn(kind, 5), torch.randn(3, 4, 3, dtype=torch.float64)
    outputs, _ = layer(x)
    loss = outputs.sum()
    outputs.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
