"""The table of costs remade: every cell that has native kernels, over a grid of shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch

from recurra.bench.sequences import Case, measured_case
from recurra.cells import CELLS
from recurra.engines import why_not
from recurra.engines.costs import Measured, Work, as_text, forget, made_now, user_path
from recurra.errors import SettingsError
from recurra.files import make_folder, write_whole


class Grid(NamedTuple):
    """The shapes that are measured; others are answered by the nearest."""

    rows: tuple[int, ...] = (1, 4, 16, 64)
    steps: tuple[int, ...] = (8, 64)
    hidden_sizes: tuple[int, ...] = (32, 64, 128, 256)

    def work(self) -> Iterator[tuple[int, Work]]:
        """Hidden sizes with what is run; one row alone is never ragged."""
        for hidden, rows, steps in product(self.hidden_sizes, self.rows, self.steps):
            for ragged, training in product((False, True), repeat=2):
                if rows > 1 or not ragged:
                    yield hidden, Work(rows, steps, ragged, training)


GRID = Grid()


def measured_costs(
    rounds: int, tell: Callable[[str], None] = lambda text: None, grid: Grid = GRID
) -> dict[str, dict[str, list[Measured]]]:
    """Measure what `engines.costs` reads; the same cells, kinds and shapes in the same order at each call.

    Args:
        rounds: of each measurement.
        tell: takes a line as each cell begins.
        grid: the shapes.

    Raises:
        SettingsError: no cell has native kernels here.
    """
    names = {type(made).__name__: name for name, made in reversed(_with_kernels().items())}
    if not names:
        raise SettingsError("bench: no cell has native kernels here; `recurra doctor` says why")
    found: dict[str, dict[str, list[Measured]]] = {}
    for kind, name in sorted(names.items()):
        tell(f"{name}: {sum(1 for _ in grid.work())} shapes")
        for hidden, work in grid.work():
            seconds = measured_case(Case(name, hidden, work), rounds)
            native = seconds.pop("native")
            ratio = round(min(seconds.values()) / native, 2)
            found.setdefault(kind, {}).setdefault(work.kind, []).append((work.rows, work.steps, hidden, ratio))
    return found


def save_costs(cells: dict[str, dict[str, list[Measured]]], path: Path | None = None) -> Path:
    """Write a table; it is used from then on where it stands in the user's cache.

    Args:
        path: None: the user's cache.

    Returns:
        The file.

    Raises:
        WorkError: it cannot be written.
    """
    path = path or user_path()
    make_folder(path.parent)
    write_whole(path, as_text(cells, made_now()))
    forget()
    return path


def _with_kernels() -> dict[str, object]:
    with torch.random.fork_rng(devices=[]):
        cells = {name: cell(2, 2) for name, cell in CELLS.items()}
    return {name: cell for name, cell in cells.items() if "native" not in why_not(cell)}
