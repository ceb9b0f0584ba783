"""Which engine runs a cell: one function decides, one runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from recurra.cells import Cell, LinearCell, TransformerCell
from recurra.engines.attention import attend
from recurra.engines.attention import why_not as why_not_attention
from recurra.engines.costs import Work, native_wins
from recurra.engines.episodes import run_episodes
from recurra.engines.fused import both, both_fit, fused
from recurra.engines.fused import why_not as why_not_fused
from recurra.engines.loop import Zoneout, unroll
from recurra.engines.native import both_ways, is_transformed, native
from recurra.engines.native import why_not as why_not_native
from recurra.engines.recomputation import run_in_blocks
from recurra.engines.scan import scan
from recurra.engines.scan import why_not as why_not_scan
from recurra.errors import SettingsError
from recurra.settings.names import EngineName
from recurra.state import State

QUICK: tuple[EngineName, ...] = ("fused", "scan", "attention")
"""The engines beside the loop and the native one, in the order in which "auto" tries them."""

WHY_NOT: dict[EngineName, Callable[[Cell], str | None]] = {
    "fused": why_not_fused,
    "scan": why_not_scan,
    "attention": why_not_attention,
    "native": why_not_native,
}
"""Why an engine cannot run a cell, for those that cannot run every one."""


def select_engine(
    engine: EngineName,
    cell: Cell,
    mask: Tensor | None = None,
    zoneout: Zoneout | None = None,
    work: Work | None = None,
) -> EngineName:
    """The engine that will run: "loop", "fused", "scan", "attention" or "native".

    Args:
        work: what is to be run; "auto" takes the native engine for work on which it was measured to be quicker, and
            never without it.

    Raises:
        SettingsError: an engine is asked for by name and cannot do this.
    """
    reasons = why_not(cell) if engine == "auto" else _why_not(cell, engine)
    if mask is not None:
        reasons["fused"] = "torch's kernels have no dropout inside the recurrence"
        reasons["scan"] = "the scan has no dropout inside the recurrence"
        reasons["native"] = "the native kernels have no dropout inside the recurrence"
    if zoneout is not None:
        reasons["fused"] = "torch's kernels have no zoneout"
        reasons["native"] = "the native kernels have no zoneout"
    if engine in reasons:
        raise SettingsError(f"engine {engine!r} cannot run this layer: {reasons[engine]}; give engine 'auto' or 'loop'")
    if engine != "auto":
        return engine
    if work is not None and "native" not in reasons and native_wins(type(cell).__name__, cell.output_size, work):
        return "native"
    return next((name for name in QUICK if name not in reasons), "loop")


def why_not(cell: Cell) -> dict[EngineName, str]:
    """For each engine that cannot run a cell the reason; the loop runs every one."""
    return _why_not(cell, *WHY_NOT)


def _why_not(cell: Cell, *engines: EngineName) -> dict[EngineName, str]:
    reasons = {name: WHY_NOT[name](cell) for name in engines if name in WHY_NOT}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def run(
    cell: Cell,
    x: Tensor,
    state: State,
    *,
    engine: EngineName = "auto",
    recompute: int = 0,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    restart: State | None = None,
    mask: Tensor | None = None,
    zoneout: Zoneout | None = None,
) -> tuple[Tensor, State]:
    """Run a cell along time on the engine that fits; arguments and result as in `loop.unroll`.

    x must be zero beyond the lengths.

    Args:
        recompute: steps of a block whose inside backward computes a second time; 0: it is kept. A layer that reads all
            steps at once is not cut.
    """
    cut = is_cut(cell, x, recompute)
    chosen = select_engine(engine, cell, mask, zoneout, _work(cell, x, lengths, recompute if cut else x.shape[1]))
    along = partial(_along, chosen, cell)
    if cut:
        along = partial(run_in_blocks, along, cell, block=recompute)
    return along(x, state, lengths=lengths, resets=resets, restart=restart, mask=mask, zoneout=zoneout)


def is_cut(cell: Cell, x: Tensor, recompute: int) -> bool:
    """Whether a run is cut into blocks: it is longer than one, and backward may come.

    Raises:
        SettingsError: inside torch.func or torch.compile, where nothing can be computed a second time.
    """
    if not 0 < recompute < x.shape[1] or x.shape[0] == 0 or not torch.is_grad_enabled() or reads_all(cell):
        return False
    if torch.compiler.is_compiling() or is_transformed():
        raise SettingsError(
            "recompute: inside torch.compile and torch.func nothing can be computed a second time; give recompute 0"
        )
    return True


def _along(
    chosen: EngineName,
    cell: Cell,
    x: Tensor,
    state: State,
    *,
    lengths: Tensor | None,
    resets: Tensor | None,
    restart: State | None,
    mask: Tensor | None,
    zoneout: Zoneout | None,
) -> tuple[Tensor, State]:
    """Run a cell along time on an engine."""
    if x.shape[1] == 0 or (not reads_all(cell) and (chosen == "loop" or x.shape[0] == 0)):
        return unroll(cell, x, state, lengths=lengths, resets=resets, restart=restart, mask=mask, zoneout=zoneout)
    if chosen == "scan" and isinstance(cell, LinearCell):
        return scan(cell, x, state, lengths=lengths, resets=resets, restart=restart, zoneout=zoneout)

    def quick(x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        if isinstance(cell, TransformerCell):
            return attend(cell, x, state, lengths, plain=chosen == "loop")
        return (native if chosen == "native" else fused)(cell, x, state, lengths)

    if resets is not None and bool(resets.any()):
        return run_episodes(quick, x, state, lengths, resets, restart)
    return quick(x, state, lengths)


def reads_all(cell: Cell) -> bool:
    """Whether a cell reads all steps at once, and has no step to loop over."""
    return isinstance(cell, TransformerCell) and cell.bidirectional


def run_both(
    cells: tuple[Cell, Cell],
    x: Tensor,
    states: tuple[State, State],
    *,
    engine: EngineName,
    lengths: Tensor | None,
    from_zeros: bool,
) -> tuple[Tensor, tuple[State, State]] | None:
    """Two directions at once where an engine can; None where they must run one after the other."""
    if x.shape[0] == 0 or x.shape[1] == 0:
        return None
    chosen = select_engine(engine, cells[0], work=_work(cells[0], x, lengths, x.shape[1]))
    if chosen == "native" and not torch.compiler.is_compiling() and not is_transformed():
        return both_ways(cells, x, states, lengths)
    if chosen == "fused" and both_fit(cells, x, lengths, from_zeros):
        return both(cells, x, states, lengths)
    return None


def _work(cell: Cell, x: Tensor, lengths: Tensor | None, steps: int) -> Work | None:
    """What is to be run, where the table of costs speaks of it: not on another device, in another precision or under a
    compiler, where torch's own kernels stay.
    """
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or is_transformed():
        return None
    training = torch.is_grad_enabled() and (x.requires_grad or any(one.requires_grad for one in cell.parameters()))
    return Work(x.shape[0], steps, lengths is not None, training)
