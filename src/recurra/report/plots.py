"""The pictures of a run, drawn on figures of their own: no global state, no window, no users' text read as markup.

Each picture has a twin `…_numbers` that gives the rows and header of its CSV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from recurra.report.saving import Cell
from recurra.report.text import shorten

Record = dict[str, Any]
Numbers = tuple[list[list[Cell]], list[str]]

WIDTH = (
    5.2  # inches: at 200 dots an inch a picture keeps 9-point text readable on a phone and fills half a desktop page
)
FONT = "DejaVu Sans"  # comes with matplotlib, so that every machine draws the same
INK, FAINT, GRID = "#1f2328", "#6e7781", "#e4e7eb"
BLUE, ORANGE, GREEN = "#2368b8", "#d9660f", "#1a7f5a"
BLUES = LinearSegmentedColormap.from_list("share", ["#ffffff", "#cfe0f3", "#7eaede", "#2f74c0", "#123f7a"])

NUMBERED_CLASSES = 20  # with more classes the counts would not be legible
LABELLED_CLASSES = 120
LABEL_LENGTH = 30
BARS = 40


def curves(history: Sequence[Record], metric: str, higher_is_better: bool = True) -> Figure:
    """Losses and the validation metric over the training steps, the best evaluation marked; the loss has one picture.

    Args:
        history: the lines of metrics.jsonl: `step`, `train_loss`, `valid_loss`, `valid_METRIC`; what a line lacks
            is not drawn.
        metric: name of the metric that chose the best weights, without `valid_`.
        higher_is_better: whether its best value is the highest.
    """
    two = metric != "loss"
    figure = new_figure(WIDTH, 4.4 if two else 2.8)
    losses, *others = figure.subplots(1 + two, sharex=True, squeeze=False)[:, 0]
    scores = others[0] if two else losses
    for axes in (losses, *others):
        plain_axes(axes)
    steps = _column(history, "step")
    for name, label, colour in (("train_loss", "training", BLUE), ("valid_loss", "validation", ORANGE)):
        _line(losses, steps, _column(history, name), label, colour)
    values = _column(history, f"valid_{metric}")
    colour = GREEN if two else ORANGE
    if two:
        _line(scores, steps, values, "validation", colour)
    best = best_evaluation(history, metric, higher_is_better)
    if best is not None:
        for axes in (losses, *others):
            axes.axvline(steps[best], color=FAINT, linewidth=0.9, linestyle=(0, (3, 3)), zorder=1)
        scores.plot(steps[best], values[best], "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)
        title = f"{_words(metric)}: best {values[best]:.4g} at step {steps[best]:.0f}"
    else:
        title = _words(metric)
    if two:
        axes_title(losses, "loss")
    axes_title(scores, title)
    axis_labels(scores, "training step", "")
    scores.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if losses.get_legend_handles_labels()[0]:
        losses.legend(frameon=False, labelcolor=INK, fontsize=8.5)
    return figure


def curves_numbers(history: Sequence[Record], metric: str) -> Numbers:
    """The drawn columns of the history, an evaluation a row."""
    names = list(dict.fromkeys(["step", "train_loss", "valid_loss", f"valid_{metric}"]))
    return [[record.get(name) for name in names] for record in history], names


def best_evaluation(history: Sequence[Record], metric: str, higher_is_better: bool = True) -> int | None:
    """Index of the first evaluation with the best value of the metric, None where it was never a number."""
    values = _column(history, f"valid_{metric}")
    if not np.isfinite(values).any():
        return None
    values = np.where(np.isfinite(values), values if higher_is_better else -values, -np.inf)
    return int(values.argmax())


def confusion(matrix: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """A confusion matrix: colour = share of the true class's rows, and the counts where they are legible.

    The colour follows the square root of the share, so that a few per cent of confusion can be seen.

    Args:
        matrix: [C, C] rows counted, row = truth, column = prediction.
        names: the C classes.
    """
    classes = len(names)
    shares = _shares(matrix)
    many = classes > NUMBERED_CLASSES
    side = WIDTH if classes <= 10 else 7.0 if not many else min(7.0 + (classes - NUMBERED_CLASSES) / 18, 10.6)
    size = 9.0 if not many else max(2.5, min(8.0, side * 43 / classes))
    figure = new_figure(side, side * (0.8 if classes <= 3 else 0.92))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=BLUES, norm=PowerNorm(0.5, 0, 1), aspect="auto" if classes <= 3 else "equal")
    every = math.ceil(classes / LABELLED_CLASSES) or 1
    ticks = list(range(0, classes, every))
    labels = [drawable(names[tick]) for tick in ticks]
    longest = max(map(len, labels), default=0)
    upright = classes <= 10 and longest * classes <= 50
    axes.set_xticks(ticks, labels, rotation=0 if upright else 90, fontsize=size, parse_math=False)
    axes.set_yticks(ticks, labels, fontsize=size, parse_math=False)
    axis_labels(axes, "predicted", "true")
    axes.spines[:].set_color(GRID)
    axes.tick_params(length=0, labelcolor=INK)
    if classes <= LABELLED_CLASSES:
        axes.set_xticks(np.arange(classes - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(classes - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=GRID, linewidth=0.3 if many else 0.8)
        axes.tick_params(which="minor", length=0)
    if many:
        bar = figure.colorbar(image, ax=axes, shrink=0.4, aspect=18, pad=0.02)
        bar.set_label("share of the true class", fontsize=8, color=INK)
        bar.set_ticks([0, 0.05, 0.2, 0.5, 1], labels=["0", "5 %", "20 %", "50 %", "100 %"])
        bar.ax.tick_params(labelsize=7.5, length=2, color=FAINT, labelcolor=INK)
        bar.ax.minorticks_off()
    else:
        _counts(axes, np.asarray(matrix), shares, cell_width=side * 0.72 * 72 / classes)
    return figure


def confusion_numbers(matrix: NDArray[np.int64], names: Sequence[str]) -> Numbers:
    """The matrix with the true class before each row."""
    return [[name, *(int(count) for count in row)] for name, row in zip(names, np.asarray(matrix), strict=True)], [
        "true \\ predicted",
        *names,
    ]


def length_histogram(lengths: Sequence[int], unit: str = "steps") -> Figure:
    """How long the sequences are.

    Args:
        lengths: of each sequence.
        unit: what a length counts: steps, tokens, …
    """
    figure = new_figure(WIDTH, 2.8)
    axes = figure.subplots()
    plain_axes(axes)
    bins = _bins(lengths)
    for first, last, count in bins:
        axes.bar((first + last) / 2, count, width=(last - first + 1) * 0.9, color=BLUE, linewidth=0)
    if len(lengths):
        middle = float(np.median(np.asarray(lengths)))
        axes.axvline(middle, color=ORANGE, linewidth=1.4)
        axes_title(axes, f"median {middle:g}, longest {max(lengths)} {unit}")
    axis_labels(axes, f"length ({unit})", "sequences")
    axes.grid(axis="x", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    return figure


def length_numbers(lengths: Sequence[int]) -> Numbers:
    """The bars: shortest and longest length in each, and its sequences."""
    return [list(bar) for bar in _bins(lengths)], ["from", "to", "sequences"]


def scatter(truths: NDArray[np.float64], values: NDArray[np.float64]) -> Figure:
    """Answered against true numbers, with the line on which they are equal.

    Args:
        truths, values: [N], in one unit.
    """
    figure = new_figure(WIDTH, WIDTH * 0.8)
    axes = figure.subplots()
    plain_axes(axes)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    if len(truths):
        ends = [float(min(truths.min(), values.min())), float(max(truths.max(), values.max()))]
        axes.plot(ends, ends, color=ORANGE, linewidth=1.4, zorder=2)
        alpha = 0.8 if len(truths) <= 200 else 0.4 if len(truths) <= 2000 else 0.15
        axes.plot(truths, values, "o", color=BLUE, markersize=4, alpha=alpha, markeredgewidth=0, zorder=3)
    axis_labels(axes, "true", "answered")
    return figure


def scatter_numbers(truths: NDArray[np.float64], values: NDArray[np.float64]) -> Numbers:
    """A row of the data a row."""
    return [[float(truth), float(value)] for truth, value in zip(truths, values, strict=True)], ["true", "answered"]


def images(pictures: Sequence[NDArray[np.float32]], captions: Sequence[str], columns: int = 6) -> Figure:
    """Small grey images in a grid, a caption under each.

    Args:
        pictures: [H, W] each, 0 = paper, 1 = ink.
        captions: one a picture.
        columns: pictures side by side.
    """
    rows = max(1, math.ceil(len(pictures) / columns))
    figure = new_figure(WIDTH, rows * (WIDTH / columns + 0.22))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(pictures) :]:
        axes.set_axis_off()
    for axes, picture, caption in zip(grid.flat, pictures, captions, strict=False):
        axes.imshow(picture, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xlabel(drawable(caption), fontsize=8.5, color=INK, labelpad=3, parse_math=False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(GRID)
    return figure


def image_numbers(pictures: Sequence[NDArray[np.float32]], captions: Sequence[str]) -> Numbers:
    """A picture a row: its caption and its pixels, row after row."""
    pixels = max((picture.size for picture in pictures), default=0)
    return [
        [caption, *(float(value) for value in picture.ravel())]
        for picture, caption in zip(pictures, captions, strict=True)
    ], ["caption", *(f"pixel {index}" for index in range(pixels))]


def new_figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def plain_axes(axes: Axes) -> None:
    """Two spines, quiet ticks, horizontal lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8.5, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def axis_labels(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=8.5, color=FAINT, parse_math=False)
    axes.set_ylabel(y, fontsize=8.5, color=FAINT, parse_math=False)


