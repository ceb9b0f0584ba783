"""The way of a user through `recurra compare`: cells, runs that exist, an interruption, a cell that fails."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import recurra as package
from recurra import workflow
from recurra.errors import InputError, SettingsError
from recurra.files import locked
from tests.cells.test_own import LeakyCell
from tests.journeys.test_classify import recurra, reviews

__all__ = ["reviews"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="trainings are forked on Linux")
QUICK = (
    "--epochs", "3", "--hidden-size", "8", "--embedding-size", "8", "--lr", "0.03", "--progress", "none",
    "--threads", "1",
)  # fmt: skip
GOLDEN = Path(__file__).parents[1] / "golden" / "run-0.1.0"
TIMES = ("seconds", "per_second", "microseconds", "memory_bytes")


@pytest.fixture(scope="module")
def cells(reviews: Path) -> tuple[Path, str]:
    """The folder of a comparison of two cells and two seeds, and what was printed."""
    folder = reviews.parent / "cells"
    done = recurra(
        "compare", "classify", "--data", reviews, "--cells", "rnn,gru", "--seeds", "2", "--out", folder, *QUICK
    )
    assert (done.status, done.err) == (0, "")
    return folder, done.out


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "compare.json").read_text())
    return found


def without_times(value: Any) -> Any:
    """What two comparisons of equal trainings have alike."""
    if isinstance(value, dict):
        return {name: without_times(one) for name, one in value.items() if not name.endswith(TIMES)}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def test_the_tables_are_printed_and_the_page_is_on_the_last_line(cells: tuple[Path, str]) -> None:
    folder, printed = cells
    lines = printed.splitlines()
    assert lines[-1] == str(folder / "compare.html")
    assert lines[0].split() == ["cell", "accuracy", "±", "95", "%", "minus", "rnn", "±", "95", "%", "p"]
    assert [line.split()[0] for line in lines[1:4]] == ["rnn", "gru", "majority"]
    assert "No cell's mean beats linear (1.0000), plain." in lines
    assert "The same budget for all: at most 3 epochs; ended early after 5 evaluations" in printed


def test_every_number_of_the_json_is_that_of_its_run(cells: tuple[Path, str]) -> None:
    folder, _ = cells
    found = content(folder)
    assert [row["name"] for row in found["rows"]][:2] == ["rnn", "gru"]
    assert [run["run"] for run in found["runs"]] == ["runs/rnn-0", "runs/rnn-1", "runs/gru-0", "runs/gru-1"]
    for row, name in zip(found["rows"], ("rnn", "gru"), strict=False):
        results = [json.loads((folder / "runs" / f"{name}-{seed}" / "result.json").read_text()) for seed in (0, 1)]
        assert row["values"] == [result["accuracy"] for result in results]
        assert row["mean"] == pytest.approx(sum(row["values"]) / 2)
        assert row["parameters"] == results[0]["parameters"]
        assert row["peak_memory_bytes"] == max(result["peak_memory_bytes"] for result in results)
        assert 5 < row["step_microseconds"] < 1e6
        assert row["examples_per_second"] > 0
    plain = [row for row in found["rows"] if row["kind"] == "plain"]
    assert {row["name"] for row in plain} == {"linear", "majority"}


def test_the_csv_has_a_row_a_run(cells: tuple[Path, str]) -> None:
    with (cells[0] / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["seed"], row["error"]) for row in rows] == [
        ("rnn", "0", ""), ("rnn", "1", ""), ("gru", "0", ""), ("gru", "1", ""),
    ]  # fmt: skip


def test_the_page_is_whole_in_itself_and_says_how_it_was_made(cells: tuple[Path, str]) -> None:
    page = (cells[0] / "compare.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "<script" not in page and "http://" not in page and "https://" not in page
    for words in ("rnn and gru compared", "the same order of examples", "no difference shown", "majority"):
        assert words in page
    assert {path.name for path in (cells[0] / "plots").iterdir()} == {
        f"{name}.{kind}" for name in ("test", "over_steps", "over_time") for kind in ("png", "csv")
    }


def test_every_run_is_an_ordinary_run(cells: tuple[Path, str]) -> None:
    run = package.load(cells[0] / "runs" / "gru-1")
    assert (run.settings.model.cell, run.settings.training.seed) == ("gru", 1)
    assert run.predict(["good film"])[0].label in run.labels


def test_a_run_of_a_comparison_is_the_one_that_train_makes(
    cells: tuple[Path, str], reviews: Path, tmp_path: Path
) -> None:
    options = ["--cell", "gru", "--seed", "1", "--out", tmp_path / "run", *QUICK]
    assert recurra("train", "classify", "--data", reviews, *options).status == 0
    here, there = tmp_path / "run", cells[0] / "runs" / "gru-1"
    for name in ("model.safetensors", "config.toml", "features.json", "baselines.safetensors"):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    one, other = (json.loads((folder / "result.json").read_text()) for folder in (here, there))
    assert without_times(one) == without_times(other)


def test_runs_that_exist_give_the_same_rows(cells: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = cells
    runs = [folder / "runs" / name for name in ("rnn-1", "rnn-0", "gru-0", "gru-1")]
    done = recurra("compare", *runs, "--out", tmp_path / "again")
    assert (done.status, done.err) == (0, "")
    assert without_times(content(tmp_path / "again")["rows"]) == without_times(content(folder)["rows"])


def test_a_run_of_an_earlier_version_takes_part(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "other")
    config = (tmp_path / "other" / "config.toml").read_text()
    (tmp_path / "other" / "config.toml").write_text(config.replace("patience = 5", "patience = 4"))
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text())
    from recurra.run.files import bind, digest

    path = tmp_path / "other" / "config.toml"
    manifest["files"]["config.toml"] = digest(path, path.read_bytes())
    manifest["bound"] = bind(manifest["files"])
    (tmp_path / "other" / "manifest.json").write_text(json.dumps(manifest))
    done = recurra("compare", GOLDEN, tmp_path / "other", "--out", tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    rows = content(tmp_path / "out")["rows"]
    assert [row["name"] for row in rows] == ["lstm patience=5", "lstm patience=4"]
    assert (rows[0]["mean"], rows[0]["parameters"], rows[0]["step_microseconds"]) == (1.0, 582, None)
    assert any("direction" in note for note in rows[0]["notes"])


def test_a_seed_whose_metric_is_no_number_is_told(cells: tuple[Path, str], tmp_path: Path) -> None:
    runs = Path(shutil.copytree(cells[0] / "runs", tmp_path / "runs"))
    result = runs / "gru-1" / "result.json"
    result.write_text(json.dumps(json.loads(result.read_text()) | {"accuracy": float("nan")}))
    done = recurra("compare", *sorted(runs.iterdir(), reverse=True), "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert "1 of 2 seeds ended with no number (1), so there is no mean" in done.out
    rows = {row["name"]: row for row in content(tmp_path / "out")["rows"]}
    assert rows["gru"]["mean"] is None and rows["rnn"]["mean"] is not None


def test_a_comparison_that_is_killed_goes_on_to_the_same_rows(reviews: Path, tmp_path: Path) -> None:
    options = [
        "compare", "classify", "--data", str(reviews), "--cells", "rnn,gru", "--seeds", "1", "--epochs", "4",
        "--patience", "0", "--checkpoint-every", "0", "--evaluate-every", "7", *QUICK[2:],
    ]  # fmt: skip
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    done = recurra(*options, "--out", whole)
    assert done.status == 0, done.err
    assert done.out.splitlines()[1].endswith("one seed: no interval")
    program = "import sys; from recurra.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *options, "--out", str(stopped)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    assert until(lambda: len(list((stopped / "runs" / "gru-0" / "checkpoints").glob("step-*"))) > 0)
    process.kill()
    process.communicate()
    assert (stopped / "runs" / "rnn-0" / "manifest.json").exists()
    assert not (stopped / "runs" / "gru-0" / "manifest.json").exists()
    assert until(lambda: free(stopped)), "the training outlived the comparison"
    first = (stopped / "runs" / "rnn-0" / "result.json").read_bytes()
    again = recurra("compare", "classify", "--data", reviews, "--out", stopped)
    assert again.status == 2 and f"go on with: recurra compare --resume {stopped}" in again.err
    went_on = recurra("compare", "--resume", stopped, "--progress", "none")
    assert (went_on.status, went_on.err) == (0, "")
    assert (stopped / "runs" / "rnn-0" / "result.json").read_bytes() == first
    assert without_times(content(stopped)) == without_times(content(whole))
    one, other = ((folder / "runs" / "gru-0" / "model.safetensors").read_bytes() for folder in (whole, stopped))
    assert one == other


def test_ctrl_c_keeps_what_is_trained_and_says_how_to_go_on(reviews: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    program = "import sys; from recurra.cli.main import main; sys.exit(main())"
    options = ["compare", "classify", "--data", str(reviews), "--epochs", "500", "--patience", "0", *QUICK[2:]]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *options, "--out", str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert until(lambda: (folder / "runs" / "rnn-0" / "metrics.jsonl").exists())
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == (
        "recurra: training was stopped by SIGINT in the comparison; what it has trained is kept; "
        f"go on with: recurra compare --resume {folder}\n"
    )
    assert list((folder / "runs" / "rnn-0" / "checkpoints").glob("step-*"))


def test_a_cell_that_dies_leaves_the_others_and_is_tried_again(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = workflow.train

    def deadly(task: str, settings: Any, **more: Any) -> Any:
        if settings.model.cell == "gru":
            os.kill(os.getpid(), signal.SIGKILL)
        return train(task, settings, **more)

    monkeypatch.setattr(workflow, "train", deadly)
    folder = tmp_path / "cells"
    options = ["--cells", "rnn,gru", "--seeds", "1", "--out", folder, *QUICK]
    done = recurra("compare", "classify", "--data", reviews, *options)
    assert done.status == 1
    sentence = "failed: its process was ended by SIGKILL; did memory run out?"
    assert sentence in done.out and sentence in (folder / "compare.html").read_text()
    rows = content(folder)["rows"]
    assert rows[0]["mean"] is not None and rows[1]["mean"] is None
    assert content(folder)["runs"][1]["error"] == "its process was ended by SIGKILL; did memory run out?"
    monkeypatch.undo()
    again = recurra("compare", "--resume", folder, "--progress", "none")
    assert (again.status, again.err) == (0, "")
    assert content(folder)["rows"][1]["mean"] is not None


def test_a_dry_run_says_what_it_would_cost_and_keeps_nothing(reviews: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    options = ["--cells", "rnn,gru", "--seeds", "3", "--out", folder, "--dry-run", *QUICK]
    done = recurra("compare", "classify", "--data", reviews, *options)
    assert (done.status, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == ["rnn", "gru"]
    assert done.out.splitlines()[-1].startswith("6 trainings: ")
    assert not folder.exists()


def test_a_comparison_does_not_go_on_with_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "text,label\n" + "a charming film,good\na dull mess,bad\n" * 30
    (tmp_path / "a.csv").write_text(rows)
    train = workflow.train

    def first_alone(task: str, settings: Any, **more: Any) -> Any:
        if settings.model.cell == "gru":
            os.kill(os.getpid(), signal.SIGKILL)
        return train(task, settings, **more)

    monkeypatch.setattr(workflow, "train", first_alone)
    folder = tmp_path / "cells"
    options = ["--cells", "rnn,gru", "--seeds", "1", "--out", folder, *QUICK]
    assert recurra("compare", "classify", "--data", tmp_path / "a.csv", *options).status == 1
    monkeypatch.undo()
    (tmp_path / "a.csv").write_text(rows + "a fine film,good\n")
    again = recurra("compare", "--resume", folder, "--progress", "none")
    assert again.status == 2
    assert "a.csv: has changed since this run began; put the old file back, or train anew" in again.err


def test_data_that_cannot_be_read_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("text,label\n")
    folder = tmp_path / "cells"
    done = recurra("compare", "classify", "--data", tmp_path / "empty.csv", "--out", folder, *QUICK)
    assert done.status == 2
    assert "empty.csv" in done.err and done.err.count("\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "compare",
            "name a task (classify, regress, tag, model, translate), runs that exist, or a comparison to go on with",
        ),
        ("compare clasify --data a.csv", "task: 'clasify' is not known; did you mean 'classify'?"),
        ("compare sentiment", "task: 'sentiment' is the task classify here"),
        ("compare --data a.csv classify", "a task's options follow it: recurra compare classify --data"),
        ("compare --resme x", "did you mean '--resume'?"),
        ("compare classify", "give a file with --data, as in: recurra compare classify --data reviews.csv"),
        ("compare tag", "give a file with --data, as in: recurra compare tag --data treebank.conllu"),
        ("compare classify --data a.csv --cell gru", "cell: a comparison trains several; name them with --cells"),
        ("compare classify --data a.csv --cells gru,lstn", "cells: 'lstn' is not known; did you mean 'lstm'?"),
        ("compare classify --data a.csv --cells gru,gru", "cells: 'gru' is named twice"),
        ("compare classify --data a.csv --seeds 0", "seeds: 0 is below 1"),
        ("compare classify --data a.csv --seeds many", "seeds: 'many' is no number of seeds"),
        ("compare classify --data a.csv --hiden-size 3", "Did you mean --hidden-size?"),
        ("compare classify --data nowhere.csv --out {tmp}/new --progress none", "nowhere.csv: does not exist"),
        ("compare {tmp}/a {tmp}/b", "a is no run folder: there is no such folder"),
        ("compare {tmp}/a {tmp}/b --outt x", "--outt is no option of `recurra compare RUN RUN`; did you mean '--out'?"),
        ("compare --resume {tmp}", "is no comparison to go on with: it has no comparison.toml"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path, arguments: str, words: str) -> None:
    done = recurra(*arguments.format(tmp=tmp_path).split())
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert done.err.startswith("recurra: ") and done.err.count("\n") == 1


def test_runs_that_cannot_be_compared_are_named(cells: tuple[Path, str], reviews: Path, tmp_path: Path) -> None:
    one, two = cells[0] / "runs" / "rnn-0", cells[0] / "runs" / "gru-0"
    assert "is named twice" in recurra("compare", one, one).err
    assert "one run is named, and two or more are compared" in recurra("compare", one).err
    assert "came as Python objects, and the others from files" in recurra("compare", one, GOLDEN).err
    damaged = Path(shutil.copytree(two, tmp_path / "damaged"))
    with (damaged / "model.safetensors").open("ab") as file:
        file.write(b"!")
    assert f"{damaged}/model.safetensors is damaged" in recurra("compare", one, damaged).err
    unfinished = Path(shutil.copytree(two, tmp_path / "unfinished"))
    (unfinished / "manifest.json").unlink()
    assert f"go on with: recurra train --resume {unfinished}" in recurra("compare", one, unfinished).err


def test_a_comparison_is_never_overwritten_unasked(cells: tuple[Path, str], tmp_path: Path) -> None:
    runs = [cells[0] / "runs" / name for name in ("rnn-0", "gru-0")]
    folder = tmp_path / "two"
    assert recurra("compare", *runs, "--out", folder).status == 0
    before = (folder / "compare.json").read_bytes()
    again = recurra("compare", *runs[::-1], "--out", folder)
    assert again.status == 2 and "holds a comparison already; give another --out, or --overwrite" in again.err
    assert (folder / "compare.json").read_bytes() == before
    assert recurra("compare", *runs[::-1], "--out", folder, "--overwrite").status == 0
    assert content(folder)["rows"][0]["name"] == "gru"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    other = recurra("compare", *runs, "--out", tmp_path / "mine", "--overwrite")
    assert other.status == 2 and "other things in it" in other.err
    with locked(folder):
        assert "is in use" in recurra("compare", *runs, "--out", folder, "--overwrite").err


def test_from_python_data_are_objects_and_cells_ones_own(tmp_path: Path) -> None:
    data = {"text": ["a charming film", "a dull mess"] * 30, "label": ["good", "bad"] * 30}
    settings: dict[str, Any] = {"hidden_size": 4, "embedding_size": 4, "epochs": 1}
    found = package.compare("classify", data=data, cells=["rnn", LeakyCell], seeds=[3], out=tmp_path / "a", **settings)
    assert [row.seeds for row in found.rows[:2]] == [(3,), (3,)]
    assert found.to_dict()["rows"][0]["peak_memory_bytes"] is None
    assert "Peak memory is not measured" in " ".join(found.notes)
    assert found.to_dict()["rows"][0]["step_microseconds"] is not None
    assert "<table>" in found._repr_html_()
    own = {"leaky_cell": LeakyCell}
    runs = [package.load(tmp_path / "a" / "runs" / name, cells=own) for name in ("rnn-3", "leaky_cell-3")]
    beside = package.compare(runs, cells=own, out=tmp_path / "b")
    assert beside.rows[0].values == found.rows[0].values
    assert "checked by their numbers of rows only" in " ".join(beside.notes)
    with pytest.raises(InputError, match="the data of this comparison came as Python objects"):
        package.compare(resume=tmp_path / "a", cells=own)
    again = package.compare(resume=tmp_path / "a", data=data, cells=own)
    assert without_times(again.to_dict()) == without_times(found.to_dict())
    with pytest.raises(SettingsError, match="cell: a comparison trains several"):
        package.compare("classify", data=data, cell="gru")


def until(so: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait for something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if so():
            return True
        time.sleep(0.02)
    return False


def free(folder: Path) -> bool:
    try:
        with locked(folder):
            return True
    except InputError:
        return False
