"""How a cell runs along time: the same numbers at different speed."""

from recurra.engines.loop import Zoneout, step, unroll
from recurra.engines.selection import run, run_both, select_engine

__all__ = ["Zoneout", "run", "run_both", "select_engine", "step", "unroll"]
