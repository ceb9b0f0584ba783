"""One layer stepped by the native kernels."""

from __future__ import annotations

import pytest
import torch

from recurra import laws
from recurra.cells import CELLS
from recurra.engines.native import Stepper
from recurra.engines.native.library import Library
from recurra.errors import SettingsError, ShapeError
from recurra.state import map_state

KINDS = ("gru", "lstm")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_steps_equal_the_cell(level: str, kind: str, dtype: torch.dtype) -> None:
    for inputs, hidden, rows in [(1, 1, 1), (3, 17, 1), (64, 64, 1), (5, 33, 2), (2, 3, 7), (4, 40, 19)]:
        cell = CELLS[kind](inputs, hidden, dtype=dtype)
        state = map_state(torch.randn_like, cell.initial_state(rows))
        stepper = Stepper(cell, rows)
        stepper.state = state
        for _ in range(3):
            x = torch.randn(rows, inputs, dtype=dtype)
            with torch.no_grad():
                y, state = cell.step(x, state)
            found = stepper.step(x)
            assert laws.within(laws.difference((found, stepper.state), (y, state)), dtype), (
                level,
                inputs,
                hidden,
                rows,
            )


def test_an_output_can_be_the_next_input(library: Library) -> None:
    cell = CELLS["gru"](20, 20)
    stepper, y, state = Stepper(cell), torch.randn(1, 20), cell.initial_state(1)
    found = y
    for _ in range(5):
        found = stepper.step(found)
        with torch.no_grad():
            y, state = cell.step(y, state)
    torch.testing.assert_close(found, y)


def test_reset_begins_again_and_a_state_read_is_a_copy(library: Library) -> None:
    stepper, x = Stepper(CELLS["lstm"](3, 4)), torch.randn(1, 3)
    first = stepper.step(x).clone()
    kept = stepper.state
    stepper.step(x)
    assert torch.equal(kept.hidden, first)
    stepper.reset()
    assert torch.equal(stepper.step(x), first)


def test_what_does_not_fit_is_refused_and_the_state_stays(library: Library) -> None:
    stepper = Stepper(CELLS["lstm"](3, 4))
    stepper.step(torch.randn(1, 3))
    before = stepper.state
    for wrong, message in [
        (torch.randn(1, 4), r"Stepper, step: x has shape \[1, 4\], expected \[1, 3\]"),
        (torch.randn(3), r"x has shape \[3\]"),
        (torch.randn(1, 3, dtype=torch.float64), "x is torch.float64 on cpu, expected a dense tensor, torch.float32"),
        (torch.randn(1, 6)[:, ::2], r"x has gaps \(strides \[6, 2\]\); give x.contiguous\(\)"),
        (torch.randn(1, 3, device="meta"), "x is torch.float32 on meta"),
    ]:
        with pytest.raises(ShapeError, match=message):
            stepper.step(wrong)
    with pytest.raises(SettingsError, match="the state is a GRUState, expected LSTMState"):
        stepper.state = CELLS["gru"](3, 4).initial_state(1)
    with pytest.raises(ShapeError, match=r"Stepper, state: cell has shape \[2, 4\], expected \[1, 4\]"):
        stepper.state = type(before)(torch.zeros(1, 4), torch.zeros(2, 4))
    assert all(torch.equal(a, b) for a, b in zip(before, stepper.state, strict=True))


def test_cells_that_it_cannot_step_are_refused(library: Library) -> None:
    with pytest.raises(
        SettingsError, match="Stepper: there is no native kernel for a step of IndRNNCell; step the cell"
    ):
        Stepper(CELLS["indrnn"](3, 4))
    with pytest.raises(SettingsError, match="batch_size is 0, expected 1 or more"):
        Stepper(CELLS["gru"](3, 4), 0)
