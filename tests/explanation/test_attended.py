"""What explain says of a translator: the attention that its answer came with, in files that leave the run as it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import recurra
from recurra.errors import DataError, RunError, SettingsError
from recurra.explanation import MOST_SENTENCES, Attended
from recurra.files import locked
from recurra.report.explained import keep_explanation
from recurra.run import TranslateRun
from recurra.run.certificate import seal_of
from recurra.training.folder import clear
from tests.journeys.test_classify import recurra as call

GOLDEN = Path(__file__).parents[1] / "golden"
TINY: dict[str, Any] = {"epochs": 1, "hidden_size": 8, "unit": "word", "min_count": 1, "joint": False, "batch_size": 8}
PAIRS = {
    "source": [f"{colour} {thing}" for colour in ("red", "blue", "old") for thing in ("cat", "dog", "hat", "house")]
    * 2,
    "target": [f"{thing} {colour}" for colour in ("rouge", "bleu", "vieux") for thing in ("chat", "chien", "s", "m")]
    * 2,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TranslateRun:
    run = recurra.train("translate", data=PAIRS, out=tmp_path_factory.mktemp("explained") / "run", **TINY)
    assert isinstance(run, TranslateRun)
    return run


@pytest.fixture
def copied(run: TranslateRun, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(run.path, tmp_path / "run"))


class Shares(HTMLParser):
    """The darkness of each cell of data, and the texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.alphas: list[float] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.alphas.append(float(dict(attributes)["style"].rstrip(")").rpartition(",")[2]))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_weights_are_those_of_the_answer_that_predict_gives(run: TranslateRun) -> None:
    texts = ["old house", "", "a cat that nobody has seen"]
    several = recurra.explain(run, texts)
    for text, found, expected in zip(texts, several, run.predict(texts, attention=True), strict=True):
        assert (found.source, found.answer, found.score) == (text, expected.text, expected.score)
        assert found.target_labels == expected.target_labels and found.source_labels == expected.source_labels
        assert found.source_labels == (*text.split(), "<end>")
        np.testing.assert_array_equal(found.weights, expected.attention)
        assert found.weights.shape == (len(found.target_labels), len(found.source_labels))
        np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-5)
    one = recurra.explain(run.path, "old house")
    np.testing.assert_allclose(one.weights, several[0].weights, atol=1e-6)


def test_each_token_is_shown_with_what_it_looked_at_most() -> None:
    weights = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], dtype=np.float32)
    found = Attended("a b", "x", -1.0, ("a", "b", "<end>"), ("x", "<end>"), weights)
    assert [(target, source, round(weight, 4)) for target, source, weight in found.rows()] == [
        ("x", "b", 0.7), ("<end>", "a", 0.5),
    ]  # fmt: skip
    assert found.sharpness == pytest.approx(0.6)
    nothing = Attended("", "", 0.0, (), (), np.zeros((0, 0), dtype=np.float32))
    assert nothing.rows() == [] and nothing.sharpness == 0


def test_a_notebook_shows_darker_cells_for_larger_weights_and_text_as_text() -> None:
    weights = np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32)
    shown = Shares(Attended("<script>", "&", 0.0, ("<b>", "<end>"), ("é", "<end>"), weights)._repr_html_())
    assert shown.alphas == [0.5, 0.87, 1.0, 0.0]
    assert shown.texts == ["<script> → &", "<b>", "<end>", "é", "<end>"]
    assert shown.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_runs_of_other_tasks_and_decoders_without_attention_are_refused_in_a_sentence(run: TranslateRun) -> None:
    with pytest.raises(RunError, match="is a tag run, and explain shows the attention of translate runs only"):
        recurra.explain(GOLDEN / "run-0.3.0-tag", "good film")
    blind = recurra.load(run.path)
    model = replace(blind.settings.model, attention="none", input_feeding=False)
    blind.parts.settings = replace(blind.settings, model=model)
    with pytest.raises(RunError, match=r"trained with attention none: .*; train one with --attention general"):
        recurra.explain(blind, "red cat")


def test_no_text_too_many_and_what_is_no_text_are_refused(run: TranslateRun) -> None:
    with pytest.raises(SettingsError, match="there is no text"):
        recurra.explain(run, [])
    endless = iter(lambda: "red cat", "")
    with pytest.raises(SettingsError, match=f"more than {MOST_SENTENCES} texts"):
        recurra.explain(run, endless)
    with pytest.raises(DataError, match="row 2"):
        recurra.explain(run, ["red cat", 7])  # type: ignore[list-item]


def test_the_page_and_its_pictures_leave_the_run_valid_and_are_never_overwritten(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = SimpleNamespace(now=lambda: datetime(2026, 3, 1, 12))  # two explanations of one second
    monkeypatch.setattr("recurra.report.explained.datetime", noon)
    run = recurra.load(copied)
    before = seal_of(copied)
    explained = recurra.explain(run, ["red cat", "<img src=x>"])
    first, second = keep_explanation(run, explained), keep_explanation(run, explained)
    assert (first.name, second.name) == ("20260301-120000", "20260301-120000-2")
    assert first.parent == second.parent == copied / "explanations"
    for folder in (first, second):
        written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        pictures = {f"plots/attention-{number}.{kind}" for number in (1, 2) for kind in ("png", "csv")}
        assert written == {"report.html", *pictures}
    page = (first / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "<img src=x>" not in page and "<script" not in page
    assert seal_of(copied) == before
    assert recurra.explain(copied, "red cat").answer == explained[0].answer


def test_a_folder_with_something_in_it_is_refused_and_so_is_a_run_in_use(copied: Path, tmp_path: Path) -> None:
    run = recurra.load(copied)
    explained = recurra.explain(run, ["red cat"])
    out = tmp_path / "there" / "below"
    assert keep_explanation(run, explained, out) == out
    page = (out / "report.html").read_bytes()
    with pytest.raises(RunError, match="is there already; give another --out"):
        keep_explanation(run, explained, out)
    assert (out / "report.html").read_bytes() == page
    with locked(copied), pytest.raises(RunError, match="in use"):
        keep_explanation(run, explained)


def test_explanations_go_with_the_run_that_is_replaced(copied: Path) -> None:
    run = recurra.load(copied)
    keep_explanation(run, recurra.explain(run, ["red cat"]))
    with locked(copied):
        clear(copied)
    assert not (copied / "explanations").exists()


def test_the_command_prints_what_each_token_looked_at_and_the_page_last(copied: Path, tmp_path: Path) -> None:
    done = call("explain", copied, "red cat", "old\x1b[31m hat", "--out", tmp_path / "page")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "text: red cat" and "\x1b" not in done.out
    assert "answer" in lines[3] and "looked at" in lines[3]
    assert lines[-1] == str(tmp_path / "page" / "report.html") and Path(lines[-1]).exists()
    read = call("explain", copied, stdin="red cat\nblue dog\n")
    assert read.status == 0, read.err
    assert read.out.count("text: ") == 2 and len(list((copied / "explanations").rglob("*.png"))) == 2


def test_the_command_refuses_in_one_sentence_with_status_2(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "mine").touch()
    for arguments in ((copied, "red cat", "--out", tmp_path / "page"), (copied,), (tmp_path / "none", "red cat")):
        done = call("explain", *arguments)
        assert done.status == 2 and done.err.count("\n") == 1 and done.out.count("report.html") == 0
