"""Lines in panels beside each other, each with its interval: the pictures of experiments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter

from recurra.report.plots import BLUE, FAINT, GREEN, GRID, INK, ORANGE, Numbers

PANEL_WIDTH, PANEL_HEIGHT, LEGEND_LINE = 4.6, 3.6, 0.22  # inches
COLOURS = (BLUE, ORANGE, GREEN, "#8250df", "#b3263c", "#0f8a9d", "#8a6d00", "#6e7781", "#d63384")
DASHES = (0, (4, 2))


@dataclass(frozen=True)
class Line:
    """Points joined, in the order given; `low` and `high` are an interval at each, or nothing.

    dashed: for what was not measured, as a law beside its measurement; it takes the colour of the line before it.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines over one pair of axes; a line of one label has one colour in all panels."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False
    y_limits: tuple[float, float] | None = None


def lines_figure(panels: Sequence[Panel]) -> Figure:
    """The panels from left to right, one legend under all, on one vertical axis where they measure the same."""
    labels = list(dict.fromkeys(line.label for panel in panels for line in panel.lines if not line.dashed))
    columns = min(len(labels), 4 if len(panels) == 2 else 6 if len(panels) > 2 else 3)
    height = PANEL_HEIGHT + LEGEND_LINE * math.ceil(len(labels) / max(1, columns))
    width = PANEL_WIDTH * len(panels) if len(panels) < 3 else 3.6 * len(panels)
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    colours = {label: COLOURS[index % len(COLOURS)] for index, label in enumerate(labels)}
    handles: dict[str, Line2D] = {}
    same = len({(panel.y_label, panel.log_y) for panel in panels}) == 1
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False, sharey=same)[0], panels, strict=True):
        _dress(axes, panel, labelled=not same or panel is panels[0])
        colour = INK
        for line in panel.lines:
            colour = colours.get(line.label, colour)
            handle = _draw(axes, line, colour)
            if not line.dashed:
                handles.setdefault(line.label, handle)
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=max(1, columns), frameon=False,
        labelcolor=INK, fontsize=8.5,
    )  # fmt: skip
    return figure


def lines_numbers(panels: Sequence[Panel]) -> Numbers:
    """Every point of every line, a row each."""
    rows: list[list[str | int | float | None]] = []
    for panel in panels:
        for line in panel.lines:
            for index, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
                ends = [line.low[index], line.high[index]] if line.low else [None, None]
                rows.append([panel.title, line.label, x, y, *ends])
    return rows, ["panel", "line", "x", "y", "low", "high"]


def _draw(axes: Axes, line: Line, colour: str) -> Line2D:
    marker = "" if line.dashed or len(line.x) > 20 else "o"
    (drawn,) = axes.plot(
        line.x, line.y, color=colour, marker=marker, markersize=3.6, linewidth=1.0 if line.dashed else 1.7,
        linestyle=DASHES if line.dashed else "-", zorder=2 if line.dashed else 3,
    )  # fmt: skip
    if line.low:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    return drawn


def _dress(axes: Axes, panel: Panel, labelled: bool) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9.5, color=INK, parse_math=False)
    axes.set_xlabel(panel.x_label, fontsize=8.5, color=FAINT, parse_math=False)
    axes.set_ylabel(panel.y_label if labelled else "", fontsize=8.5, color=FAINT, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(which="both", colors=FAINT, labelcolor=INK, labelsize=8.5, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if panel.log_x:
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted({x for line in panel.lines for x in line.x}))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
    if panel.log_y:
        axes.set_yscale("log")
    if panel.y_limits is not None:
        axes.set_ylim(*panel.y_limits)
