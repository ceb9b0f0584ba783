"""Dilated layers: the state at step t comes from that at t − d (Chang et al., 2017, "Dilated recurrent networks").

Such a layer is d chains of steps that know nothing of each other: step t belongs to chain t mod d. Its state holds
their states in the order in which they go on: the states after the last d steps, the oldest first. One step reads the
first and puts its own at the end. Over a whole sequence the chains are rows of a batch, so that any engine runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engines import Zoneout
from recurra.sequence import valid_mask
from recurra.state import State, map_state

Run = Callable[..., tuple[Tensor, State]]


class DilatedState(NamedTuple):
    """The cell's own state with leaves [B, d, …]: those after the last d steps, the oldest first."""

    chains: State


def at_rest(state: State, dilation: int) -> DilatedState:
    """Every chain at one state."""
    return DilatedState(map_state(lambda leaf: leaf[:, None].expand(-1, dilation, *leaf.shape[1:]), state))


def oldest(state: DilatedState) -> State:
    """What the next step reads."""
    return map_state(lambda leaf: leaf[:, 0], state.chains)


def pushed(state: DilatedState, new: State) -> DilatedState:
    """The state after a step that gave `new`."""
    return DilatedState(map_state(lambda leaf, one: torch.cat([leaf[:, 1:], one[:, None]], 1), state.chains, new))


def run_chains(
    run: Run,
    x: Tensor,
    state: DilatedState,
    dilation: int,
    *,
    lengths: Tensor | None,
    resets: Tensor | None,
    restart: State | None,
    mask: Tensor | None,
    zoneout: Zoneout | None,
) -> tuple[Tensor, DilatedState]:
    """A dilated layer along time.

    Args:
        run: a cell along time, as `engines.run` with the cell and the engine given.
        x, lengths, resets, mask, zoneout: as there; the mask holds for every chain.
        state: before the first step.
        dilation: d ≥ 1.
        restart: the cell's own state that every chain begins with after a reset.
    """
    rows, steps = x.shape[0], x.shape[1]
    used = min(dilation, steps)  # chains that move
    if used == 0 or rows == 0:
        outputs, _ = run(x, oldest(state), restart=restart)
        return outputs, state
    outputs, ends = run(
        _fold(x, used),
        map_state(lambda leaf: leaf[:, :used].flatten(0, 1), state.chains),
        lengths=_fold_lengths(lengths, rows, steps, used),
        resets=None if resets is None else _fold(_since_reset(resets) < dilation, used),
        restart=None if resets is None else map_state(lambda leaf: leaf.repeat_interleave(used, 0), restart),
        mask=None if mask is None else mask.repeat_interleave(used, 0),
        zoneout=_fold_zoneout(zoneout, used),
    )
    after = map_state(
        lambda old, new: torch.cat([new.view(rows, used, *new.shape[1:]), old[:, used:]], 1), state.chains, ends
    )
    after = map_state(lambda leaf: _in_order(leaf, lengths, steps), after)
    if resets is not None:
        after = _cleared(after, restart, lengths, resets, dilation)
    return _unfold(outputs, rows, steps), DilatedState(after)


def _fold(values: Tensor, chains: int) -> Tensor:
    """[B, T, …] → [B · chains, ⌈T / chains⌉, …]: step t is step t // chains of row t mod chains; zeros at the end."""
    rows, steps = values.shape[0], values.shape[1]
    missing = -steps % chains
    if missing:
        values = torch.cat([values, values.new_zeros(rows, missing, *values.shape[2:])], 1)
    chained = values.reshape(rows, -1, chains, *values.shape[2:]).transpose(1, 2)
    return chained.reshape(rows * chains, -1, *values.shape[2:])


def _unfold(values: Tensor, rows: int, steps: int) -> Tensor:
    """What `_fold` made, back to [B, T, …]."""
    chained = values.view(rows, -1, *values.shape[1:]).transpose(1, 2)
    return chained.reshape(rows, -1, *values.shape[2:])[:, :steps]


def _fold_lengths(lengths: Tensor | None, rows: int, steps: int, chains: int) -> Tensor | None:
    """[B · chains] steps of each chain; None where all are equally long."""
    if lengths is None:
        if steps % chains == 0:
            return None
        lengths = torch.full((rows,), steps)
    return ((lengths[:, None] - torch.arange(chains) + chains - 1) // chains).clamp(min=0).flatten()


def _fold_zoneout(zoneout: Zoneout | None, chains: int) -> Zoneout | None:
    if zoneout is None or zoneout.keep is None:
        return zoneout
    return zoneout._replace(keep=map_state(lambda leaf: _fold(leaf, chains), zoneout.keep))


def _since_reset(resets: Tensor) -> Tensor:
    """[B, T] steps since the last reset at or before each step; the whole length and more where there was none."""
    place = torch.arange(resets.shape[1], device=resets.device)
    never = -2 * resets.numel() - torch.iinfo(torch.int32).max
    return place - torch.where(resets, place, never).cummax(1).values


def _in_order(leaf: Tensor, lengths: Tensor | None, steps: int) -> Tensor:
    """Chains [B, d, …] by number → in the order in which they go on: step T belongs to chain T mod d."""
    rows, dilation = leaf.shape[0], leaf.shape[1]
    if lengths is None:
        return leaf.roll(-(steps % dilation), 1)
    chain = (lengths[:, None] + torch.arange(dilation)) % dilation
    row = torch.arange(rows, device=leaf.device)[:, None]
    return leaf[row, chain.to(leaf.device)]


def _cleared(after: State, restart: State, lengths: Tensor | None, resets: Tensor, dilation: int) -> State:
    """The chains with no step since the last reset begin anew: the reset put all of them back, not those alone that
    went on."""
    rows, steps = resets.shape
    if lengths is not None:
        resets = resets & valid_mask(lengths, steps, resets.device)
        length = lengths.to(resets.device)
    else:
        length = torch.full((rows,), steps, device=resets.device)
    place = torch.arange(steps, device=resets.device)
    last = torch.where(resets, place, -1).amax(1) if steps else length.new_full((rows,), -1)
    # chain i was last at step length − d + i
    step = length[:, None] - dilation + torch.arange(dilation, device=resets.device)
    begun = (step < last[:, None]) & (last >= 0)[:, None]  # [B, d]

    def choose(leaf: Tensor, begin: Tensor) -> Tensor:
        return torch.where(begun.view(*begun.shape, *[1] * (leaf.dim() - 2)), begin[:, None], leaf)

    return map_state(choose, after, restart)
