"""The pictures of a comparison: values on test data with their intervals, and validation over steps and over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recurra.report.page import Picture
from recurra.report.plots import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    WIDTH,
    Numbers,
    axes_title,
    axis_labels,
    drawable,
    new_figure,
    plain_axes,
)
from recurra.report.saving import save_plot

COLOURS = (BLUE, ORANGE, GREEN, "#8250df", "#b3263c", "#0f8a9d", "#8a6d00", "#d63384")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))  # where there are more rows than colours
DOTS_WIDTH, ROW_HEIGHT = 6.0, 0.34  # inches
MARGIN = 0.5  # beside the values, of their range: intervals of two seeds would leave nothing else to see
LEGEND_ROW = 0.24
MOST_IN_A_ROW = 4
Against = Literal["steps", "seconds"]
FILES: dict[Against, str] = {"steps": "over_steps", "seconds": "over_time"}
LABELS: dict[Against, str] = {"steps": "training step", "seconds": "seconds of training, evaluations included"}


@dataclass(frozen=True)
class Dots:
    """One row: a value a seed, their mean and its interval (NaN where there is none); plain: whether it is no model."""

    name: str
    values: Sequence[float]
    mean: float
    low: float
    high: float
    plain: bool = False


@dataclass(frozen=True)
class Curve:
    """One training's evaluations: steps, seconds and the validation metric, NaN where it was not finite."""

    name: str
    seed: int
    steps: Sequence[float]
    seconds: Sequence[float]
    values: Sequence[float]


def comparison_pictures(folder: Path, metric: str, dots: Sequence[Dots], curves: Sequence[Curve]) -> list[Picture]:
    """All pictures, drawn and saved in `plots/`.

    Raises:
        WorkError: the disk is full or fails.
    """
    words = metric.replace("_", " ")
    pictures = [
        Picture(
            f"Test {words}",
            save_plot(folder, "test", dots_figure(dots, words), *dots_numbers(dots)),
            f"Test {words} of each row, a dot a seed, with the mean and its interval",
            "Small rings: a seed each. Large: their mean, with its 95 % interval where there are two seeds or more; an "
            "interval that reaches the edge goes on beyond it.",
        )
    ]
    if any(len(curve.values) for curve in curves):
        for against, name in FILES.items():
            figure = curves_figure(curves, words, against)
            png = save_plot(folder, name, figure, *curves_numbers(curves))
            title = f"Validation {words} over {'steps' if against == 'steps' else 'time'}"
            caption = "Thin: a seed each. Thick: their mean, as far as all of them go."
            pictures.append(Picture(title, png, f"{title}, a line for each row", caption))
    return pictures


def dots_figure(dots: Sequence[Dots], words: str) -> Figure:
    """A row below the other; the plain methods in grey."""
    figure = new_figure(DOTS_WIDTH, 0.9 + ROW_HEIGHT * len(dots))
    axes = figure.subplots()
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.8)
    for place, row in enumerate(dots):
        colour = FAINT if row.plain else COLOURS[place % len(COLOURS)]
        finite = [value for value in row.values if math.isfinite(value)]
        if math.isfinite(row.low):
            axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.6, alpha=0.6, zorder=2)
        if math.isfinite(row.mean):
            axes.plot(row.mean, place, "o", color=colour, markersize=8, markeredgecolor="white", zorder=3)
        axes.plot(finite, [place] * len(finite), "o", color=colour, markersize=4, markerfacecolor="white", zorder=4)
    axes.set_yticks(range(len(dots)), [drawable(row.name) for row in dots], parse_math=False)
    axes.set_ylim(len(dots) - 0.4, -0.6)
    axes.set_xlim(*_limits(dots))
    for place, row in enumerate(dots):
        _beyond(axes, row, place)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axis_labels(axes, f"{words} on test data", "")
    return figure


