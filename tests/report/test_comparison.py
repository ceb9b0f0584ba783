"""The pictures of a comparison: every seed, the means as far as they go, the intervals as far as there is room."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recurra.report.comparison import (
    Curve,
    Dots,
    comparison_pictures,
    curves_figure,
    curves_numbers,
    dots_figure,
    dots_numbers,
)

NAN = math.nan
DOTS = [Dots("lstm", [0.8, 0.9], 0.85, -1.0, 2.7), Dots("gru $x^2$", [0.7, NAN], NAN, NAN, NAN)]
DOTS.append(Dots("linear", [0.6], 0.6, NAN, NAN, plain=True))
CURVES = [
    Curve("lstm", 0, [10, 20, 30], [1.0, 2.0, 3.0], [0.5, 0.6, 0.7]),
    Curve("lstm", 1, [10, 20], [2.0, 4.0], [0.7, 0.8]),
    Curve("gru", 0, [10], [1.0], [NAN]),
]


def test_the_mean_line_goes_as_far_as_every_seed() -> None:
    lines = {line.get_label(): line for line in curves_figure(CURVES, "accuracy", "seconds").axes[0].lines}
    assert lines["lstm"].get_xdata() == pytest.approx([1.5, 3.0])
    assert lines["lstm"].get_ydata() == pytest.approx([0.6, 0.7])


def test_every_seed_has_a_thin_line_of_its_own() -> None:
    axes = curves_figure(CURVES, "accuracy", "steps").axes[0]
    thin = [list(line.get_xdata()) for line in axes.lines if line.get_label().startswith("_")]  # type: ignore[union-attr]
    assert thin == [[10, 20, 30], [10, 20]]


def test_values_keep_their_place_beside_a_wide_interval() -> None:
    low, high = dots_figure(DOTS, "accuracy").axes[0].get_xlim()
    assert (low, high) == (pytest.approx(0.45), pytest.approx(1.05))


def test_a_narrow_interval_is_shown_whole() -> None:
    low, high = dots_figure([Dots("a", [0.5, 0.9], 0.7, 0.45, 0.95)], "accuracy").axes[0].get_xlim()
    assert (low, high) == (pytest.approx(0.43), pytest.approx(0.97))


def test_a_plain_method_far_away_is_told_at_the_edge() -> None:
    near, far = Dots("near", [0.95], 0.95, NAN, NAN, plain=True), Dots("far", [0.1], 0.1, NAN, NAN, plain=True)
    axes = dots_figure([Dots("a", [0.7, 0.9], 0.8, NAN, NAN), near, far], "accuracy").axes[0]
    assert axes.get_xlim() == (pytest.approx(0.6875), pytest.approx(0.9625))
    assert [text.get_text() for text in axes.texts] == [" ← 0.1 "]


def test_the_numbers_are_those_drawn() -> None:
    rows, header = dots_numbers(DOTS)
    assert header == ["row", "mean", "low", "high", "value 1", "value 2"]
    assert rows[1] == ["gru $x^2$", None, None, None, 0.7, None]
    assert rows[2] == ["linear", 0.6, None, None, 0.6, None]
    rows, header = curves_numbers(CURVES)
    assert header == ["row", "seed", "step", "seconds", "value"]
    assert rows[4] == ["lstm", 1, 20.0, 4.0, 0.8] and rows[5] == ["gru", 0, 10.0, 1.0, None]


def test_pictures_are_saved_with_their_numbers(tmp_path: Path) -> None:
    titles = [picture.title for picture in comparison_pictures(tmp_path, "macro_f1", DOTS, CURVES)]
    assert titles == ["Test macro f1", "Validation macro f1 over steps", "Validation macro f1 over time"]
    names = {f"{name}.{kind}" for name in ("test", "over_steps", "over_time") for kind in ("png", "csv")}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == names


def test_without_a_history_there_are_no_curves(tmp_path: Path) -> None:
    assert len(comparison_pictures(tmp_path, "accuracy", DOTS, [Curve("lstm", 0, [], [], [])])) == 1
