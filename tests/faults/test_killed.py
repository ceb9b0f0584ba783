"""SIGKILL at named points, in a training, in a write and in a resume: it goes on to the end of one never stopped."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from recurra.training.checkpoint import load_checkpoint

from .forks import Answer, Forks, leftovers, what_counts

BEGINNING = {
    "before anything": ["read the data", 1],
    "with the data read": ["data are read", 1],
    "the lock held, nothing written": ["clear", 1],
    "before the features": ["open features.json", 1],
    "in the middle of the features": ["write features.json", 1, 40],
    "the features there, the folder not fsynced": ["renamed features.json", 1],
    "before the configuration": ["open config.toml", 1],
    "in the middle of the configuration": ["write config.toml", 1, 1000],
    "before the configuration's fsync": ["fsync config.toml", 1],
    "before the configuration's rename": ["rename config.toml", 1],
}
TRAINING = {
    "the configuration just renamed": ["renamed config.toml", 1],
    "before the first step": ["beginning is saved", 1],
    "before the first checkpoint": ["save", 1],
    "in mid-epoch, before a batch": ["batch", 3],
    "in mid-epoch, the batch made": ["batch is made", 4],
    "between forward and backward": ["forward is done", 4],
    "between backward and clipping": ["backward is done", 5],
    "between clipping and the optimiser's step": ["gradients are clipped", 6],
    "after the step, before its checkpoint": ["step is taken", 7],
    "before the first byte of a checkpoint": ["write checkpoint", 4, 0],
    "after 7 bytes of a checkpoint": ["write checkpoint", 4, 7],
    "in the header of a checkpoint": ["write checkpoint", 4, 1000],
    "before the last byte of a checkpoint": ["write checkpoint", 5, -2],
    "all bytes written, before the fsync": ["fsync checkpoint", 5],
    "between fsync and rename": ["rename checkpoint", 5],
    "after the rename, before the folder's fsync": ["fsync folder checkpoints", 9],
    "before the older checkpoint is removed": ["remove checkpoint", 3],
    "after the older checkpoint is removed": ["removed checkpoint", 3],
    "at the start of a new epoch": ["batch", 6],
    "before an evaluation": ["evaluate", 2],
    "after an evaluation, before its line": ["evaluated", 2],
    "in the middle of metrics.jsonl": ["write metrics.jsonl", 2, 300],
    "metrics.jsonl written, its checkpoint not": ["renamed metrics.jsonl", 2],
    "between metrics.jsonl and the checkpoint": ["open checkpoint", 8],
    "after the last step, before the last evaluation": ["evaluate", 4],
    "before the last checkpoint": ["save", 14],
    "after the end, before the report": ["report", 1],
    "in the middle of the report": ["write report.html", 1, 3],
    "after the report": ["reported", 1],
    "in the middle of the weights": ["write model.safetensors", 1, 500],
    "between weights and result": ["renamed model.safetensors", 1],
    "in the middle of the result": ["write result.json", 1, 100],
    "before the manifest": ["open manifest.json", 1],
    "in the middle of the manifest": ["write manifest.json", 1, 50],
    "before the manifest's rename": ["rename manifest.json", 1],
}
SEALED = {"after the manifest's rename, before the folder's fsync": ["renamed manifest.json", 1]}
RESUMING = {
    "before the folder is read": ["beginning is loaded", 1],
    "before a leftover is removed": ["remove leftover", 1],
    "after a leftover is removed": ["removed leftover", 1],
    "with the data read again": ["data are read", 1],
    "before the checkpoint is parsed": ["checkpoint is read", 1],
    "after the checkpoint is parsed": ["checkpoint is parsed", 1],
    "before the optimiser is restored": ["restore the optimiser", 1],
    "before metrics.jsonl is rewritten": ["open metrics.jsonl", 1],
    "while metrics.jsonl is rewritten": ["write metrics.jsonl", 1, 10],
    "metrics.jsonl rewritten": ["renamed metrics.jsonl", 1],
    "resumed, before a batch": ["batch", 1],
    "resumed, in the middle of its first checkpoint": ["write checkpoint", 1, 600],
    "resumed, the older checkpoint removed": ["removed checkpoint", 1],
}
AGAIN = [RESUMING[name] for name in RESUMING if "leftover" not in name and "metrics" not in name]


def test_no_point_is_named_twice() -> None:
    for table in (BEGINNING | TRAINING | SEALED, RESUMING):
        assert len({tuple(point) for point in table.values()}) == len(table)


@pytest.mark.parametrize("name", BEGINNING)
def test_killed_before_anything_is_saved_it_says_so_and_starts_again(
    name: str, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, kill=BEGINNING[name]).killed
    answer = forks.resume(folder)
    assert answer.exit_status == 2
    assert answer.error == (
        f"{folder}: this training was stopped before anything was saved; give its `recurra train` command again, "
        f"with --out {folder}"
        if folder.exists()
        else f"{folder} is no run folder: there is no such folder"
    )
    assert forks.train(folder).exit_status == 0
    assert what_counts(folder) == expected


@pytest.mark.parametrize("name", TRAINING)
def test_killed_and_killed_again_in_the_resume_it_ends_as_if_never_stopped(
    name: str, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, kill=TRAINING[name]).killed
    point = TRAINING[name]
    if point[0].endswith("checkpoint") and point[1] >= 3:  # there is always one that loads
        assert load_checkpoint(folder, 10**6) is not None
    refused = forks.train(folder)
    assert refused.exit_status == 2
    assert f"holds a training that has not ended; go on with: recurra train --resume {folder}" in refused.error
    again = AGAIN[list(TRAINING).index(name) % len(AGAIN)]
    second = forks.resume(folder, kill=again)
    if not second.killed:  # after the last step the resume makes no batch, and no checkpoint
        assert second.exit_status == 0 and again[0] not in second.said["events"]
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


@pytest.mark.parametrize("name", SEALED)
def test_killed_when_the_manifest_is_there_it_is_a_run(
    name: str, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, kill=SEALED[name]).killed
    assert what_counts(folder) == expected
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


@pytest.fixture(scope="module")
def half_way(forks: Forks) -> Path:
    """A training killed in the middle of a checkpoint after its seventh step, with an evaluation behind it."""
    folder = forks.folder / "half way"
    assert forks.train(folder, kill=["write checkpoint", 9, 600]).killed
    assert len(leftovers(folder)) == 1
    return folder


@pytest.mark.parametrize("name", RESUMING)
def test_killed_in_the_middle_of_a_resume_it_ends_as_if_never_stopped(
    name: str, half_way: Path, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(half_way, tmp_path / "run"))
    assert forks.resume(folder, kill=RESUMING[name]).killed
    third = forks.resume(folder, kill=["batch", 2])  # and once more, two batches on
    assert third.killed
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


def test_a_resume_goes_on_where_it_was_and_reads_nothing_again(half_way: Path, forks: Forks, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(half_way, tmp_path / "run"))
    events = forks.resume(folder).said["events"]
    assert events.count("batch") == 10 - 6


def test_killed_in_the_middle_of_a_picture_the_report_is_drawn_again(
    forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, report=True, kill=["write curves.png", 1, 2000]).killed
    assert forks.resume(folder, report=True).exit_status == 0
    assert {**what_counts(folder), "names": None} == {**expected, "names": None}
    assert {path.name for path in (folder / "plots").iterdir()} >= {"curves.png", "curves.csv", "confusion.png"}
    assert (folder / "report.html").stat().st_size > 10_000


@pytest.mark.deep
def test_killed_at_every_event_it_ends_as_if_never_stopped(
    forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"  # the same each time: events name the folders
    events = forks.train(folder).said["events"]
    shutil.rmtree(folder)
    seen: dict[str, int] = {}
    for event in events:
        seen[event] = seen.get(event, 0) + 1
        assert forks.train(folder, kill=[event, seen[event]]).killed, event
        answer = forks.resume(folder)
        if answer.exit_status:
            assert "before anything was saved" in answer.error or not folder.exists()
            answer = forks.train(folder)
        assert answer.exit_status == 0 and what_counts(folder) == expected, (event, seen[event], answer)
        shutil.rmtree(folder)


OVERWRITING = {
    "before anything": ["read the data", 1],
    "before the first removal": ["clear", 1],
    "the manifest removed": ["removed manifest.json", 1],
    "the manifest removed for good": ["fsynced folder run", 1],
    "some files removed": ["removed metrics.jsonl", 1],
    "the features removed": ["removed features.json", 1],
    "the configuration removed": ["removed config.toml", 1],
    "all removed": ["cleared", 1],
    "the new configuration half written": ["write config.toml", 1, 500],
    "the new configuration there": ["renamed config.toml", 1],
    "before the new checkpoint": ["save", 1],
    "after the new checkpoint": ["saved", 1],
    "before the new manifest": ["open manifest.json", 1],
}


@pytest.fixture(scope="module")
def other(forks: Forks) -> dict[str, Any]:
    """What the run that replaces the first one must end with."""
    folder = forks.folder / "other"
    assert forks.train(folder, settings={"seed": 5}).exit_status == 0
    return what_counts(folder)


@pytest.mark.parametrize("name", OVERWRITING)
def test_killed_while_it_replaces_a_run_no_mixture_of_both_is_left(
    name: str, never_stopped: Path, expected: dict[str, Any], other: dict[str, Any], forks: Forks, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(never_stopped, tmp_path / "run"))
    new = {"settings": {"seed": 5}, "overwrite": True}
    assert forks.train(folder, kill=OVERWRITING[name], **new).killed
    one = Path(shutil.copytree(folder, tmp_path / "one"))
    went_on: Answer = forks.resume(one)
    if went_on.exit_status == 0:  # the old run, or the new one, whole
        assert what_counts(one) in (expected, other)
    else:
        assert went_on.exit_status == 2
        assert "before anything was saved" in went_on.error or f"{one}/features.json is missing" in went_on.error
    assert forks.train(folder, **new).exit_status == 0
    assert what_counts(folder) == other
