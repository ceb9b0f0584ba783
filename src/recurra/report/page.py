"""The report: one self-contained page, with no script and no address in it.

Whatever a user's text holds, it is text: every value is escaped, and the page's own policy forbids the rest.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from recurra.files import write_whole
from recurra.report.saving import DOTS_PER_INCH, Cell
from recurra.report.text import readable, shorten

NAME_LENGTH = 80  # characters shown of a name, a label or a cell
VALUE_LENGTH = 300
SAMPLE_LENGTH = 400
PASSAGE_LENGTH = 1200
DIGITS = 4  # significant, of the largest number of a column
WIDE = 1200  # pixels from which a picture takes the page's whole width
TALL = 20  # rows beyond which a table scrolls in a box of bounded height


@dataclass(frozen=True)
class Headline:
    """The number that a reader came for."""

    name: str
    value: str
    note: str = ""
    """What to read it against: "plain baseline 0.9140, 872 test rows"."""


@dataclass(frozen=True)
class Table:
    """Rows under a header. Numbers are aligned right, each column with the same decimals; None is an empty cell."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG, what it shows in words for those who do not see it, and a caption."""

    title: str
    png: bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Sample:
    """One prediction: `probability` is that of the prediction, 0 to 1; `truth` None where it is not known."""

    text: str
    truth: str | None
    prediction: str
    probability: float | None = None


@dataclass(frozen=True)
class Passage:
    """A text that the model wrote, shown with its lines, and how it was drawn."""

    name: str
    text: str


@dataclass(frozen=True)
class ReportPage:
    """Everything on a report, in the order in which it is shown."""

    title: str
    subtitle: str
    headline: Headline
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    samples: Sequence[Sample] = ()
    passages: Sequence[Passage] = ()
    settings: Sequence[tuple[str, str]] = ()


def write_report(folder: Path, page: ReportPage) -> None:
    """Write `report.html` in a run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    write_whole(folder / "report.html", render(page))


def render(page: ReportPage) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("recurra", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["name"] = lambda text: shorten(text, NAME_LENGTH)
    environment.filters["value"] = lambda text: shorten(text, VALUE_LENGTH).replace(" %", "\N{NO-BREAK SPACE}%")
    environment.filters["sample"] = lambda text: shorten(text, SAMPLE_LENGTH)
    environment.filters["lines"] = _lines
    environment.filters["columns"] = columns
    environment.filters["data_uri"] = _data_uri
    environment.filters["size"] = picture_size
    return environment.get_template("page.html").render(
        page=page, wide=WIDE, tall=TALL, dots_per_pixel=DOTS_PER_INCH / 100
    )


def _lines(text: str) -> str:
    """The first of a text, its lines kept."""
    return "\n".join(readable(line) for line in text[:PASSAGE_LENGTH].split("\n"))


@dataclass(frozen=True)
class _Column:
    name: str
    numeric: bool
    cells: list[str]


def columns(table: Table) -> list[_Column]:
    """A table's columns with their cells as text."""
    return [
        _Column(
            name=shorten(name, NAME_LENGTH),
            numeric=_numeric([row[index] for row in table.rows]),
            cells=_cells([row[index] for row in table.rows]),
        )
        for index, name in enumerate(table.header)
    ]


def _numeric(cells: list[Cell]) -> bool:
    return any(isinstance(cell, int | float) for cell in cells) and not any(isinstance(cell, str) for cell in cells)


def _cells(cells: list[Cell]) -> list[str]:
    """Integers with commas between thousands; floats with decimals enough for DIGITS of the column's largest."""
    largest = max((abs(cell) for cell in cells if isinstance(cell, float) and math.isfinite(cell)), default=0.0)
    decimals = max(0, DIGITS - (math.floor(math.log10(largest)) + 1 if largest > 1 else 0))  # 1.0 is a fraction too

    def show(cell: Cell) -> str:
        if cell is None:
            return ""
        if isinstance(cell, str):
            return shorten(cell, NAME_LENGTH)
        return f"{cell:,.{decimals}f}" if isinstance(cell, float) else f"{cell:,}"

    return [show(cell) for cell in cells]


def picture_size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from a PNG's first chunk; the page keeps the place before the picture is decoded."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
