"""Where a decoder looked: a row for each token of the answer, a column for each of the source, darker for more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from recurra.errors import ShapeError
from recurra.report.page import Picture
from recurra.report.plots import BLUES, FAINT, GRID, INK, LABEL_LENGTH, Numbers, axis_labels, drawable, new_figure
from recurra.report.saving import Cell, save_plot
from recurra.report.text import shorten

LARGEST_CELL, SMALLEST_CELL = 0.42, 0.155  # inches; at the smallest a label of 7 points still stands alone
SQUARE = 4.8  # inches that the cells of a short sentence fill
LONGEST_SIDE = 9.3  # inches: 60 of the smallest cells; with more tokens they become smaller still
LABELLED = 120  # tokens of a side beyond which not each is named
NUMBERED_CELL = 0.36  # inches that a percentage needs
EM = 0.62  # width of a letter, of the font's size
BLANK = "␣"
HATCH = "#f3f4f6"


def attention_picture(
    folder: Path,
    name: str,
    title: str,
    weights: NDArray[Any],
    source_labels: Sequence[str],
    target_labels: Sequence[str],
) -> Picture:
    """The heat-map of one sentence, drawn and saved as `plots/NAME.png` and `plots/NAME.csv`.

    Args:
        folder: the run folder, or another.
        name: of the two files, without ending.
        title: what the page says above the picture.
        weights: [T, S], the share of attention that each token of the answer gave each token of the source.
        source_labels: [S] how the tokens are shown. target_labels: [T].

    Raises:
        ShapeError: there are not as many labels as weights.
        WorkError: the disk is full or fails.
    """
    figure = attention_heatmap(weights, source_labels, target_labels)
    png = save_plot(folder, name, figure, *attention_numbers(weights, source_labels, target_labels))
    caption = "Rows: the answer, token by token. Columns: the source. Darker: more of the row's attention"
    numbered = _cell(max(len(source_labels), len(target_labels))) >= NUMBERED_CELL
    caption += ", in per cent where there are numbers." if numbered else "."
    if any(_boxed(label) for label in (*source_labels, *target_labels)):
        caption += f" Boxes are letters that the picture's font lacks; {name}.csv has them."
    return Picture(title, png, f"Attention of {len(target_labels)} tokens over {len(source_labels)}", caption)


def attention_heatmap(weights: NDArray[Any], source_labels: Sequence[str], target_labels: Sequence[str]) -> Figure:
    """Attention as colours, and as percentages where the cells are large enough (about 13 tokens).

    The colour follows the square root of the weight, so that what got a few per cent can be seen.

    Args:
        weights: [T, S] in [0, 1].
        source_labels: [S], above the columns. target_labels: [T], before the rows.

    Raises:
        ShapeError: there are not as many labels as weights.
    """
    weights = _checked(weights, source_labels, target_labels)
    rows, columns = weights.shape
    cell = _cell(max(rows, columns))
    size = max(2.5, min(9.0, 45 * cell))  # points of a label
    sources, targets = ([_shown(label) for label in labels] for labels in (source_labels, target_labels))
    numbered = cell >= NUMBERED_CELL
    slanted = cell >= 0.25
    letter = EM * size / 72
    above = letter * max(map(len, sources), default=0) * (0.75 if slanted else 1)
    before = letter * max(map(len, targets), default=0)
    figure = new_figure(
        max(3.2, columns * cell + before + 0.35 + (0.75 if not numbered else 0.1 + (0.3 * above if slanted else 0))),
        max(1.6, rows * cell + above + 0.4),
    )
    axes = figure.subplots()
    axes.set_facecolor(HATCH)  # what is no number
    if not weights.size:  # nothing was said, or nothing read
        axes.set_axis_off()
        return figure
    image = axes.imshow(np.ma.masked_invalid(weights), cmap=BLUES, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    _label(axes.xaxis, sources, size, 45 if slanted else 90)
    _label(axes.yaxis, targets, size, 0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axis_labels(axes, "source", "answer")
    axes.tick_params(length=0, labelcolor=INK, pad=2)
    axes.spines[:].set_color(GRID)
    if max(rows, columns) <= LABELLED:
        _grid(axes, rows, columns, 0.8 if numbered else 0.3)
    if numbered:
        _percentages(axes, weights, size)
    else:
        bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 2.2 / (rows * cell)), aspect=16, pad=0.02)
        bar.set_ticks([0, 0.05, 0.2, 0.5, 1], labels=["0", "5 %", "20 %", "50 %", "100 %"])
        bar.ax.tick_params(labelsize=7.5, length=2, color=FAINT, labelcolor=INK)
        bar.ax.minorticks_off()
        bar.outline.set_edgecolor(GRID)
    return figure


def attention_numbers(weights: NDArray[Any], source_labels: Sequence[str], target_labels: Sequence[str]) -> Numbers:
    """A token of the answer a row, its weights beside it under the tokens of the source.

    Raises:
        ShapeError: there are not as many labels as weights.
    """
    weights = _checked(weights, source_labels, target_labels)
    rows: list[list[Cell]] = [[label, *map(float, row)] for label, row in zip(target_labels, weights, strict=True)]
    return rows, ["answer \\ source", *source_labels]


def _checked(weights: NDArray[Any], source_labels: Sequence[str], target_labels: Sequence[str]) -> NDArray[np.float64]:
    weights = np.asarray(weights, dtype=np.float64)
    expected = (len(target_labels), len(source_labels))
    if weights.shape != expected:
        raise ShapeError(
            f"attention: weights are {list(weights.shape)}, expected {list(expected)}: a row for each label of the "
            "target, a column for each of the source. Are they the other way round?"
        )
    return weights


def _cell(longest: int) -> float:
    """Inches of a cell's side."""
    wanted = SQUARE / max(1, longest)
    return min(LARGEST_CELL, max(SMALLEST_CELL, wanted), LONGEST_SIDE / max(1, longest))


def _shown(label: str) -> str:
    """A token without the blanks at its ends; one of blanks alone is drawn as such."""
    return drawable(label.strip()) or BLANK


def _boxed(label: str) -> bool:
    return drawable(label) != shorten(label, LABEL_LENGTH)


def _label(axis: Any, labels: Sequence[str], size: float, rotation: float) -> None:
    every = math.ceil(len(labels) / LABELLED) or 1
    kept = range(0, len(labels), every)
    slanted = {"ha": "left", "rotation_mode": "anchor"} if rotation == 45 else {}
    axis.set_ticks(
        list(kept), [labels[at] for at in kept], fontsize=size, rotation=rotation, parse_math=False, **slanted
    )


def _grid(axes: Axes, rows: int, columns: int, width: float) -> None:
    axes.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=GRID, linewidth=width)
    axes.tick_params(which="minor", length=0)


def _percentages(axes: Axes, weights: NDArray[np.float64], size: float) -> None:
    """Whole per cents, those below one left out, white on dark cells."""
    for row, column in np.argwhere(weights >= 0.005):
        value = weights[row, column]
        colour = "white" if value > 0.35 else INK
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=0.9 * size, color=colour)
