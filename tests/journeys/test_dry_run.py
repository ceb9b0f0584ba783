"""A dry run says what a training would cost, or what is wrong with its input, and keeps nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra.errors import DataError, RunError
from tests.cli.conftest import Call, call

__all__ = ["call"]

SMALL = ["--hidden-size", "4", "--embedding-size", "4", "--threads", "1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a data file, whose temporary files are in it too."""
    rows = "".join(f"{word} film number {i},{word}\n" for i in range(50) for word in ("good", "bad"))
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    (tmp_path / "bad.csv").write_text("text,label\n" + rows + ",good\n" * 10)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # torch makes a folder of its own at the first one
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


def everything(folder: Path) -> list[str]:
    return sorted(str(Path(place) / name) for place, _, names in os.walk(folder) for name in [*names, ""])


def test_it_says_rows_parameters_steps_memory_and_time_and_keeps_nothing(call: Call, folder: Path) -> None:
    before = everything(folder)
    status, out, err = call("train", "classify", "--data", "a.csv", "--dry-run", "--epochs", "7", *SMALL)
    assert (status, err) == (0, "")
    said = dict(line.split(": ") for line in out.splitlines())
    run = recurra.train("classify", data="a.csv", epochs=7, patience=0, hidden_size=4, embedding_size=4, threads=1)
    names = ("train_examples", "valid_examples", "test_examples", "train_cut", "parameters", "steps")
    assert {name: int(said[name]) for name in names} == {name: run.result[name] for name in names}
    assert (said["task"], said["cell"], said["batch_size"]) == ("classify", "lstm", "32")
    assert int(said["steps_per_epoch"]) * 7 == int(said["steps"])
    assert float(said["expected_seconds"]) >= 0
    assert int(said["peak_memory_bytes"]) > 2**20
    assert int(said["checkpoint_bytes"]) > 4 * run.result["parameters"]
    assert [path for path in everything(folder) if "/runs" not in path] == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--data bad.csv", "the input is empty"),
        ("--data nowhere.csv", "nowhere.csv: does not exist"),
        ("--data a.csv --target lable", "did you mean 'label'?"),
        ("--data a.csv --metric accuracyy", "is not measured here"),
        ("--data a.csv --out taken", "taken is a folder with other things in it"),
        ("--data a.csv --track tensorbord", "tensorboard"),
    ],
)
def test_a_fault_of_the_input_is_the_sentence_that_training_would_say(
    call: Call, folder: Path, options: str, words: str
) -> None:
    (folder / "taken").mkdir()
    (folder / "taken" / "letter.txt").write_text("mine")
    before = everything(folder)
    status, out, err = call("train", "classify", "--dry-run", *options.split(), *SMALL)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert everything(folder) == before


def test_python_answers_the_same_for_objects_and_another_task(folder: Path) -> None:
    small: dict[str, Any] = {"hidden_size": 4, "threads": 1, "epochs": 3}
    data = {"x": [[float(i), 1.0] for i in range(40)], "y": [2.0 * i for i in range(40)]}
    before = everything(folder)
    tried = recurra.dry_run("regress", data=data, target="y", max_steps=2, **small)
    assert (tried.task, tried.steps, tried.train_examples + tried.valid_examples + tried.test_examples) == (
        "regress",
        2,
        40,
    )
    assert recurra.dry_run("regress", data=data, target="y", max_time=1e-9, **small).expected_seconds == 1e-9
    with pytest.raises(DataError, match="no column 'z'"):
        recurra.dry_run("regress", data=data, input="x", target="z", **small)
    assert everything(folder) == before


def test_a_run_that_is_there_is_refused_as_in_training(folder: Path) -> None:
    small: dict[str, Any] = {"hidden_size": 4, "embedding_size": 4, "threads": 1, "epochs": 1}
    recurra.train("classify", data="a.csv", out="there", **small)
    with pytest.raises(RunError, match="holds a run already"):
        recurra.dry_run("classify", data="a.csv", out="there", **small)
    before = everything(folder)
    recurra.dry_run("classify", config="there/config.toml", out="there", overwrite=True)
    assert everything(folder) == before


def test_where_tokens_make_the_batches_it_says_how_many_pairs_one_has(call: Call, folder: Path) -> None:
    pairs = "".join(f"{'one ' * (n % 5 + 1)}\t{'un ' * (n % 5 + 1)}\n" for n in range(50))
    (folder / "pairs.tsv").write_text(f"source\ttarget\n{pairs}")
    given = ("--data", "pairs.tsv", "--batch-tokens", "60", "--unit", "word", "--hidden-size", "4", "--threads", "1")
    status, out, err = call("train", "translate", "--dry-run", *given)
    said = dict(line.split(": ") for line in out.splitlines())
    assert status == 0, err
    assert int(said["batch_size"]) == round(40 / int(said["steps_per_epoch"])) > 1