def axes_title(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=9.5, color=INK, parse_math=False)


def _line(axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], label: str, colour: str) -> None:
    """A line through the values that are numbers; each is dotted while that stays readable."""
    known = np.isfinite(values)
    if known.any():
        marker = "o" if known.sum() <= 40 else ""
        axes.plot(steps[known], values[known], marker=marker, markersize=2.8, linewidth=1.6, color=colour, label=label)


def _column(history: Sequence[Record], name: str) -> NDArray[np.float64]:
    values = [record.get(name) for record in history]
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _counts(axes: Axes, matrix: NDArray[np.int64], shares: NDArray[np.float64], cell_width: float) -> None:
    """The counts, zeros left out, white on dark cells, no wider than a cell (in points)."""
    for truth, predicted in np.argwhere(matrix):
        text = str(matrix[truth, predicted])
        size = min(9.0, cell_width / (0.7 * len(text)))  # a digit is about 0.64 em wide
        colour = "white" if shares[truth, predicted] > 0.35 else INK
        axes.text(predicted, truth, text, ha="center", va="center", fontsize=size, color=colour)


def _shares(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each row over its sum; a class without rows is all zero."""
    counts = np.asarray(matrix, dtype=np.float64)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return shares


def _bins(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """(shortest, longest, sequences) of at most BARS bars of one whole width, the empty ones included."""
    if not len(lengths):
        return []
    low, high = min(lengths), max(lengths)
    width = math.ceil((high - low + 1) / BARS)
    counts = np.bincount((np.asarray(lengths) - low) // width)
    return [(low + bar * width, low + (bar + 1) * width - 1, int(count)) for bar, count in enumerate(counts)]


def drawable(text: str) -> str:
    """A label short enough to draw, with a box for each character that the font does not have."""
    glyphs = _glyphs()
    return "".join(
        character if ord(character) in glyphs else "\N{WHITE SQUARE}" for character in shorten(text, LABEL_LENGTH)
    )


@cache
def _glyphs() -> dict[int, int]:
    """The characters of the font."""
    return dict(get_font(findfont(FONT)).get_charmap())


def _words(metric: str) -> str:
    return metric.replace("_", " ")
