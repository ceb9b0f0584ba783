"""How a cell runs along time: the same numbers at different speed."""

from recurra.engines.loop import Zoneout, step, unroll
from recurra.engines.scan import linear_scan
from recurra.engines.selection import is_cut, reads_all, run, run_both, select_engine, why_not

__all__ = [
    "Zoneout",
    "is_cut",
    "linear_scan",
    "reads_all",
    "run",
    "run_both",
    "select_engine",
    "step",
    "unroll",
    "why_not",
]
