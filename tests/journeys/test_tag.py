"""The way of a user who tags: the page's commands, a treebank's three files, faulty files, rows of an id."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.test_classify import Answer, recurra

ROOT = Path(__file__).parents[2]
QUICK = (
    "--epochs", "8", "--batch-size", "4", "--hidden-size", "16", "--embedding-size", "16", "--char-hidden-size", "8",
    "--lr", "0.02", "--threads", "1", "--progress", "none",
)  # fmt: skip


def conllu(rows: int, *, tags: bool = True) -> str:
    """Sentences of a range, an empty node and words whose tag the context tells."""
    lines = []
    for row in range(rows):
        words = [("del", "ADP", "IN"), ("el", "DET", "DT"), ("can" if row % 2 else "dog", "NOUN", "NN")]
        words += [("can", "AUX", "MD"), ("walk", "VERB", "VB")]
        lines += [f"# sent_id = {row}", "1-2\tdel\t" + "\t".join("_" * 8)]
        for number, (form, upos, xpos) in enumerate(words, 1):
            given = (upos, xpos) if tags else ("_", "_")
            lines.append("\t".join([str(number), form, form, *given, "_", "0", "root", "_", "_"]))
        lines += ["5.1\tnow\tnow\tADV\tRB\t" + "\t".join("_" * 5), ""]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def treebank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("treebank")
    for name, rows in (("train", 40), ("dev", 8), ("test", 8)):
        (folder / f"{name}.conllu").write_text(conllu(rows))
    (folder / "bare.conllu").write_text(conllu(2, tags=False))
    return folder


@pytest.fixture(scope="module")
def run(treebank: Path) -> tuple[Path, Answer]:
    out = treebank / "run"
    files = [
        f"--{option}={treebank / name}.conllu"
        for option, name in (("data", "train"), ("valid", "dev"), ("test", "test"))
    ]
    return out, recurra("train", "tag", *files, "--target", "upos", "--out", out, *QUICK)


def test_a_treebank_is_learned_scored_and_used(run: tuple[Path, Answer], treebank: Path) -> None:
    out, trained = run
    assert trained.status == 0, trained.err
    assert trained.out.splitlines()[-1] == str(out) and "unknown_accuracy" in trained.out and "frequent" in trained.out
    scored = json.loads(recurra("evaluate", out, "--json").out)
    assert scored["accuracy"] == 1.0 > scored["baseline_frequent_accuracy"] and scored["tokens"] == 40
    assert "8 examples, 40 tokens" in recurra("evaluate", out, "--data", treebank / "dev.conllu").out
    expected = {"tags": ["ADP", "DET", "NOUN", "AUX", "VERB"]}
    answers = recurra("predict", out, treebank / "bare.conllu").out.splitlines()
    assert [json.loads(line) for line in answers] == [expected] * 2
    typed = recurra("predict", out, stdin="del el can can walk\n\nun Zug\n")
    tags = [json.loads(line)["tags"] for line in typed.out.splitlines()]
    assert tags[0] == expected["tags"] and tags[1] == [] and len(tags[2]) == 2
    listed = recurra("predict", out, "--from", "jsonl", stdin='["del", "el"]\n{"tokens": ["can"]}\n[3]\n')
    assert listed.status == 1
    first, second, third = (json.loads(line) for line in listed.out.splitlines())
    assert first["tags"] == ["ADP", "DET"] and len(second["tags"]) == 1 and "token 1 is int" in third["error"]
    described = json.loads(recurra("info", out, "--json").out)
    assert described["task"] == "tag" and described["labels"] == ["ADP", "AUX", "DET", "NOUN", "VERB"]


def test_the_runs_own_settings_repeat_it(run: tuple[Path, Answer], treebank: Path) -> None:
    again = treebank / "again"
    done = recurra("train", "tag", "--config", run[0] / "config.toml", "--out", again, "--progress", "none")
    assert done.status == 0, done.err
    assert (again / "model.safetensors").read_bytes() == (run[0] / "model.safetensors").read_bytes()


def test_a_dry_run_keeps_nothing(treebank: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = recurra("train", "tag", "--data", treebank / "train.conllu", "--out", out, "--dry-run", *QUICK)
    assert done.status == 0, done.err
    assert "steps" in done.out and not out.exists()


def test_rows_of_an_id_are_sentences(tmp_path: Path) -> None:
    rows = [
        f"s{row},{at},{word},{tag}" for row in range(30) for at, (word, tag) in enumerate((("a", "D"), ("cat", "N")))
    ]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["sentence,at,word,tag", *rows]) + "\n")
    options = ("--id", "sentence", "--time", "at", "--out", tmp_path / "run", *QUICK)
    done = recurra("train", "tag", "--data", path, *options)
    assert done.status == 0, done.err
    bare = tmp_path / "bare.csv"
    bare.write_text("sentence,at,word\nx,2,cat\nx,1,a\ny,1,a\n")
    answers = [json.loads(line) for line in recurra("predict", tmp_path / "run", bare).out.splitlines()]
    assert answers == [{"id": "x", "tags": ["D", "N"]}, {"id": "y", "tags": ["D"]}]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.conllu", conllu(3).replace("\t_\t_\n", "\t_\n", 1), "line 2: has 9 columns between tabs"),
        ("a.conllu", conllu(3).removesuffix("\n"), "no blank line closes it"),
        ("a.conllu", conllu(3).replace("\n\n", "\n", 1), "line 9: a comment stands inside the sentence"),
        ("a.conll", "a X\nb\n\n", "a.conll, line 2: has 1 column"),
        ("a.conll", "a X\n\nb Y", "no blank line closes it"),
        ("a.conllu", conllu(30).replace("ADP", "_", 1), "column 'upos': the tag of token 1 is missing"),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["X"]}\n' * 30, "1 tags stand beside 2 tokens"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["X"]}\n' * 30, "hold the one tag 'X'; tagging needs two"),
        ("a.jsonl", '{"text": ["a"], "pos": ["X"]}\n' * 30, "which column holds the tokens? give --input"),
        ("a.jsonl", '{"tokens": ["a"], "pos": ["X"]}\n' * 30, "which column holds the tags? give --target"),
    ],
)
def test_a_faulty_file_is_refused_in_one_sentence(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    done = recurra("train", "tag", "--data", tmp_path / name, "--out", tmp_path / "run", *QUICK)
    assert done.status == 2 and words in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_pages_commands_run_in_order(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tag.md").read_text(encoding="utf-8")
    commands = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    assert commands is not None
    program = f"{sys.executable} -c 'import sys; from recurra.cli.main import main; sys.exit(main())'"
    script = "set -e\n" + re.sub(r"(?m)(^|\| )recurra ", rf"\1{program} ", commands[1])
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '{"tags": ["DET", "NOUN", "AUX", "VERB"]}' in done.stdout and '{"tags": ["PRON", "VERB"]}' in done.stdout
