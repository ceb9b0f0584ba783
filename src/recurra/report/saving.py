"""A picture as PNG bytes, its numbers as CSV, and both written beside each other."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from recurra.files import make_folder, write_whole

DOTS_PER_INCH = 200
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")

Cell = str | int | float | None


def save_plot(folder: Path, name: str, figure: Figure, rows: Iterable[Sequence[Cell]], header: Sequence[str]) -> bytes:
    """Write `plots/NAME.png` and `plots/NAME.csv` in a run folder.

    Args:
        folder: the run folder; its `plots` is made where it is missing.
        name: file name without ending.
        figure: what to draw.
        rows: the numbers behind it.
        header: names of their columns.

    Returns:
        The PNG, as it was written.

    Raises:
        WorkError: the disk is full or fails.
    """
    plots = folder / "plots"
    make_folder(plots)
    png = png_bytes(figure)
    write_whole(plots / f"{name}.png", png)
    write_whole(plots / f"{name}.csv", csv_text(rows, header))
    return png


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # without this the file names matplotlib's version, and bytes differ between versions that draw the same
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def csv_text(rows: Iterable[Sequence[Cell]], header: Sequence[str]) -> str:
    """A CSV table that no spreadsheet runs: text that looks like a formula starts with an apostrophe.

    Numbers stay numbers, negative ones too; None is an empty cell.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_inert(cell) for cell in header])
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _inert(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    # a lone surrogate has no UTF-8, and many readers stop at NUL
    cell = cell.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    cell = cell.replace("\r\n", "\n").replace("\r", "\n")  # csv in Python 3.11 does not quote a cell for a lone \r
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
