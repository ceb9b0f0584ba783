"""A disk that is full, fails, or takes a part: exit status 1, one sentence with the file, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError, RunError, WorkError
from recurra.files import locked, make_folder, parse_json, read_bounded, remove, remove_leftovers, write_whole

from .forks import Forks, leftovers, what_counts

FILES = {  # each file that a run writes: which of its writes fails
    "features.json": 1,
    "config.toml": 1,
    "metrics.jsonl": 2,
    "checkpoint": 5,
    "baselines.json": 1,
    "baselines.safetensors": 1,
    "report.html": 1,
    "README.md": 1,
    "model.safetensors": 1,
    "result.json": 1,
    "manifest.json": 1,
}
WORDS = {"ENOSPC": "No space left on device", "EIO": "Input/output error"}
OPERATIONS = {
    "no space": ("write", "ENOSPC"),
    "no space for the name": ("open", "ENOSPC"),
    "a failing fsync": ("fsync", "EIO"),
    "a failing rename": ("rename", "EIO"),
}


DEEP = pytest.mark.deep


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        # each operation at the checkpoint, and no space for any file; the rest at length
        pytest.param(one, name, marks=() if one == "no space" or name == "checkpoint" else DEEP)
        for one in OPERATIONS
        for name in FILES
    ],
)
def test_a_disk_that_fails_ends_in_a_sentence_and_nothing_is_lost(
    operation: str, name: str, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    verb, kind = OPERATIONS[operation]
    answer = forks.train(folder, fault=[f"{verb} {name}", FILES[name], kind])
    assert answer.exit_status == 1
    assert answer.said["kind"] == "WorkError"
    assert name in answer.error or "step-0000" in answer.error
    assert answer.error == f"{folder / answer.error.partition(' could')[0]} could not be written: {WORDS[kind]}"
    assert leftovers(folder) == []
    if name in ("features.json", "config.toml"):
        assert "before anything was saved" in forks.resume(folder).error
        assert forks.train(folder).exit_status == 0
    else:
        assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


@pytest.mark.parametrize(
    "name",
    ["checkpoint", "config.toml", "manifest.json"]
    + [
        pytest.param(name, marks=DEEP)
        for name in ("features.json", "metrics.jsonl", "model.safetensors", "result.json")
    ],
)
def test_a_disk_that_takes_a_part_of_each_write_is_given_the_rest(
    name: str, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    answer = forks.train(tmp_path / "run", fault=[f"write {name}", FILES[name], "short"])
    assert answer.exit_status == 0
    assert answer.said["reached"].count(f"write {name}") > 1
    assert what_counts(tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (["fsync folder checkpoints", 7, "EIO"], "step-00000004.safetensors could not be written: Input/output error"),
        (["remove checkpoint", 4, "EIO"], "could not be removed: Input/output error"),
    ],
)
def test_a_folder_that_fails_after_the_rename_loses_nothing(
    fault: list[Any], words: str, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    answer = forks.train(folder, fault=fault)
    assert (answer.exit_status, answer.said["kind"]) == (1, "WorkError")
    assert words in answer.error and str(folder / "checkpoints") in answer.error
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


def test_a_disk_that_fails_in_a_resume_leaves_the_checkpoint(
    forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, kill=["batch", 6]).killed
    assert forks.resume(folder, fault=["write metrics.jsonl", 1, "ENOSPC"]).exit_status == 1
    assert forks.resume(folder, fault=["write checkpoint", 2, "EIO"]).exit_status == 1
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


def test_a_run_that_cannot_be_removed_is_not_half_replaced(
    never_stopped: Path, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(never_stopped, tmp_path / "run"))
    answer = forks.train(folder, overwrite=True, settings={"seed": 5}, fault=["remove manifest.json", 1, "EIO"])
    assert answer.exit_status == 1
    assert answer.error == f"{folder / 'manifest.json'} could not be removed: Input/output error"
    assert what_counts(folder) == expected


def test_every_file_is_written_fsynced_renamed_and_its_folder_fsynced_in_this_order(
    forks: Forks, tmp_path: Path
) -> None:
    events = forks.train(tmp_path / "run").said["events"]
    disk = [one for one in events if one.split()[0] in ("open", "wrote", "fsynced", "rename", "renamed", "remove")]
    seen = set()
    for index, event in enumerate(disk):
        verb, _, name = event.partition(" ")
        if verb != "open":
            continue
        seen.add(name)
        folder = "folder checkpoints" if name == "checkpoint" else "folder run"
        assert disk[index : index + 6] == [
            f"open {name}", f"wrote {name}", f"fsynced {name}", f"rename {name}", f"renamed {name}",
            f"fsynced {folder}",
        ]  # fmt: skip
    assert seen == set(FILES)
    assert {events[index + 1] for index, event in enumerate(events) if event == "save"} == {"open checkpoint"}
    # an older checkpoint goes only when the newer one is there for good, and its going is made to last
    for index, event in enumerate(disk):
        if event == "remove checkpoint":
            assert disk[index - 1] == disk[index + 1] == "fsynced folder checkpoints"
    # metrics before their checkpoint, weights and result before the manifest, which is the last of all
    assert [one for one in disk if one.startswith("renamed")][-5:] == [
        "renamed report.html", "renamed README.md", "renamed model.safetensors", "renamed result.json",
        "renamed manifest.json",
    ]  # fmt: skip


# files.py by itself


def test_a_file_keeps_its_old_content_when_a_write_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    monkeypatch.setattr("recurra.files.os.fsync", _fails)
    with pytest.raises(WorkError, match=r"file could not be written: No space"):
        write_whole(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def _fails(handle: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_is_made_as_the_umask_says(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_write_takes_the_place_of_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "link").read_text() == "new"


def test_a_removal_takes_links_and_not_what_they_point_to(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (tmp_path / "plots").symlink_to(tmp_path / "mine")
    (tmp_path / "folder").mkdir()
    remove([tmp_path / "plots", tmp_path / "folder", tmp_path / "nothing"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "file").exists()


def test_only_half_written_neighbours_are_leftovers(tmp_path: Path) -> None:
    for name in (".config.toml.0123abcd.part", "movie.part", ".hidden", "config.toml"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "config.toml", "movie.part"]


def test_a_file_beyond_the_limit_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte, without a block on the disk
    with pytest.raises(InputError, match="is larger than 1000 bytes"):
        read_bounded(path, 1000)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[" * 100_000, "9" * 10_000, "{", "", '{"a": 1} x'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_folder_that_cannot_be_made_or_locked_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made a folder"):
        make_folder(tmp_path / "file" / "below")
    (tmp_path / ".lock").symlink_to(tmp_path / "file")
    with pytest.raises(InputError, match="could not be locked"), locked(tmp_path):
        pass


def test_a_folder_has_one_holder_even_in_one_process(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunError, match="is in use by another training"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
