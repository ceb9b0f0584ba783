"""CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")

Cell = str | int | float | None


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
