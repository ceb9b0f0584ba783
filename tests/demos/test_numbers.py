"""The demo of numbers, small: what it writes and shows. Its figures are those of the whole demo."""

from __future__ import annotations

import csv
import inspect
import json
import sys
from pathlib import Path

import pytest

from recurra.cli.demo import demo
from recurra.demos import DEMOS, DemoResult
from recurra.demos.numbers import numbers
from tests.journeys.test_classify import recurra as call

TINY = {"count": 300, "aside": 20, "epochs": 1, "hidden_size": 8, "embedding_size": 8}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoResult]:
    pytest.importorskip("num2words")
    out = tmp_path_factory.mktemp("numbers")
    return out, numbers(out, "none", **TINY)  # type: ignore[arg-type]


def test_both_figures_stand_in_the_table_beside_word_for_word(shown: tuple[Path, DemoResult]) -> None:
    out, result = shown
    (table,) = result.tables
    measured = json.loads((out / "run" / "result.json").read_text())
    unseen, longer = table.rows
    assert unseen == [
        "never seen", measured["exact_match"], measured["bleu"], measured["baseline_words_exact_match"], 20,
    ]  # fmt: skip
    assert longer[0] == "more than 9 words" and longer[-1] == 20
    assert measured["train_cut"] == 0


def test_the_page_shows_the_attention_of_ninety_seven_and_samples(shown: tuple[Path, DemoResult]) -> None:
    out, result = shown
    assert result.report == out / "report.html"
    page = result.report.read_text()
    assert "ninety-seven →" in page and page.count("data:image/png;base64,") == 1 and "http://" not in page
    assert result.samples[-1].startswith("ninety-seven → ") and len(result.samples) == 6
    header, *rows = list(csv.reader((out / "plots" / "attention.csv").open()))
    assert "".join(header[1:-1]) == "ninety'-seven"  # the apostrophe keeps spreadsheets from reading a formula
    assert all(sum(map(float, row[1:])) == pytest.approx(1, abs=1e-4) for row in rows)


def test_it_is_what_demo_shows_where_no_name_is_given() -> None:
    assert inspect.signature(demo).parameters["name"].default == "numbers" == next(iter(DEMOS))
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert "@$(BIN)/recurra demo\n" in makefile


def test_without_num2words_one_sentence_says_what_adds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)
    done = call("demo", "numbers", "--out", tmp_path / "demo")
    assert done.status == 2 and done.err.count("\n") == 1
    assert "num2words" in done.err and "pip install 'recurra[demo]'" in done.err
    assert not (tmp_path / "demo").exists()
