"""The reference engine: the cell's own step, in a loop. Any cell, any noise; what every other engine must equal."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell, ProjectedCell
from recurra.sequence import valid_mask
from recurra.state import State, choose, map_state


class Zoneout(NamedTuple):
    """Units that keep their old value (Krueger et al., 2017).

    keep: a state of bool leaves [B, T, …], True keeps the old value; None: the expectation over such masks, which
    evaluation uses. rate: the probability of keeping.
    """

    rate: float
    keep: State | None


def unroll(
    cell: Cell,
    x: Tensor,
    state: State,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    restart: State | None = None,
    mask: Tensor | None = None,
    zoneout: Zoneout | None = None,
) -> tuple[Tensor, State]:
    """Run a cell along time.

    Args:
        cell: the recurrence.
        x: [B, T, input_size]; finite beyond the lengths.
        state: before the first step.
        lengths: [B] valid steps; beyond them outputs are zero and the state stays. None: all are valid.
        resets: [B, T] bool; True puts the restart state before that step, where the step is valid.
        restart: the layer's own initial state; needed with resets.
        mask: [B, H] dropout mask of the hidden state read by the gates.
        zoneout: units that keep their old value; the output is then the mixed hidden state.

    Returns:
        outputs [B, T, output_size], and the state after the last valid step of each row.
    """
    valid = None if lengths is None else valid_mask(lengths, x.shape[1], x.device)
    projected = cell.project(x) if isinstance(cell, ProjectedCell) else x
    outputs: list[Tensor] = []
    for t in range(x.shape[1]):
        if resets is not None:
            begins = resets[:, t] if valid is None else resets[:, t] & valid[:, t]
            state = choose(begins, restart, state)
        y, new = step(cell, projected[:, t], state, mask)
        if zoneout is not None:
            new = mix(state, new, zoneout, t)
            y = new.hidden
        if valid is not None:
            y = torch.where(valid[:, t, None], y, 0.0)
            new = choose(valid[:, t], new, state)
        outputs.append(y)
        state = new
    if not outputs:
        return x.new_zeros(x.shape[0], 0, cell.output_size), state
    return torch.stack(outputs, 1), state


def step(cell: Cell, projected: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
    """One step from what `cell.project` made of x, or from x itself where the cell does not split."""
    if isinstance(cell, ProjectedCell):
        return cell.advance(projected, state, mask)
    return cell.step(projected, state)


def mix(old: State, new: State, zoneout: Zoneout, t: int) -> State:
    """The state after zoneout at step t."""
    if zoneout.keep is None:
        return map_state(lambda a, b: zoneout.rate * a + (1 - zoneout.rate) * b, old, new)
    return map_state(lambda a, b, keep: torch.where(keep[:, t], a, b), old, new, zoneout.keep)
