"""The scan: a recurrence that is linear in its state, beside the loop over its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recurra import laws
from recurra.cells import CELLS, LinearCell, MinGRUCell, MinLSTMCell
from recurra.engines import linear_scan, select_engine, unroll
from recurra.engines.scan import scan
from recurra.errors import SettingsError
from recurra.nn import Recurrent

LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 100)


def naive(a: Tensor, b: Tensor, begin: Tensor) -> Tensor:
    """The recurrence as it is written."""
    outputs, hidden = [], begin
    for t in range(a.shape[1]):
        hidden = a[:, t] * hidden + b[:, t]
        outputs.append(hidden)
    return torch.stack(outputs, 1)


def drawn(steps: int, dtype: torch.dtype = torch.float64, kind: str = "any") -> tuple[Tensor, Tensor, Tensor]:
    """a within [−1, 1] with zeros and ones among it, b, and a beginning."""
    generator = torch.Generator().manual_seed(steps)
    a, b = (torch.randn(2, steps, 3, generator=generator, dtype=dtype) for _ in range(2))
    a = a.tanh()
    a[torch.rand(a.shape, generator=generator) < 0.1] = 0.0
    a[torch.rand(a.shape, generator=generator) < 0.1] = 1.0
    begin = torch.randn(2, 3, generator=generator, dtype=dtype)
    return a, b, {"any": begin, "zero": 0 * begin, "negative": -1 - begin.abs()}[kind]


@pytest.mark.parametrize("kind", ["any", "zero", "negative"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_scan_is_the_recurrence_for_any_beginning_and_length(kind: str, dtype: torch.dtype) -> None:
    for steps in LENGTHS:
        given = [one.requires_grad_() for one in drawn(steps, dtype, kind)]
        weights = torch.arange(given[1].numel(), dtype=dtype).view_as(given[1]).sin()
        found, expected = linear_scan(*given), naive(*given)
        gradients = [torch.autograd.grad((one * weights).sum(), given) for one in (found, expected)]
        distance = laws.difference((found, *gradients[0]), (expected, *gradients[1]))
        assert laws.within(distance, dtype), f"{steps} steps: {distance} apart"


@pytest.mark.parametrize("steps", [1, 5, 9])
def test_the_gradients_of_the_scan_are_those_of_finite_differences_twice(steps: int) -> None:
    given = [one.requires_grad_() for one in drawn(steps)]
    assert torch.autograd.gradcheck(linear_scan, given)
    assert torch.autograd.gradgradcheck(linear_scan, given)


def test_a_long_scan_in_float32_keeps_what_a_loop_in_float64_has() -> None:
    generator = torch.Generator().manual_seed(0)
    steps = 20_011
    a = torch.rand(1, steps, 2, generator=generator)
    a[..., 1] = 1 - a[..., 1] * 1e-4  # one unit forgets within a few steps, the other within ten thousand
    b = torch.randn(1, steps, 2, generator=generator) * (1 - a)
    begin = torch.tensor([[-5.0, 3.0]])
    expected, hidden = np.empty((steps, 2)), begin[0].double().numpy()
    a64, b64 = a[0].double().numpy(), b[0].double().numpy()
    for t in range(steps):
        expected[t] = hidden = a64[t] * hidden + b64[t]
    np.testing.assert_allclose(linear_scan(a, b, begin)[0].numpy(), expected, atol=5e-5)  # rounding of 10⁴ additions


def test_the_scan_gives_the_same_bits_twice_and_writes_into_nothing() -> None:
    given = drawn(50)
    copies = [one.clone() for one in given]
    assert torch.equal(linear_scan(*given), linear_scan(*given))
    assert all(map(torch.equal, given, copies))


@pytest.mark.parametrize("make", [MinGRUCell, MinLSTMCell])
def test_a_minimal_cell_is_that_of_the_paper(make: Any) -> None:
    cell = make(3, 4, dtype=torch.float64)
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    begin = torch.tensor([[0.0, -2.0, 1.0, 5.0]], dtype=torch.float64).expand(2, 4)
    weight, bias = cell.weight_ih.detach().numpy(), (cell.bias_ih + 0.3).detach().numpy()
    with torch.no_grad():
        cell.bias_ih.add_(0.3)
        outputs, _ = scan(cell, x, cell.initial_state(2)._replace(hidden=begin))
    hidden = begin.numpy()
    for t in range(7):
        parts = np.split(x[:, t].numpy() @ weight.T + bias, len(cell.gates), -1)
        if make is MinGRUCell:
            z = 1 / (1 + np.exp(-parts[0]))
            hidden = (1 - z) * hidden + z * parts[1]
        else:
            i, f = (1 / (1 + np.exp(-one)) for one in parts[:2])
            hidden = f / (f + i) * hidden + i / (f + i) * parts[2]
        np.testing.assert_allclose(outputs[:, t].numpy(), hidden, atol=1e-12)


def test_a_minlstm_holds_where_both_gates_are_shut() -> None:
    cell = MinLSTMCell(1, 1)
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.bias_ih.copy_(torch.tensor([-200.0, -200.0, 3.0]))  # σ(−200) is 0 in float32, and 0 / 0 no number
        kept, written = cell.coefficients(torch.zeros(1, 1))
    assert kept.item() == 0.5 and written.item() == 1.5


@pytest.mark.parametrize("make", [MinGRUCell, MinLSTMCell])
def test_lengths_resets_and_a_learned_restart_go_through_the_scan_as_through_the_loop(make: Any) -> None:
    cell = make(3, 4, dtype=torch.float64)
    x = torch.randn(4, 30, 3, dtype=torch.float64, requires_grad=True)
    begin, restart = (torch.randn(1, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    state = cell.initial_state(4)
    options = {
        "lengths": torch.tensor([30, 0, 17, 1]),
        "resets": torch.rand(4, 30) < 0.2,
        "restart": state._replace(hidden=restart.expand(4, 4)),
    }
    results = []
    for way in (scan, unroll):
        outputs, end = way(cell, x, state._replace(hidden=begin.expand(4, 4)), **options)  # type: ignore[operator]
        total = (outputs * outputs.detach().cos()).sum() + end.hidden.sin().sum()
        results.append((outputs, end, *torch.autograd.grad(total, [x, begin, restart, *cell.parameters()])))
    assert laws.difference(*results) < 1e-10


def test_what_lies_beyond_the_lengths_reaches_neither_values_nor_gradients_of_a_scan() -> None:
    layer = Recurrent("mingru", 3, 4, 2, engine="scan", dtype=torch.float64)
    x, lengths = torch.randn(3, 20, 3, dtype=torch.float64), torch.tensor([20, 0, 11])
    assert laws.padding_is_never_read(layer, x, lengths) == 0.0


def test_the_scan_is_chosen_for_linear_cells_and_refused_by_name_for_others() -> None:
    assert select_engine("auto", MinGRUCell(2, 2)) == "scan"
    assert select_engine("scan", MinLSTMCell(2, 2)) == "scan"
    assert select_engine("loop", MinGRUCell(2, 2)) == "loop"
    assert select_engine("auto", CELLS["indrnn"](2, 2)) == "loop"
    assert select_engine("auto", CELLS["lstm"](2, 2)) == "fused"
    with pytest.raises(SettingsError, match="engine 'scan' cannot run this layer: LSTMCell is not linear in its state"):
        select_engine("scan", CELLS["lstm"](2, 2))
    with pytest.raises(SettingsError, match="no fused kernel for MinGRUCell"):
        select_engine("fused", MinGRUCell(2, 2))
    with pytest.raises(SettingsError, match="engine: 'scna' is not known; did you mean 'scan'"):
        Recurrent("mingru", 2, 2, engine="scna")  # type: ignore[arg-type]


def test_a_linear_cell_with_a_step_of_its_own_runs_by_the_loop() -> None:
    class Bounded(Decay):
        def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
            hidden, state = super().step(x, state)
            return hidden.tanh(), state

    layer = Recurrent(Bounded, 3, 4)
    with pytest.raises(SettingsError, match="Bounded has a step of its own"):
        select_engine("scan", layer.layers[0][0].cell)
    outputs, state = layer(torch.randn(2, 9, 3))
    torch.testing.assert_close(outputs[:, -1], state.layers[0].hidden.tanh())


def test_autocast_leaves_the_state_as_it_is() -> None:
    layer = Recurrent("mingru", 3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = layer(torch.randn(2, 9, 3))
    assert outputs.dtype == torch.float32 and state.layers[0].hidden.dtype == torch.float32


class Decay(LinearCell):
    """A linear cell of one's own: each unit forgets at its own fixed pace."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.inward, self.pace = nn.Linear(input_size, hidden_size), nn.Parameter(torch.zeros(hidden_size))

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        b: Tensor = self.inward(x)
        return self.pace.sigmoid().expand_as(b), b


def test_a_linear_cell_of_ones_own_runs_by_the_scan() -> None:
    layer = Recurrent(Decay, 3, 4, 2, bidirectional=True, learned_state=True, dtype=torch.float64)
    x, lengths = torch.randn(3, 10, 3, dtype=torch.float64), torch.tensor([10, 0, 4])
    assert laws.engines_agree(layer, x, lengths, engine="scan") < 1e-10
    assert laws.steps_equal_whole(Recurrent(Decay, 3, 4, dtype=torch.float64), x) < 1e-10
