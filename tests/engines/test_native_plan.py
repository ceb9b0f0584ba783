"""Whole stacks stepped by the native kernels: layers, chains, residuals, 8-bit weights, rows by number."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from recurra import laws
from recurra.cells import CELLS, Cell
from recurra.engines.native import Layer, Plan, layer_of
from recurra.engines.native.library import Library
from recurra.engines.native.pool import Rows
from recurra.errors import SettingsError, ShapeError
from recurra.nn import Recurrent
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.state import leaves

KINDS = ("rnn", "rnn_relu", "gru", "lstm")


def layer(cell: Cell, narrow: bool = False) -> Layer:
    found = layer_of(cell)
    assert found is not None
    return found._replace(narrow=narrow)


def along(plan: Plan, x: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """x [B, T, I] from zeros → outputs and the state."""
    state, outputs = plan.new_state(rows), x.new_empty(*x.shape[:2], plan.output_size)
    plan.step_along(plan.at, rows, x.shape[1], state.data_ptr(), x.data_ptr(), outputs.data_ptr())
    return outputs, state


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_with_residuals_and_chains_gives_what_the_layers_give(
    level: str, kind: str, dtype: torch.dtype
) -> None:
    for hidden, rows in [(5, 1), (33, 3), (17, 100)]:
        module = Recurrent(kind, 7, hidden, 3, residual=True, dilation=[1, 2, 3], engine="loop", dtype=dtype)
        module.engine = "auto"  # only now: the loop is the reference
        layers = RecurrentSteps(module).native()
        assert layers is not None
        module.engine = "loop"
        x = torch.randn(rows, 8, 7, dtype=dtype)
        with torch.no_grad():
            expected, end = module(x)
        plan = Plan(layers)
        outputs, state = along(plan, x, rows)
        assert laws.within(laws.difference(outputs, expected), dtype), (level, kind, hidden, rows)
        found = plan.read(state)
        for leaf, (_, own) in zip(found, leaves(end), strict=True):
            assert laws.within(laws.difference(leaf, own), dtype)


def quantised(weight: Tensor) -> Tensor:
    """A row's largest number is 127 of its units."""
    unit = weight.abs().amax(1, keepdim=True) / 127
    return (weight / unit).round() * unit


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_8_bits_are_those_rounded_to_the_127th_of_their_rows_largest(level: str, kind: str) -> None:
    for inputs, hidden, rows in [(1, 1, 1), (6, 33, 2), (70, 16, 7)]:
        cell = CELLS[kind](inputs, hidden)
        x = torch.randn(rows, 6, inputs)
        outputs, _ = along(Plan([layer(cell, narrow=True)]), x, rows)
        with torch.no_grad():
            for weight in (cell.weight_ih, cell.weight_hh):
                weight.copy_(quantised(weight))
            state, expected = cell.initial_state(rows), []
            for step in x.unbind(1):
                y, state = cell.step(step, state)
                expected.append(y)
        # inputs and hidden states have 14 bits, a rounding of 1/16384 of the largest
        torch.testing.assert_close(outputs, torch.stack(expected, 1), rtol=1e-3, atol=1e-3)


def test_processors_with_and_without_the_instruction_for_bytes_give_the_same(library: Library) -> None:
    if not library.functions.recurra_has_vnni():
        pytest.skip("this processor has no AVX-512 VNNI")
    cell, x = CELLS["lstm"](30, 40), torch.randn(5, 9, 30)
    plan = Plan([layer(cell, narrow=True)])
    first, _ = along(plan, x, 5)
    plan._plan.vnni = 0
    assert torch.equal(along(plan, x, 5)[0], first)


def test_an_input_that_is_no_number_is_none_in_the_output_of_narrow_weights_either(library: Library) -> None:
    x = torch.randn(1, 2, 3)
    x[0, 1, 2] = torch.nan
    outputs, _ = along(Plan([layer(CELLS["gru"](3, 4), narrow=True)]), x, 1)
    assert outputs[0, 0].isfinite().all() and outputs[0, 1].isnan().all()


def test_narrow_weights_of_float64_are_refused(library: Library) -> None:
    with pytest.raises(ShapeError, match=r"8 bits are made of torch\.float32, and these are torch\.float64"):
        Plan([layer(CELLS["gru"](3, 4, dtype=torch.float64), narrow=True)])


