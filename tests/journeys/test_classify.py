"""The way of a user through the command line: train, evaluate, use, look at, go on."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from recurra.cli.main import main

QUICK = ("--epochs", "6", "--hidden-size", "8", "--embedding-size", "8", "--lr", "0.03", "--progress", "none")


class Answer(NamedTuple):
    """What a command gave back."""

    status: int
    out: str
    err: str


def recurra(*arguments: str | Path, stdin: str = "") -> Answer:
    """What a user types; in this process, where torch is there already."""
    out, err = io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin.encode())))  # type: ignore[arg-type]
    with patch.object(sys, "stdin", given), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Answer(status, out.getvalue(), err.getvalue())


def process(*arguments: str | Path, stdin: str = "") -> Answer:
    """The same in a process of its own."""
    command = [sys.executable, "-c", "import sys; from recurra.cli.main import main; sys.exit(main())"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 texts in which one word tells the label."""
    choose = random.Random(0)
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(200):
            words = choose.choices(["the", "film", "was", "so", "very"], k=choose.randint(1, 6))
            words.insert(choose.randint(0, len(words)), "good" if row % 2 else "bad")
            writer.writerow([" ".join(words), "positive" if row % 2 else "negative"])
    return path


@pytest.fixture(scope="module")
def run(reviews: Path) -> Path:
    """A trained run."""
    folder = reviews.parent / "run"
    done = recurra("train", "classify", "--data", reviews, "--out", folder, *QUICK)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == str(folder)
    return folder


def test_the_whole_way_in_processes_of_their_own(reviews: Path, run: Path, tmp_path: Path) -> None:
    trained = process("train", "classify", "--data", reviews, "--out", tmp_path / "run", *QUICK)
    assert (trained.status, trained.err) == (0, "")
    assert trained.out.splitlines()[-1] == str(tmp_path / "run")
    here, there = ((folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "run"))
    assert here == there, "the same data and seed give the same weights"
    predicted = process("predict", tmp_path / "run", stdin="so good\nbad film\n")
    assert (predicted.status, predicted.err) == (0, "")
    assert [json.loads(line)["label"] for line in predicted.out.splitlines()] == ["positive", "negative"]


def test_the_run_is_right_about_its_test_data(run: Path) -> None:
    metrics = json.loads(recurra("evaluate", run, "--json").out)
    assert metrics["accuracy"] >= 0.9
    assert metrics["accuracy"] == json.loads((run / "result.json").read_text())["accuracy"]


def test_the_run_evaluates_on_another_file(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\na good film,negative\nbad,negative\n")
    assert json.loads(recurra("evaluate", run, "--data", other, "--json").out)["accuracy"] == 0.5


def test_every_line_of_input_is_answered_in_order(run: Path) -> None:
    done = recurra("predict", run, stdin="so good\n\nbad film\nnever seen\n")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert (done.status, len(answers)) == (0, 4)
    assert [answers[0]["label"], answers[2]["label"]] == ["positive", "negative"]
    assert all(abs(sum(answer["probabilities"].values()) - 1) < 1e-6 for answer in answers)


def test_a_file_and_its_lines_get_the_same_answers(run: Path, tmp_path: Path) -> None:
    texts = ["so good", "bad", "the film was very very good"]
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"{text}\n" for text in texts))
    from_file = recurra("predict", run, tmp_path / "a.csv").out.splitlines()
    from_lines = recurra("predict", run, stdin="\n".join(texts)).out.splitlines()
    assert len(from_file) == len(from_lines) == 3
    for one, other in zip(map(json.loads, from_file), map(json.loads, from_lines), strict=True):
        assert one["label"] == other["label"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)  # float32, other batches


def test_a_faulty_row_has_its_error_and_the_others_their_answers(run: Path) -> None:
    done = recurra("predict", run, "--from", "jsonl", stdin='"good"\n3\n{"text": "bad"}\n')
    first, faulty, last = map(json.loads, done.out.splitlines())
    assert (first["label"], list(faulty), last["label"]) == ("positive", ["error"], "negative")
    assert done.status == 1


def test_info_knows_a_run_and_a_file(run: Path, reviews: Path) -> None:
    assert json.loads(recurra("info", run, "--json").out)["task"] == "classify"
    content = json.loads(recurra("info", reviews, "--json").out)
    assert (content["rows"], content["classes"]) == (200, {"negative": 100, "positive": 100})


def test_a_run_is_never_overwritten_unasked(run: Path, reviews: Path) -> None:
    before = (run / "model.safetensors").read_bytes()
    done = recurra("train", "classify", "--data", reviews, "--out", run, *QUICK)
    assert done.status == 2
    assert "--overwrite" in done.err
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        ("", "empty"),
        ("text,label\n", "row"),
        ("words,mark\ngood,1\nbad,0\n", "column"),
        ("text,label\ngood,a\nbad,a\nso,a\n", "one"),
        ("text,label\ngood,a,b\n", "line 2"),
    ],
)
def test_bad_data_is_one_sentence_and_status_2(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "a.csv").write_text(content)
    done = recurra("train", "classify", "--data", tmp_path / "a.csv", "--out", tmp_path / "run")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("recurra: ")
    assert done.err.count("\n") == 1
    assert "a.csv" in done.err
    assert words in done.err
    assert not (tmp_path / "run").exists()
