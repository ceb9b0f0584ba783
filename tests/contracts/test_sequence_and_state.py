"""Sequence and State: what travels."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra.cells import LSTMState
from recurra.errors import ShapeError
from recurra.sequence import Sequence, join, shift_left, shift_right, valid_mask
from recurra.state import check_state, choose, detach, leaves, merge, select


class Pair(NamedTuple):
    value: Tensor
    observed: Tensor


def drawn(rows: int, steps: int, seed: int) -> Sequence:
    draw = torch.Generator().manual_seed(seed)
    return Sequence(torch.randn(rows, steps, 2, generator=draw), torch.randint(0, steps + 1, (rows,), generator=draw))


shapes = {"rows": st.integers(0, 4), "steps": st.integers(0, 6), "seed": st.integers(0, 999)}


@given(**shapes)
def test_reversing_twice_and_shifting_there_and_back_give_the_same_valid_steps(
    rows: int, steps: int, seed: int
) -> None:
    x = drawn(rows, steps, seed)
    mask = x.mask()
    assert torch.equal(x.reverse().reverse().values[mask], x.values[mask])
    assert torch.equal(shift_left(shift_right(x.values, x.lengths), x.lengths)[mask], x.values[mask])
    for row, length in enumerate(x.lengths.tolist()):
        assert torch.equal(x.reverse().values[row, :length], x.values[row, :length].flip(0))


@given(at=st.integers(0, 6), **shapes)
def test_what_split_cuts_join_puts_together(at: int, rows: int, steps: int, seed: int) -> None:
    x = drawn(rows, steps, seed)
    at = min(at, steps)
    whole = join(list(x.split(at)))
    assert torch.equal(whole.values, x.values) and torch.equal(whole.lengths, x.lengths)


@given(**shapes)
def test_a_mask_on_either_side_is_understood(rows: int, steps: int, seed: int) -> None:
    x = drawn(rows, steps, seed)
    left = Sequence.from_mask(shift_right(x.values, x.lengths), x.mask().flip(1))
    right = Sequence.from_mask(x.values, x.mask())
    for one in (left, right):
        assert torch.equal(one.lengths, x.lengths) and torch.equal(one.values[x.mask()], x.values[x.mask()])


def test_a_mask_with_holes_and_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="the mask has holes"):
        Sequence.from_mask(torch.zeros(1, 3, 2), torch.tensor([[True, False, True]]))
    with pytest.raises(ShapeError, match="lie between 4 and 4, expected 0 to 3"):
        Sequence(torch.zeros(1, 3, 2), torch.tensor([4]))
    gap = Sequence(torch.zeros(1, 3, 2), torch.tensor([1]))
    with pytest.raises(ShapeError, match="goes on after its padding"):
        join([gap, gap])


def test_values_may_be_several_tensors_that_share_batch_and_time() -> None:
    x = Sequence(Pair(torch.arange(6).view(2, 3), torch.ones(2, 3, 4)), torch.tensor([3, 2]))
    assert x.reverse().values.value.tolist() == [[2, 1, 0], [4, 3, 5]]
    assert isinstance(join(list(x.split(1))).values, Pair)


def test_rows_of_a_state_are_selected_chosen_and_merged() -> None:
    state = LSTMState(torch.arange(3.0)[:, None], 10 * torch.arange(3.0)[:, None])
    assert select(state, torch.tensor([2, 0])).cell.tolist() == [[20.0], [0.0]]
    assert merge([state, state]).hidden.shape == (6, 1)
    other = LSTMState(-state.hidden, -state.cell)
    assert choose(torch.tensor([True, False, True]), state, other).cell.tolist() == [[0.0], [-10.0], [20.0]]
    assert [name for name, _ in leaves((state, state))] == ["0.hidden", "0.cell", "1.hidden", "1.cell"]
    assert not detach(LSTMState(*(leaf.requires_grad_() for leaf in state))).hidden.requires_grad


def test_a_foreign_state_is_refused_by_the_name_of_its_leaf() -> None:
    state = LSTMState(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ShapeError, match=r"layer: state\.cell has shape \[2, 4\], expected \[2, 3\]"):
        check_state(LSTMState(torch.zeros(2, 3), torch.zeros(2, 4)), state, "layer")
    with pytest.raises(ShapeError, match=r"state\.hidden is torch\.float64"):
        check_state(LSTMState(torch.zeros(2, 3).double(), torch.zeros(2, 3)), state, "layer")
    with pytest.raises(ShapeError, match=r"expected LSTMState\(hidden, cell\)"):
        check_state((torch.zeros(2, 3),), state, "layer")


def test_a_mask_is_true_where_a_step_is_valid() -> None:
    assert valid_mask(torch.tensor([0, 2]), 3).tolist() == [[False, False, False], [True, True, False]]
