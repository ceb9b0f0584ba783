"""What max_length cuts is counted, wherever it cuts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra import workflow
from recurra.cli.main import main
from recurra.data.partition import Given
from recurra.settings.structure import from_keywords
from recurra.training.progress import make_progress

QUICK: dict[str, Any] = {"epochs": 1, "hidden_size": 4, "embedding_size": 4, "threads": 1}
TEXTS = ["one two three four five", "one two three", "one", "two three four"]
LABELS = ["a", "b", "a", "b"]


def train(data: Any, out: Path, **options: Any) -> tuple[recurra.Run, list[str]]:
    """A run whose three parts are the same data, and what its progress display said before the first evaluation."""
    stream = io.StringIO()
    run = workflow.train(
        "classify",
        from_keywords("classify", **QUICK, **options),
        given=Given(data, data, {name: values[:3] for name, values in data.items()}),
        out=out,
        overwrite=False,
        progress=make_progress("lines", stream),
    )
    return run, [line for line in stream.getvalue().splitlines() if not line.startswith("step")]


def test_cut_texts_are_counted_in_the_log_the_result_and_each_answer(tmp_path: Path) -> None:
    run, notes = train({"text": TEXTS, "label": LABELS}, tmp_path / "run", max_length=2)
    assert notes == [
        "3 of 4 training texts were cut to 2 words",
        "3 of 4 validation texts were cut to 2 words",
        "2 of 3 test texts were cut to 2 words",
    ]
    assert [run.result[f"{part}_cut"] for part in ("train", "valid", "test")] == [3, 3, 2]
    answers = list(run.predict_rows([TEXTS[0], None, "one two", "", "one two zero"]))
    assert [answer.get("cut") for answer in answers] == [3, None, None, None, 1]
    assert list(answers[0]) == ["label", "probabilities", "cut"] and list(answers[1]) == ["error"]
    assert run.predict([TEXTS[0]]) == run.predict(["one two"])


@pytest.mark.parametrize(
    ("unit", "words"), [("char", "2 of 4 training texts were cut to 13 characters"), ("bpe", "to 13 subwords")]
)
def test_the_unit_is_named(unit: str, words: str, tmp_path: Path) -> None:
    _, notes = train(
        {"text": ["x" * 20, "y" * 14, "x", "y"], "label": LABELS}, tmp_path / "run", max_length=13, unit=unit,
        vocabulary_size=256,
    )  # fmt: skip
    assert words in notes[0]


def test_cut_series_are_counted_in_steps_and_nothing_is_said_where_nothing_is_cut(tmp_path: Path) -> None:
    series = {"input": [[1.0] * 5, [2.0] * 3, [1.0], [2.0, 1.0]], "label": LABELS}
    run, notes = train(series, tmp_path / "cut", max_length=3)
    assert notes[0] == "1 of 4 training series were cut to 3 steps"
    assert [answer.get("cut") for answer in run.predict_rows([[1.0] * 10, [1.0] * 3])] == [7, None]
    run, notes = train(series, tmp_path / "whole", max_length=5)
    assert notes == [] and run.result["train_cut"] == 0


def test_the_command_prints_what_was_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = train({"text": TEXTS, "label": LABELS}, tmp_path / "run", max_length=2)
    (tmp_path / "new.txt").write_text(f"{TEXTS[0]}\none\n")
    assert main(["predict", str(run.path), str(tmp_path / "new.txt")]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["cut"] == 3 and "cut" not in second


def test_a_text_of_a_million_tokens_is_trained_on_and_answered(tmp_path: Path) -> None:
    long = "fine " * 1_000_000
    data = {"text": [*TEXTS, long, "x" * 1_000_000], "label": [*LABELS, "a", "b"]}
    run, _ = train(data, tmp_path / "run")
    assert run.result["train_cut"] == 1  # max_length is 4096 at most
    assert next(run.predict_rows([long]))["cut"] == 1_000_000 - 4096
