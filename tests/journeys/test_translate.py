"""The way of a user who translates: two files, one command, answers, scores, and what can be wrong."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from recurra.cli.main import main
from tests.journeys.test_classify import Answer, recurra
from tests.tasks.test_translate import PAIRS, STRANGE

QUICK = (
    "--unit", "word", "--min-count", "1", "--hidden-size", "32", "--batch-size", "10", "--lr", "0.03",
    "--warmup-steps", "0", "--epochs", "16", "--evaluate-every", "40", "--patience", "0", "--embedding-dropout", "0",
    "--output-dropout", "0", "--threads", "1", "--device", "cpu", "--progress", "none",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "train.en").write_text("".join(f"{source}\n" for source, _ in PAIRS * 2))
    (folder / "train.fr").write_text("".join(f"{target}\n" for _, target in PAIRS * 2))
    (folder / "pairs.tsv").write_text("src\ttgt\n" + "".join(f"{one}\t{other}\n" for one, other in PAIRS[:6]))
    (folder / "short.fr").write_text("vingt deux\n")
    return folder


@pytest.fixture(scope="module")
def run(files: Path) -> tuple[Path, Answer]:
    out = files / "run"
    sides = ("--source", files / "train.en", "--target", files / "train.fr")
    return out, recurra("train", "translate", *map(str, sides), "--out", str(out), *QUICK)


def test_two_files_are_learned_scored_and_used(run: tuple[Path, Answer], files: Path) -> None:
    out, trained = run
    assert trained.status == 0, trained.err
    assert trained.out.splitlines()[-1] == str(out)
    assert "copy, test" in trained.out and "words, test" in trained.out
    typed = recurra("predict", out, stdin="forty two\n\nfifty six\n")
    answers = [json.loads(line) for line in typed.out.splitlines()]
    assert typed.status == 0 and [answer["text"] for answer in answers][::2] == ["quarante deux", "cinquante six"]
    assert answers[0].keys() == {"text", "score"} and answers[0]["score"] < 0
    read = recurra("predict", out, files / "train.en", "--beam", "1", "--attention")
    first = json.loads(read.out.splitlines()[0])
    assert len(read.out.splitlines()) == 40 and first["text"] == "vingt deux"
    assert first["source"] == ["twenty", "two", "<end>"] and len(first["attention"]) == len(first["target"]) == 3
    columns = recurra("predict", out, files / "pairs.tsv")
    assert [json.loads(line)["text"] for line in columns.out.splitlines()] == [target for _, target in PAIRS[:6]]
    drawn = recurra("generate", out, "--prompt", "forty two", "--count", "3", "--temperature", "0")
    assert drawn.out == "quarante deux\n" * 3
    drawn = recurra("generate", out, "--prompt", "forty two", "--temperature", "0.1", "--json")
    assert json.loads(drawn.out) == {"prompt": "forty two", "text": "quarante deux"}
    for wrong in (("--temperature", "-1"), ("--length", "-1"), ("--count", "0")):
        assert recurra("generate", out, *wrong).err.startswith(f"recurra: {wrong[0][2:]}: {wrong[1]}")
    assert recurra("generate", out, "--prompt", "forty two", "--temperature", "0", "--length", "1").out == "quarante\n"
    scored = json.loads(recurra("evaluate", out, "--json").out)
    assert scored["exact_match"] == 1.0 and scored["examples"] == 4 and scored["chrf"] == pytest.approx(100)
    lines = recurra("evaluate", out, "--source", files / "train.en", "--target", files / "train.fr")
    assert "40 examples" in lines.out and "bleu: nrefs:1|case:mixed|eff:no|tok:13a" in lines.out
    assert "6 examples" in recurra("evaluate", out, "--data", files / "pairs.tsv").out
    described = json.loads(recurra("info", out, "--json").out)
    assert described["task"] == "translate" and described["attention"] == "general"
    table = json.loads(recurra("info", files / "pairs.tsv", "--json").out)
    assert table["kind"] == "pairs of texts" and table["rows"] == 6
    card = (out / "README.md").read_text()
    assert "pipeline_tag: translation" in card and "copy baseline, test" in card and "train\\.en" in card
    report = (out / "report.html").read_text()
    assert "How sure the scores are" in report and "nrefs:1" in report and "cinquante" in report


def test_every_line_has_an_answer_whatever_is_in_it(run: tuple[Path, Answer]) -> None:
    lines = [text.replace("\n", " ").replace("\r", " ") for text in STRANGE]
    given = b"".join(line.encode("utf-8", "surrogatepass") + b"\n" for line in lines) + b"\xff\xfe forty\n"
    with patch.object(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(given)))):  # type: ignore[arg-type]
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(["predict", str(run[0])]) == 0
    assert len([json.loads(line) for line in out.getvalue().splitlines()]) == len(lines) + 1
    values = '{"source": "forty\\ntwo"}\n"\\ud800"\n3\n{"src": "two", "more": 1}\n'
    read = recurra("predict", run[0], "--from", "jsonl", stdin=values)
    assert read.status == 1 and len(read.out.splitlines()) == 4
    assert ["error" in json.loads(line) for line in read.out.splitlines()] == [False, False, True, False]


def test_what_a_training_would_be_is_said_and_the_runs_own_settings_repeat_it(
    run: tuple[Path, Answer], files: Path
) -> None:
    tried = recurra("train", "translate", "--config", run[0] / "config.toml", "--dry-run")
    assert tried.status == 0 and "parameters" in tried.out, tried.err
    again = files / "again"
    done = recurra("train", "--config", run[0] / "config.toml", "--out", again, "--progress", "none")
    assert done.status == 0, done.err
    assert (again / "model.safetensors").read_bytes() == (run[0] / "model.safetensors").read_bytes()
    assert recurra("train", "--resume", again).out.splitlines()[-1] == str(again)


def test_a_run_is_certified(run: tuple[Path, Answer]) -> None:
    certified = recurra("certify", run[0], "--json")
    found = json.loads(certified.out)
    assert certified.status == 0 and found["holds"]
    verdicts = {pair["name"]: pair["verdict"] for pair in found["pairs"]}
    names = ("padded", "shuffled", "search", "predictions together", "predicted in another process")
    assert {verdicts[name] for name in names} == {"holds"}


def test_what_is_wrong_is_said_in_a_sentence(run: tuple[Path, Answer], files: Path) -> None:
    source, target = files / "train.en", files / "train.fr"
    for arguments, words in (
        (("train", "translate"), "give a file with --source and --target, as in: recurra train translate --source"),
        (("train", "translate", "--source", source), "source: 1 file(s) are named, and 0 of target"),
        (("train", "translate", "--source", source, "--target", files / "short.fr"), "has 40 line(s), and"),
        (("train", "translate", "--source", source, "--target", source), "is target too"),
        (("train", "translate", "--source", source, "--target", target, "--beam", "0"), "beam: 0 is not in 1 to 1024"),
        (("predict", run[0], source, "--beam", "0"), "beam: 0 is not in 1 to 1024; 1 searches greedily"),
        (("predict", run[0], source, "--beem", "2"), "--beem is no option of `recurra predict`; did you mean '--beam'"),
        (("evaluate", run[0], "--source", source), "two files with --source and --target"),
        (("evaluate", run[0], "--data", files / "nothing.tsv"), "does not exist"),
        (("predict", run[0], files / "nothing.en"), "does not exist"),
        (("train", "translate", "--source", source, "--target", target, "--metric", "blue"), "'blue' is not measured"),
    ):
        answer = recurra(*map(str, arguments))
        assert answer.status == 2 and words in answer.err and len(answer.err.strip().splitlines()) == 1, answer.err
