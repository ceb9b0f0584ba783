"""Which engine runs a cell: one function decides, one runs."""

from __future__ import annotations

from torch import Tensor

from recurra.cells import Cell, TransformerCell
from recurra.engines.attention import attend
from recurra.engines.episodes import run_episodes
from recurra.engines.fused import both, both_fit, fused, why_not
from recurra.engines.loop import Zoneout, unroll
from recurra.errors import SettingsError
from recurra.settings.names import EngineName
from recurra.state import State


def select_engine(
    engine: EngineName, cell: Cell, mask: Tensor | None = None, zoneout: Zoneout | None = None
) -> EngineName:
    """The engine that will run: "loop", "fused" or "attention".

    Raises:
        SettingsError: an engine is asked for by name and cannot do this.
    """
    if engine == "attention" and not isinstance(cell, TransformerCell):
        raise SettingsError(
            f"engine 'attention' cannot run this layer: {type(cell).__name__} has none; give engine 'auto' or 'loop'"
        )
    if isinstance(cell, TransformerCell) and engine != "fused":
        return "loop" if engine == "loop" else "attention"
    reason = why_not(cell)
    if mask is not None:
        reason = "torch's kernels have no dropout inside the recurrence"
    if zoneout is not None:
        reason = "torch's kernels have no zoneout"
    if engine == "fused" and reason is not None:
        raise SettingsError(f"engine 'fused' cannot run this layer: {reason}; give engine 'auto' or 'loop'")
    return "fused" if engine != "loop" and reason is None else "loop"


def run(
    cell: Cell,
    x: Tensor,
    state: State,
    *,
    engine: EngineName = "auto",
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    restart: State | None = None,
    mask: Tensor | None = None,
    zoneout: Zoneout | None = None,
) -> tuple[Tensor, State]:
    """Run a cell along time on the engine that fits; arguments and result as in `loop.unroll`.

    x must be zero beyond the lengths.
    """
    chosen = select_engine(engine, cell, mask, zoneout)
    both_ways = isinstance(cell, TransformerCell) and cell.bidirectional  # it has no step to loop over
    if x.shape[1] == 0 or (not both_ways and (chosen == "loop" or x.shape[0] == 0)):
        return unroll(cell, x, state, lengths=lengths, resets=resets, restart=restart, mask=mask, zoneout=zoneout)

    def quick(x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        if isinstance(cell, TransformerCell):
            return attend(cell, x, state, lengths, plain=chosen == "loop")
        return fused(cell, x, state, lengths)

    if resets is not None and bool(resets.any()):
        return run_episodes(quick, x, state, lengths, resets, restart)
    return quick(x, state, lengths)


def run_both(
    cells: tuple[Cell, Cell],
    x: Tensor,
    states: tuple[State, State],
    *,
    engine: EngineName,
    lengths: Tensor | None,
    from_zeros: bool,
) -> tuple[Tensor, tuple[State, State]] | None:
    """Two directions in one kernel where it can; None where they must run one after the other."""
    if select_engine(engine, cells[0]) != "fused" or x.shape[0] == 0 or x.shape[1] == 0:
        return None
    if not both_fit(cells, x, lengths, from_zeros):
        return None
    return both(cells, x, states, lengths)
