"""Recomputation in blocks of time: the same values and gradients, and memory that does not grow with the inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from recurra import laws
from recurra.cells import CELLS, Cell, ElmanState
from recurra.engines.native import why_absent
from recurra.errors import SettingsError
from recurra.nn import Noise, Recurrent
from recurra.nn.checkpointing import saved_bytes
from recurra.state import State, leaves, map_state

NATIVE = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
STEPS = 11
LAYERS: dict[str, dict[str, Any]] = {
    "loop": {"cell": "lstm", "engine": "loop"},
    "fused": {"cell": "lstm", "engine": "fused", "num_layers": 2, "learned_state": True},
    "fused gru": {"cell": "gru", "engine": "fused", "bidirectional": True},
    "scan": {"cell": "mingru", "engine": "scan", "zoneout": 0.4},
    "attention": {"cell": "transformer", "engine": "attention", "attention_window": 3, "num_layers": 2},
    "mixed": {"cell": "lstm,transformer", "bidirectional": True},
    "everything": {
        "cell": "gru",
        "num_layers": 3,
        "bidirectional": True,
        "residual": True,
        "dropout": 0.3,
        "recurrent_dropout": 0.4,
        "weight_dropout": 0.4,
        "zoneout": 0.3,
        "learned_state": True,
    },
    "dilated": {"cell": "lstm", "dilation": 3, "learned_state": True, "weight_dropout": 0.4},
    "projected": {"cell": "lstm_projection", "variational": True, "dropout": 0.3, "num_layers": 2},
}
LAYERS |= {f"native {cell}": {"cell": cell, "engine": "native"} for cell in ("rnn", "indrnn", "lstm_layernorm")}
LAYERS |= {
    f"native {cell}": {"cell": cell, "engine": "native", "bidirectional": True, "num_layers": 2}
    for cell in ("gru", "lstm", "mingru")
}


def make(name: str, dtype: torch.dtype = torch.float64) -> Recurrent:
    torch.manual_seed(0)
    size = 16 if "layernorm" in name or "transformer" in LAYERS[name]["cell"] else 4
    return Recurrent(**LAYERS[name], input_size=3, hidden_size=size, dtype=dtype)


def found(
    layer: Recurrent,
    recompute: int,
    x: Tensor,
    noise: Noise,
    state: State | None = None,
    **given: Any,
) -> tuple[Any, ...]:
    """Outputs and end, and every gradient of a loss over both: of x, of the given state and of the weights."""
    layer.recompute = recompute
    x = x.clone().requires_grad_()
    begin = layer.initial_state(x.shape[0]) if state is None else map_state(Tensor.clone, state)
    moving = [leaf.requires_grad_() for _, leaf in leaves(begin) if leaf.is_floating_point()] if state else []
    outputs, end = layer(x, None if state is None else begin, noise=noise, **given)
    numbers = [leaf for _, leaf in leaves(end) if leaf.is_floating_point()]
    loss = x.sum() + sum((n * one).cos().sum() for n, one in enumerate([outputs, *numbers], 1))
    gradients = torch.autograd.grad(loss, [x, *moving, *layer.parameters()], allow_unused=True)
    return outputs, end, list(gradients)


def drawn(layer: Recurrent, rows: int) -> tuple[Tensor, Tensor, Tensor, Noise]:
    """x with NaN on the padding, lengths, resets, and noise."""
    generator = torch.Generator().manual_seed(1)
    dtype = next(layer.parameters()).dtype
    x = torch.randn(rows, STEPS, 3, generator=generator, dtype=dtype)
    lengths = torch.tensor([STEPS, 0, 6, 9, 1, 4])[:rows]
    x[torch.arange(STEPS) >= lengths[:, None]] = torch.nan
    resets = torch.rand(rows, STEPS, generator=generator) < 0.2
    return x, lengths, resets, layer.noise(rows, generator, steps=STEPS)


@pytest.mark.parametrize("name", [pytest.param(n, marks=NATIVE) if "native" in n else n for n in LAYERS])
def test_blocks_change_no_value_and_no_gradient(name: str) -> None:
    layer = make(name)
    x, lengths, resets, noise = drawn(layer, 6)
    state = map_state(Tensor.detach, found(layer, 0, x, noise, lengths=lengths)[1])
    given: dict[str, Any]
    for blocks, given in (
        ((1, 4, STEPS + 1), {"lengths": lengths, "resets": resets, "state": state}),
        ((6,), {"lengths": lengths}),
        ((4,), {}),
    ):
        values = x if given else x.nan_to_num()
        plain = found(layer, 0, values, noise, **given)
        for block in blocks:
            laws_hold(found(layer, block, values, noise, **given), plain)


def laws_hold(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert laws.within(laws.difference(one, other), torch.float64)


@pytest.mark.parametrize("name", ["everything", "fused", "dilated", "attention"])
@pytest.mark.parametrize(("rows", "steps"), [(0, 5), (0, 0), (2, 0), (2, 1), (1, 5)])
def test_small_and_empty_batches_run_as_ever(name: str, rows: int, steps: int) -> None:
    layer = make(name)
    x, noise = torch.randn(rows, steps, 3, dtype=torch.float64), layer.noise(rows, steps=steps)
    laws_hold(found(layer, 1, x, noise), found(layer, 0, x, noise))
    lengths = torch.zeros(rows, dtype=torch.int64)
    laws_hold(found(layer, 1, x, noise, lengths=lengths), found(layer, 0, x, noise, lengths=lengths))


@NATIVE
def test_the_chain_of_the_native_engine_gives_the_same_bits_in_blocks() -> None:
    """Beside the chain there are torch's products, whose bits may hang on how many rows they have; with an input of one
    feature there is nothing to round.
    """
    layer = Recurrent("lstm", 1, 16, engine="native")
    x, noise = torch.randn(3, 40, 1), layer.silence()
    (whole, end, _), (cut, cut_end, _) = (found(layer, block, x, noise) for block in (0, 8))
    assert torch.equal(whole, cut) and laws.difference(end, cut_end) == 0.0


def test_a_training_step_draws_the_same_noise_with_and_without() -> None:
    layer = make("everything")
    x = torch.randn(4, STEPS, 3, dtype=torch.float64)
    gradients = []
    for block in (0, 3):
        torch.manual_seed(5)
        layer.zero_grad()
        layer.recompute = block
        layer(x)[0].square().sum().backward()
        gradients.append([p.grad for p in layer.parameters()])
    assert laws.within(laws.difference(*gradients), torch.float64)


class Forgetful(Cell):
    """A cell that draws at random in each step."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.inside = nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size: int) -> ElmanState:
        return ElmanState(self.inside.weight.new_zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: ElmanState) -> tuple[Tensor, ElmanState]:
        hidden = F.dropout(self.inside(torch.cat([x, state.hidden], -1)).tanh(), 0.5)
        return hidden, ElmanState(hidden)


