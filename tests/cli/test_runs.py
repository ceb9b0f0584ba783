"""`recurra runs`: the folders are the tracker."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra.catalogue import DEEPEST, ordered, runs_below

from .conftest import Call


def write_run(folder: Path, task: str = "classify", cell: str = "lstm", **result: Any) -> Path:
    """A folder as the catalogue reads it."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'task = "{task}"\n[model]\ncell = "{cell}"\nan_option_of_tomorrow = 3\n')
    for name in ("features.json", "model.safetensors"):
        (folder / name).write_text("{}")
    (folder / "manifest.json").write_text('{"files": {"config.toml": "", "model.safetensors": ""}}')
    (folder / "result.json").write_text(json.dumps({"training_seconds": 2.5, **result}))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two finished runs, one to go on with, two damaged ones, and what is none."""
    folder = tmp_path / "runs"
    write_run(folder / "gru-a", cell="gru", metric="accuracy", accuracy=0.5, loss=0.9, versions={"a": 1})
    write_run(folder / "deep/er/b", task="regress", metric="rmse", rmse=3.25, loss=0.1)
    write_run(folder / "stopped")
    (folder / "stopped" / "manifest.json").unlink()
    (write_run(folder / "no-weights") / "model.safetensors").unlink()
    (write_run(folder / "cut") / "result.json").write_text('{"accuracy": 0.')
    (folder / "other").mkdir()
    (folder / "other" / "config.toml").write_text("a = 1")
    (folder / "link").symlink_to(folder / "gru-a")
    return folder


def test_each_run_has_its_line_with_how_to_go_on_or_what_is_wrong(call: Call, runs: Path) -> None:
    status, out, err = call("runs", runs)
    assert (status, err) == (0, "")
    lines = [line.split(None, 6) for line in out.splitlines()]
    assert lines[0] == ["run", "task", "cell", "metric", "test", "seconds", "state"]
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()[1:]}
    assert rows == {
        f"{runs}/gru-a": "classify gru accuracy 0.5000 2.5 finished",
        f"{runs}/deep/er/b": "regress lstm rmse 3.2500 2.5 finished",
        f"{runs}/stopped": f"classify lstm unfinished: recurra train --resume {runs}/stopped",
        f"{runs}/no-weights": f"damaged: {runs}/no-weights/model.safetensors: is missing",
        f"{runs}/cut": rows[f"{runs}/cut"],
    }
    assert rows[f"{runs}/cut"].startswith("damaged: ")


def test_the_best_come_first_and_those_without_the_number_last(runs: Path) -> None:
    def names(key: str) -> list[str]:
        return [entry.path.name for entry in ordered(runs_below(runs), key)]

    write_run(runs / "c", metric="accuracy", accuracy=0.75, loss=0.4)
    assert names("accuracy")[:2] == ["c", "gru-a"]
    assert names("loss")[:3] == ["b", "c", "gru-a"]
    assert names("rmse")[0] == "b"
    assert names("task")[-1] == "b"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--task", "regress"), ["b"]),
        (("--cell", "gru"), ["gru-a"]),
        (("--name", "*-*"), ["gru-a", "no-weights"]),
        (("--name", "b", "--cell", "gru"), []),
    ],
)
def test_filters_keep_what_fits(call: Call, runs: Path, options: tuple[str, ...], found: list[str]) -> None:
    entries = json.loads(call("runs", runs, "--json", *options).out)
    assert sorted(Path(entry["path"]).name for entry in entries) == found


def test_json_and_csv_hold_every_number(call: Call, runs: Path) -> None:
    entries = {Path(entry["path"]).name: entry for entry in json.loads(call("runs", runs, "--json").out)}
    expected = {"task": "classify", "cell": "gru", "metric": "accuracy", "accuracy": 0.5, "loss": 0.9}
    assert entries["gru-a"].items() >= expected.items()
    rows = list(csv.DictReader(io.StringIO(call("runs", runs, "--csv", "--sort", "accuracy").out)))
    assert (rows[0]["run"], rows[0]["loss"], rows[0]["rmse"]) == (str(runs / "gru-a"), "0.9", "")
    assert len(rows) == 5


def test_a_formula_in_a_file_is_inert_in_csv(call: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "a", task="=1+1")
    assert next(csv.DictReader(io.StringIO(call("runs", tmp_path, "--csv").out)))["task"] == "'=1+1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "nowhere: there is no such folder"),
        ((".", "--task", "sentiment"), "'sentiment' is the task classify here"),
        ((".", "--csv", "--json"), "give one of them"),
        ((".", "--sort", "acuracy"), "did you mean 'accuracy'?"),
    ],
)
def test_a_mistake_is_one_sentence(
    call: Call, runs: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(runs)
    status, out, err = call("runs", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_no_runs_are_an_empty_table(call: Call, tmp_path: Path) -> None:
    assert call("runs", tmp_path).out == "run  task  cell  metric  test  seconds  state\n"
    assert call("runs", tmp_path, "--json").out == "[]\n"


def test_the_folder_itself_may_be_the_run_and_none_is_sought_too_deep(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", metric="loss", loss=1.0)
    assert [(entry.path, entry.value) for entry in runs_below(run)] == [(run, 1.0)]
    write_run(tmp_path.joinpath(*"b" * (DEEPEST + 1)))
    assert [entry.path for entry in runs_below(tmp_path)] == [run]


def test_runs_loads_no_torch(runs: Path) -> None:
    program = (
        "import sys; from recurra.cli.main import main; status = main(sys.argv[1:]);"
        "sys.exit(status or any(name in sys.modules for name in ('torch', 'numpy', 'matplotlib')))"
    )
    command = [sys.executable, "-c", program, "runs", str(runs)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
