"""A picture as PNG bytes, its numbers as CSV, and both written beside each other."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from recurra.files import make_folder, write_whole
from recurra.report.inert_csv import Cell, csv_text

DOTS_PER_INCH = 200


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


__all__ = ["DOTS_PER_INCH", "Cell", "csv_text", "png_bytes", "save_plot"]
