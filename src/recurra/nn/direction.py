"""One cell along time, in one direction: its learned initial state and its noise."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from recurra.cells import Cell, ProjectedCell
from recurra.engines import Zoneout, is_cut, run, run_both, step
from recurra.engines.loop import mix
from recurra.nn.dilation import at_rest, oldest, pushed, run_chains
from recurra.nn.noise import DirectionNoise, dropout_mask, zoneout_mask
from recurra.sequence import reverse
from recurra.settings.names import EngineName
from recurra.state import State, leaves, map_state


class Direction(nn.Module):
    """A cell, its first state, and the dropouts inside the recurrence.

    Args:
        cell: the recurrence.
        backward: run from the last valid step to the first.
        learned_state: the initial state is a parameter for each of its leaves, zero at first; one for all chains.
        recurrent_dropout, weight_dropout, zoneout: rates; see `Recurrent`, and `why_without` for cells without them.
        dilation: the state read at a step is the one after that many steps before.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        backward: bool = False,
        learned_state: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float = 0.0,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.cell, self.backward = cell, backward
        self.recurrent_dropout, self.weight_dropout, self.zoneout = recurrent_dropout, weight_dropout, zoneout
        self.dilation = dilation
        self.initial = nn.ParameterDict()
        if learned_state:
            for path, leaf in leaves(cell.initial_state(1)):
                self.initial[path.replace(".", "_")] = nn.Parameter(torch.zeros_like(leaf[0]))

    def initial_state(self, batch_size: int) -> State:
        """The state before the first step, learned or the cell's own."""
        state = self.first_state(batch_size)
        return state if self.dilation == 1 else at_rest(state, self.dilation)

    def first_state(self, batch_size: int) -> State:
        """The cell's own state before its first step; each chain of a dilated layer begins with it."""
        state = self.cell.initial_state(batch_size)
        if not self.initial:
            return state
        learned = iter(self.initial[path.replace(".", "_")] for path, _ in leaves(state))
        return map_state(lambda leaf: next(learned).expand_as(leaf), state)

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> DirectionNoise:
        """Masks for a batch and a number of steps."""
        state = self.cell.initial_state(batch_size)
        like = next(self.cell.parameters())
        hidden = weight = held = None
        if self.recurrent_dropout:
            hidden = dropout_mask(tuple(state.hidden.shape), self.recurrent_dropout, like, generator)
        if self.weight_dropout:
            weight = dropout_mask(tuple(self.cell.weight_hh.shape), self.weight_dropout, like, generator, rows=False)  # type: ignore[arg-type]
        if self.zoneout:
            held = map_state(
                lambda leaf: zoneout_mask((batch_size, steps, *leaf.shape[1:]), self.zoneout, like, generator),
                state,
            )
        return DirectionNoise(hidden, weight, held)

    def forward(
        self,
        x: Tensor,
        state: State,
        *,
        lengths: Tensor | None,
        resets: Tensor | None,
        noise: DirectionNoise,
        engine: EngineName,
        recompute: int = 0,
    ) -> tuple[Tensor, State]:
        """Run along time.

        Args:
            x: [B, T, D], zero beyond the lengths.
            state: before the first step read: for the backward direction the one after the last valid step.
            lengths, resets: in the order of x, whatever the direction.
            noise: masks in the order of x.
            engine: "auto", or the name of one.
            recompute: steps of a block whose inside backward computes a second time; 0: it is kept.
        """
        held = noise.zoneout
        if self.backward:
            x = reverse(x, lengths)
            resets = None if resets is None else _reverse_resets(resets, lengths)
            held = None if held is None else map_state(lambda leaf: reverse(leaf, lengths), held)
        block = -(-recompute // self.dilation)  # of each chain's steps
        along = partial(run, _with_dropped_weight(self.cell, noise.weight), engine=engine, recompute=block)
        if self.dilation > 1:
            along = partial(run_chains, along, dilation=self.dilation)
        outputs, final = along(
            x,
            state,
            lengths=lengths,
            resets=resets,
            restart=None if resets is None else self.first_state(x.shape[0]),
            mask=noise.hidden,
            zoneout=Zoneout(self.zoneout, held) if self.zoneout else None,
        )
        return reverse(outputs, lengths) if self.backward else outputs, final

    def step(self, x: Tensor, state: State, noise: DirectionNoise) -> tuple[Tensor, State]:
        """One step: x [B, D]; masks of one step."""
        if self.dilation == 1:
            return self.move(x, state, noise)
        y, new = self.move(x, oldest(state), noise)
        return y, pushed(state, new)

    def move(self, x: Tensor, state: State, noise: DirectionNoise) -> tuple[Tensor, State]:
        """One step of the cell, from the state that it reads."""
        cell = _with_dropped_weight(self.cell, noise.weight)
        if not self.zoneout and noise.hidden is None:
            return cell.step(x, state)
        projected = cell.project(x) if isinstance(cell, ProjectedCell) else x
        y, new = step(cell, projected, state, noise.hidden)
        if self.zoneout:
            new = mix(state, new, Zoneout(self.zoneout, noise.zoneout), 0)
            y = new.hidden
        return y, new


def why_without(cell: Cell, option: str) -> str | None:
    """Why a cell cannot have an option that acts inside the recurrence; None where it can.

    Args:
        option: "recurrent_dropout", "weight_dropout", "zoneout", "learned_state" or "dilation".
    """
    name = type(cell).__name__
    if option in cell.refused:
        return f"not for {name}: {cell.refused[option]}"
    has_hidden = "hidden" in getattr(cell.initial_state(1), "_fields", ())
    if option == "weight_dropout" and not isinstance(getattr(cell, "weight_hh", None), Tensor):
        return f"{name} has no weight_hh to drop from"
    if option == "recurrent_dropout" and not (has_hidden and isinstance(cell, ProjectedCell)):
        return f"{name} has no recurrence over a hidden state"
    if option == "zoneout" and not has_hidden:
        return f"the state of {name} has no hidden part to keep"
    return None


def run_directions(
    directions: list[Direction],
    x: Tensor,
    states: tuple[State, ...],
    *,
    lengths: Tensor | None,
    resets: Tensor | None,
    noise: tuple[DirectionNoise, ...],
    engine: EngineName,
    recompute: int = 0,
    fresh: bool,
) -> tuple[Tensor, list[State]]:
    """A layer's one or two directions: outputs joined [B, T, directions · H], and the states at their ends.

    Args:
        engine, recompute: as in `Direction.forward`.
        fresh: no state was given: both directions begin from their initial states.
    """
    plain = resets is None and not any(one.zoneout or one.dilation > 1 for one in directions)
    plain = plain and not is_cut(directions[0].cell, x, recompute)  # the two read the blocks in different order
    if len(directions) == 2 and plain and noise[0].hidden is None:
        cells = [_with_dropped_weight(one.cell, masks.weight) for one, masks in zip(directions, noise, strict=True)]
        from_zeros = fresh and not directions[1].initial
        found = run_both(
            (cells[0], cells[1]), x, (states[0], states[1]), engine=engine, lengths=lengths, from_zeros=from_zeros
        )
        if found is not None:
            return found[0], list(found[1])
    outputs, ends = [], []
    for one, begin, masks in zip(directions, states, noise, strict=True):
        out, end = one(x, begin, lengths=lengths, resets=resets, noise=masks, engine=engine, recompute=recompute)
        outputs.append(out)
        ends.append(end)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1), ends


def _with_dropped_weight(cell: Cell, mask: Tensor | None) -> Cell:
    """The cell with `weight_hh` masked: a twin that shares everything else; the cell itself is not touched."""
    if mask is None:
        return cell
    twin = copy.copy(cell)
    twin._parameters = {name: value for name, value in cell._parameters.items() if name != "weight_hh"}
    twin.__dict__["weight_hh"] = cell.weight_hh * mask  # type: ignore[operator]
    return twin


def _reverse_resets(resets: Tensor, lengths: Tensor | None) -> Tensor:
    """A reset before step t stands between t − 1 and t: read backwards, it comes before step t − 1."""
    backwards = reverse(resets, lengths).roll(1, 1)
    backwards[:, :1] = False
    return backwards
