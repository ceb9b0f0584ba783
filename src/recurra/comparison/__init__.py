"""Cells compared honestly: same data, same order, same budget, several seeds; and runs that exist beside each other.

    compare_cells(task, settings, cells=[…], seeds=3, given=Given(…), out=folder, progress="none", isolated=True)

trains each cell with each seed into `out/runs/CELL-SEED`, each a run folder, and returns a `Comparison`, which it has
written as `out/compare.html`, `compare.json` and `compare.csv`. With `isolated` each training has a process of its own.
`settings` are those of every run (`from_keywords(task, …)`); cell and seed are put in.
"""

from recurra.comparison.comparison import Comparison, untimed
from recurra.comparison.making import compare_cells, compare_runs, resume_comparison, try_cells
from recurra.comparison.plan import DEFAULT_CELLS, SEEDS, representative
from recurra.comparison.rows import Entry, Row

__all__ = [
    "DEFAULT_CELLS",
    "SEEDS",
    "Comparison",
    "Entry",
    "Row",
    "compare_cells",
    "compare_runs",
    "representative",
    "resume_comparison",
    "try_cells",
    "untimed",
]