def test_what_a_cell_draws_itself_is_drawn_the_same_the_second_time() -> None:
    layer = Recurrent(Forgetful, 3, 8, dtype=torch.float64)
    x = torch.randn(2, STEPS, 3, dtype=torch.float64)

    def gradients(block: int) -> tuple[Any, Tensor]:
        torch.manual_seed(5)
        result = found(layer, block, x, layer.silence())
        return result, torch.rand(3)

    (plain, after), (cut, cut_after) = gradients(0), gradients(4)
    laws_hold(cut, plain)
    assert torch.equal(after, cut_after)  # backward leaves the random numbers of the program alone


def test_without_gradients_nothing_is_cut() -> None:
    layer = make("loop", torch.float32)
    calls: list[int] = []
    cell: Any = layer.stack()[0][0].cell
    project = cell.project

    def counted(x: Tensor) -> Any:
        calls.append(x.shape[1])
        return project(x)

    cell.project = counted
    layer.recompute = 4
    with torch.no_grad():
        layer(torch.randn(2, STEPS, 3))
    assert calls == [STEPS]
    calls.clear()
    outputs, _ = layer(torch.randn(2, STEPS, 3))
    assert calls == [4, 4, 3]
    outputs.sum().backward()
    assert calls == [4, 4, 3, 3, 4, 4]


def test_under_autocast_the_second_time_is_as_the_first() -> None:
    layer = Recurrent("gru", 8, 8, num_layers=2, engine="loop")
    x, noise = torch.randn(2, STEPS, 8), layer.silence()
    with torch.autocast("cpu", torch.bfloat16):
        plain = found(layer, 0, x, noise)
        cut = found(layer, 4, x, noise)
    assert laws.difference(cut[0], plain[0]) < 0.02 and cut[1].layers[0].hidden.dtype == torch.float32
    layer.recompute = 4
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        outputs, end = layer(x)
    sum((n * one).cos().sum() for n, one in enumerate([outputs, *(leaf for _, leaf in leaves(end))], 1)).backward()
    outside = [parameter.grad for parameter in layer.parameters()]
    assert laws.difference(outside, cut[2][1:]) == 0.0  # backward was called in autocast before, and is outside it now


def test_long_sequences_keep_the_input_the_outputs_and_the_states_between() -> None:
    """T = 100,000; 8 units, 4 features, blocks of 1,000: 99 states, of an LSTM 16 numbers each."""
    steps, size, block = 100_000, 8, 1000
    layer = Recurrent("lstm", 4, size)
    x = torch.randn(1, steps, 4)

    def kept(recompute: int) -> int:
        layer.recompute = recompute
        return saved_bytes(lambda: layer(x), apart_from=layer.parameters())

    assert kept(block) == 4 * (steps * 4 + 2 * size + 99 * 2 * size)  # x, the initial state, those between
    assert kept(0) > 4 * steps * 5 * size


