"""Two trainings of one folder: the second is refused in a sentence, and changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from recurra.files import locked

from .forks import Forks, leftovers, what_counts


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("sealed", [False, True])
def test_a_folder_that_another_holds_is_left_as_it_is(
    sealed: bool, overwrite: bool, forks: Forks, never_stopped: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    if sealed:
        shutil.copytree(never_stopped, folder)
    else:
        assert forks.train(folder, kill=["write checkpoint", 3, 50]).killed
    before = content(folder)
    with locked(folder):
        answer = forks.train(folder, overwrite=overwrite, settings={"seed": 5})
    assert answer.exit_status == 2
    expected = f"{folder} is in use by another training; wait for it, or give another --out"
    assert answer.error == expected
    assert answer.said["events"] == []  # the data are not even read
    assert content(folder) == before


def test_a_resume_beside_a_training_is_refused_and_takes_no_half_written_file_away(
    forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, kill=["write checkpoint", 3, 50]).killed
    before = content(folder)
    with locked(folder):
        answer = forks.resume(folder)
    assert (answer.exit_status, answer.said["events"]) == (2, [])
    assert answer.error == f"{folder} is in use by another training; wait for it, or give another --out"
    assert content(folder) == before and len(leftovers(folder)) == 1
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


def test_the_folder_is_held_from_before_anything_is_removed_until_the_run_is_sealed(
    forks: Forks, never_stopped: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(never_stopped, tmp_path / "run"))
    events = forks.train(folder, overwrite=True, probe=True).said["events"]
    assert "clear" in events and "open manifest.json" in events
    assert [event for event in events if event.startswith("free at ")] == []


@pytest.mark.parametrize("attempt", range(2))
def test_of_several_that_start_at_the_same_instant_one_trains(
    attempt: int, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "new"
    answers = forks.train_at_once(folder, copies=4)
    assert sorted(answer.exit_status for answer in answers) == [0, 2, 2, 2]
    for answer in answers:
        if answer.exit_status:
            assert answer.said["kind"] == "RunError"
            assert "is in use by another training" in answer.error or "holds a run already" in answer.error
    assert what_counts(folder) == expected


def test_bad_data_leave_no_folder_and_the_run_that_was_there(
    forks: Forks, never_stopped: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    bad = {"data": str(tmp_path / "nowhere.csv")}
    assert forks.train(tmp_path / "new", settings=bad).exit_status == 2
    assert not (tmp_path / "new").exists()
    folder = Path(shutil.copytree(never_stopped, tmp_path / "run"))
    assert forks.train(folder, settings=bad, overwrite=True).exit_status == 2
    assert what_counts(folder) == expected


@pytest.mark.parametrize("names", [("model.safetensors", "tokenizer.json"), ("config.toml", "README.md"), ("plots",)])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_elses_files_is_not_touched(
    names: tuple[str, ...], overwrite: bool, forks: Forks, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    for name in names:
        (folder / name).mkdir(parents=True) if name == "plots" else None
        folder.mkdir(exist_ok=True)
        if name != "plots":
            (folder / name).write_text("years of work")
    answer = forks.train(folder, overwrite=overwrite)
    assert answer.exit_status == 2 and "other things in it" in answer.error
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