def test_rows_by_number_go_on_and_the_others_stay(level: str) -> None:
    cell = CELLS["lstm"](3, 20)
    rows, state = Rows([layer(cell)], 200), cell.initial_state(200)
    generator = torch.Generator().manual_seed(0)
    for count in (1, 200, 70, 0, 130):
        ids, x = torch.randperm(200, generator=generator)[:count], torch.randn(count, 3, generator=generator)
        with torch.no_grad():
            y, moved = cell.step(x, type(state)(*(leaf[ids] for leaf in state)))
            for leaf, new in zip(state, moved, strict=True):
                leaf[ids] = new
        torch.testing.assert_close(rows.step(ids, x), y)
    for found, leaf in zip(rows.plan.read(rows.state), state, strict=True):
        torch.testing.assert_close(found, leaf)


def test_rows_refuse_what_they_have_not(library: Library) -> None:
    rows = Rows([layer(CELLS["gru"](3, 4))], 5)
    before = rows.state.clone()
    for ids, x, message in [
        ([0, 5], torch.randn(2, 3), "ids go from 0 to 5, expected 0 to 4"),
        ([-1], torch.randn(1, 3), "ids go from -1 to -1"),
        ([1, 2, 1], torch.randn(3, 3), "ids name a sequence twice"),
        ([1.5], torch.randn(1, 3), r"ids are float64 \[1\], expected whole numbers"),
        ([[1]], torch.randn(1, 3), r"ids are int64 \[1, 1\]"),
        ([1, 2], torch.randn(1, 3), r"x has shape \[1, 3\], expected \[2, 3\]"),
        ([1], torch.randn(1, 3).double(), "x is torch.float64"),
    ]:
        with pytest.raises(ShapeError, match=message):
            rows.step(ids, x)
    assert torch.equal(rows.state, before)
    with pytest.raises(SettingsError, match="0 rows, expected 1 or more"):
        Rows([layer(CELLS["gru"](3, 4))], 0)


def test_plans_of_one_layer_share_its_weights_and_see_that_they_were_written(library: Library) -> None:
    cell = CELLS["gru"](3, 4)
    one, two = Plan([layer(cell)]), Plan([layer(cell)])
    assert one._packed[0].buffer is two._packed[0].buffer
    assert one.current() and one.of([layer(cell)])
    with torch.no_grad():
        cell.weight_hh.mul_(2)
    assert not one.current() and not one.of([layer(cell)])
    three = Plan([layer(cell)])
    assert three._packed[0].buffer is not one._packed[0].buffer
    cell.bias_hh.data.fill_(0.5)  # in no count, and yet a new plan has it
    assert Plan([layer(cell)])._packed[0].buffer is not three._packed[0].buffer
    cell.bias_hh = nn.Parameter(cell.bias_hh.detach().clone())
    assert three.current() and not three.of([layer(cell)])


def test_layers_that_do_not_fit_each_other_are_refused(library: Library) -> None:
    with pytest.raises(ShapeError, match="a layer reads 5 features, and 4 come to it"):
        Plan([layer(CELLS["gru"](3, 4)), layer(CELLS["gru"](5, 4))])
    with pytest.raises(ShapeError, match=r"bias_hh has shape \[7\], expected \[12\]"):
        Plan([layer(CELLS["gru"](3, 4))._replace(bias_hh=torch.zeros(7))])
    with pytest.raises(SettingsError, match=r"float32 and float64, and the weights are torch\.float16"):
        Plan([layer(CELLS["gru"](3, 4, dtype=torch.float16))])
    with torch.inference_mode(), pytest.raises(SettingsError, match="made in inference mode"):
        Plan([layer(CELLS["gru"](3, 4))])
    plan = Plan([layer(CELLS["lstm"](3, 4))])
    with pytest.raises(ShapeError, match="1 leaves, expected 2"):
        plan.write(plan.new_state(1), [torch.zeros(1, 4)])
    with pytest.raises(ShapeError, match=r"a leaf is torch\.float32 \[2, 4\], expected torch\.float32 \[1, 4\]"):
        plan.write(plan.new_state(1), [torch.zeros(2, 4), torch.zeros(1, 4)])