def _limits(dots: Sequence[Dots]) -> tuple[float, float]:
    """Room for all values of the cells, and for their intervals as far as they leave the values their place."""
    cells = [row for row in dots if not row.plain] or dots
    values = [value for row in cells for value in (*row.values, row.mean) if math.isfinite(value)] or [0.0, 1.0]
    values += [row.mean for row in dots if row.plain and _near(row.mean, values)]
    ends = [end for row in cells for end in (row.low, row.high) if math.isfinite(end)]
    low, high = min(values), max(values)
    room = MARGIN * (high - low) or 0.05 * abs(high) or 1.0
    least, most = min([low, *ends]), max([high, *ends])
    edge = 0.1 * room
    return max(low - room, least - edge), min(high + room, most + edge)


def _near(value: float, values: Sequence[float]) -> bool:
    """Whether a plain method lies where the cells do, or not far from it."""
    reach = max(values) - min(values) or 0.05 * abs(max(values))
    return min(values) - reach <= value <= max(values) + reach


def _beyond(axes: Axes, row: Dots, place: int) -> None:
    """The value of a row that lies outside of the picture, at its edge."""
    low, high = axes.get_xlim()
    if not math.isfinite(row.mean) or low <= row.mean <= high:
        return
    left = row.mean < low
    text, x, side = (f"← {row.mean:.4g}", low, "left") if left else (f"{row.mean:.4g} →", high, "right")
    axes.text(x, place, f" {text} ", ha=side, va="center", fontsize=8.5, color=FAINT)


def dots_numbers(dots: Sequence[Dots]) -> Numbers:
    """A row of the picture a row, its seeds' values at the end."""
    most = max((len(row.values) for row in dots), default=0)
    rows = [
        [row.name, known(row.mean), known(row.low), known(row.high), *(known(value) for value in row.values)]
        + [None] * (most - len(row.values))
        for row in dots
    ]
    return rows, ["row", "mean", "low", "high", *(f"value {number + 1}" for number in range(most))]


def curves_figure(curves: Sequence[Curve], words: str, against: Against) -> Figure:
    """A thin line a training, a thick one through the means of the evaluations that all trainings of a row have."""
    names = list(dict.fromkeys(curve.name for curve in curves))
    columns = min(len(names), MOST_IN_A_ROW)
    figure = new_figure(WIDTH, 3.0 + LEGEND_ROW * math.ceil(len(names) / columns))
    axes = figure.subplots()
    plain_axes(axes)
    for index, name in enumerate(names):
        style: dict[str, Any] = {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
        }
        _draw(axes, [curve for curve in curves if curve.name == name], against, style)
    axis_labels(axes, LABELS[against], "")
    axes_title(axes, f"validation {words}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=against == "steps", nbins=6))
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, labelcolor=INK, fontsize=8.5
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def curves_numbers(curves: Sequence[Curve]) -> Numbers:
    """An evaluation a row."""
    rows = [
        [curve.name, curve.seed, *(known(number) for number in point)]
        for curve in curves
        for point in zip(curve.steps, curve.seconds, curve.values, strict=True)
    ]
    return rows, ["row", "seed", "step", "seconds", "value"]


def _draw(axes: Axes, curves: Sequence[Curve], against: Against, style: dict[str, Any]) -> None:
    several = len(curves) > 1
    for curve in curves:
        if several:
            axes.plot(getattr(curve, against), curve.values, linewidth=0.8, alpha=0.4, zorder=2, **style)
    common = min(len(curve.values) for curve in curves)
    x = np.mean([getattr(curve, against)[:common] for curve in curves], axis=0)
    y = np.mean([curve.values[:common] for curve in curves], axis=0)
    marker = "o" if common == 1 else ""
    axes.plot(x, y, linewidth=1.9, marker=marker, markersize=4, label=drawable(curves[0].name), zorder=3, **style)


def known(value: float) -> float | None:
    """A number as JSON and CSV have it: None for NaN."""
    return float(value) if math.isfinite(value) else None