@pytest.mark.parametrize("engine", ["fused", pytest.param("native", marks=NATIVE), "loop"])
def test_the_peak_of_the_allocator_is_that_of_a_block(engine: Any) -> None:
    layer = Recurrent("lstm", 4, 32, engine=engine)
    steps, rows, block = 160, 4, 8
    x = torch.randn(rows, steps, 4)

    def peak(recompute: int) -> int:
        layer.zero_grad()
        layer.recompute = recompute
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
            layer(x)[0].sum().backward()
        now = highest = 0
        for event in measured.profiler.kineto_results.events():
            if event.name() == "[memory]":
                now += event.nbytes()
                highest = max(highest, now)
        return highest

    outputs, weights = 4 * rows * steps * 32, 4 * sum(one.numel() for one in layer.parameters())
    inside = 4 * rows * block * 32 * 30  # generous: 30 numbers a unit and step, of one block
    assert peak(block) < 2 * outputs + 3 * weights + inside + 2**16
    assert peak(0) > 7 * outputs


def test_gradients_reach_the_first_step_through_all_blocks() -> None:
    layer = Recurrent("lstm", 2, 4, initialization="chrono", chrono_length=500, dtype=torch.float64)
    x = torch.randn(1, 500, 2, dtype=torch.float64)

    def reach(recompute: int) -> Tensor:
        layer.recompute = recompute
        given = x.clone().requires_grad_()
        return torch.autograd.grad(layer(given)[1].layers[0].cell.sum(), given)[0][:, 0]

    torch.testing.assert_close(reach(7), reach(0), rtol=1e-8, atol=0)
    assert float(reach(7).abs().min()) > 0


def test_frozen_weights_and_a_plain_input_have_no_gradients() -> None:
    layer = Recurrent("lstm", 3, 4, num_layers=2, recompute=4)
    for parameter in layer.layers[0].parameters():
        parameter.requires_grad_(False)
    x = torch.randn(2, STEPS, 3)
    layer(x)[0].sum().backward()
    assert all((p.grad is None) == (not p.requires_grad) for p in layer.parameters())
    layer.requires_grad_(False)
    assert not layer(x)[0].requires_grad


def test_a_loss_of_the_last_state_alone_or_of_some_outputs_is_enough() -> None:
    layer = make("loop")
    x = torch.randn(2, STEPS, 3, dtype=torch.float64)

    def gradients(block: int, loss: Callable[[Tensor, State], Tensor]) -> list[Tensor]:
        layer.recompute = block
        return list(torch.autograd.grad(loss(*layer(x)), list(layer.parameters())))

    for loss in (
        lambda y, s: s.layers[0].cell.sin().sum(),
        lambda y, s: y[:, 2].sum(),
        lambda y, s: s.layers[0].hidden[:1].sum(),
    ):
        assert laws.within(laws.difference(gradients(4, loss), gradients(0, loss)), torch.float64)


def refused() -> dict[str, tuple[Callable[[], object], str]]:
    layer = Recurrent("lstm", 3, 4, recompute=2)
    x = torch.randn(1, 5, 3, requires_grad=True)
    parameters = dict(layer.named_parameters())

    def exchanged() -> None:
        others = {name: (2 * one.detach()).requires_grad_() for name, one in parameters.items()}
        torch.func.functional_call(layer, others, (x,))[0].sum().backward()

    def changed() -> None:
        outputs, _ = layer(x)
        with torch.no_grad():
            next(layer.parameters()).add_(1.0)
        outputs.sum().backward()

    return {
        "below 0": (lambda: Recurrent("lstm", 3, 4, recompute=-1), r"recompute: -1 is below 0"),
        "both ways": (
            lambda: Recurrent("transformer", 4, 4, bidirectional=True, recompute=8),
            r"recompute: a Transformer layer in both directions attends to all steps at once",
        ),
        "second derivatives": (
            lambda: torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True),
            r"recompute gives first derivatives only",
        ),
        "torch.func": (
            lambda: torch.func.grad(lambda given: layer(given)[0].sum())(x.detach()),
            r"recompute: inside torch\.compile and torch\.func",
        ),
        "exchanged": (exchanged, r"the weights are no longer those of the forward pass"),
        "changed": (changed, r"modified by an inplace operation"),
    }


@pytest.mark.parametrize("case", refused())
def test_what_would_be_wrong_is_refused_in_a_sentence(case: str) -> None:
    act, words = refused()[case]
    with pytest.raises(RuntimeError if case == "changed" else SettingsError, match=words):
        act()


def test_every_cell_runs_in_blocks() -> None:
    for name in CELLS:
        layer = Recurrent(name, 3, 16, dtype=torch.float64)
        x, lengths, _, _ = drawn(layer, 4)
        laws_hold(*(found(layer, block, x, layer.silence(), lengths=lengths) for block in (4, 0)))
