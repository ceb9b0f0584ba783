"""What notebooks show: small tables in which every text is text."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import recurra
from recurra.html import html_table
from recurra.tasks import Prediction

TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td"}


class Cells(HTMLParser):
    """The tags of a page without their attributes, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        assert not attributes
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_run_shows_its_scores_beside_the_baselines(tmp_path: Path) -> None:
    data = {"text": ["good film", "bad film"] * 20, "label": ["g", "b"] * 20}
    run = recurra.train("classify", data=data, epochs=1, hidden_size=4, out=tmp_path / "<b>")
    run.result = {name: value for name, value in run.result.items() if not name.startswith("baseline_")}
    run.result["baseline_linear_accuracy"] = 0.25
    shown = Cells(run._repr_html_())
    assert shown.tags == TAGS
    assert shown.texts[0] == f"classify run {run.path}: lstm of 4"
    assert shown.texts[1:5] == ["metric", "test", "validation", "linear"]
    expected = ["accuracy", f"{run.result['accuracy']:.4f}", f"{run.result['valid_accuracy']:.4f}", "0.2500"]
    assert shown.texts[5:9] == expected


def test_a_prediction_shows_its_label_and_the_likeliest() -> None:
    probabilities = {"<script>": 0.5, "a": 0.3, "b": 0.1, "c": 0.05, "d": 0.03, "e": 0.02}
    shown = Cells(Prediction("<script>", probabilities)._repr_html_())
    assert shown.tags == TAGS
    assert shown.texts[:5] == ["<script>", "label", "probability", "<script>", "0.5000"]
    assert shown.texts[-2:] == ["d", "0.0300"]
    assert Cells(Prediction((), {"a": 0.1})._repr_html_()).texts[0] == "(none)"
    assert Cells(Prediction(("a", "b"), {"a": 0.9, "b": 0.8})._repr_html_()).texts[0] == "a, b"


def test_long_texts_are_cut_and_what_no_page_can_hold_is_replaced() -> None:
    texts = Cells(html_table("\ud800", ["x" * 1000], [[None], [3]])).texts
    assert texts[0] == "?"
    assert texts[1] == "x" * 199 + "…"
    assert texts[2:] == ["3"]
