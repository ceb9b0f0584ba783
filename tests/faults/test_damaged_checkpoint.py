"""A checkpoint that is damaged, or of something else, is refused by name; the training it belongs to is left alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recurra
from recurra.errors import RunError
from recurra.training.checkpoint import checkpoints

from .forks import Forks, what_counts

CHECKPOINT = r"checkpoints/step-00000005\.safetensors"


@pytest.fixture(scope="module")
def half_way(forks: Forks) -> Path:
    """A training stopped after its fifth step."""
    return stopped(forks, forks.folder / "half way to damage")


def stopped(forks: Forks, folder: Path, **settings: Any) -> Path:
    assert forks.train(folder, kill=["batch", 6], settings=settings).killed
    assert [path.name for path in checkpoints(folder)] == ["step-00000005.safetensors"]
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for copies."""
    return tmp_path_factory.mktemp("copies")


def copied(folder: Path, place: Path) -> Path:
    shutil.rmtree(place / "run", ignore_errors=True)
    return Path(shutil.copytree(folder, place / "run"))


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_flipped_bit_or_a_cut_is_refused_by_name_and_the_file_is_kept(
    where: float, bit: int, cut: bool, half_way: Path, place: Path
) -> None:
    path = checkpoints(copied(half_way, place))[0]
    content = bytearray(path.read_bytes())
    index = int(where * len(content))
    if cut:
        del content[index:]
    else:
        content[index] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(RunError, match=rf"{CHECKPOINT} is damaged"):
        recurra.resume(path.parents[1])
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": 5}, r"{checkpoint} was not written with the (config\.toml|features\.json) that is here"),
        ({"hidden_size": 4}, r"{checkpoint} was not written with the config\.toml that is here"),
        ({"word_dropout": 0.1}, r"{checkpoint} was not written with the config\.toml that is here"),
        ({"lr": 0.1}, r"the checkpoint of .* was written with lr = 0\.1, and lr is now 0\.001"),
    ],
)
def test_a_checkpoint_of_another_run_or_configuration_is_refused_by_name(
    settings: dict[str, Any], words: str, half_way: Path, forks: Forks, tmp_path: Path
) -> None:
    other = stopped(forks, tmp_path / "other", **settings)
    folder = copied(half_way, tmp_path)
    shutil.copy(checkpoints(other)[0], checkpoints(folder)[0])
    with pytest.raises(RunError, match=words.format(checkpoint=CHECKPOINT)):
        recurra.resume(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hidden_size = 3", "hidden_size = 4", "was not written with the config.toml that is here"),
        ("word_dropout = 0.2", "word_dropout = 0.3", "was not written with the config.toml that is here"),
        ("lr = 0.001", "lr = 0.01", "was written with lr = 0.001, and lr is now 0.01"),
    ],
)
def test_a_configuration_that_was_changed_since_is_refused(
    old: str, new: str, words: str, half_way: Path, tmp_path: Path
) -> None:
    folder = copied(half_way, tmp_path)
    edit(folder / "config.toml", old, new)
    with pytest.raises(RunError) as caught:
        recurra.resume(folder)
    assert words in str(caught.value)


def test_what_does_not_choose_the_numbers_may_change(
    half_way: Path, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = copied(half_way, tmp_path)
    edit(folder / "config.toml", "checkpoint_every = 0.0", "checkpoint_every = 30.0  # mine")
    assert forks.resume(folder).exit_status == 0
    assert {**what_counts(folder), "config": None} == {**expected, "config": None}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["config.toml", "features.json"])
@pytest.mark.parametrize("damage", ["empty", "cut", "missing"])
def test_a_beginning_that_is_damaged_is_refused_by_name(
    name: str, damage: str, half_way: Path, forks: Forks, tmp_path: Path
) -> None:
    path = copied(half_way, tmp_path) / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    answer = forks.resume(path.parent)
    assert (answer.exit_status, answer.said["kind"]) == (2, "RunError")
    assert str(path) in answer.error or (name, damage) == ("config.toml", "missing")


def test_a_checkpoint_under_the_name_of_another_step_is_refused(half_way: Path, tmp_path: Path) -> None:
    path = checkpoints(copied(half_way, tmp_path))[0]
    path.rename(path.with_name("step-00000007.safetensors"))
    with pytest.raises(RunError, match=r"step-00000007\.safetensors is damaged \(it is the checkpoint of step 5\)"):
        recurra.resume(path.parents[1])


def test_links_and_pipes_are_refused_at_once(half_way: Path, tmp_path: Path) -> None:
    path = checkpoints(copied(half_way, tmp_path))[0]
    elsewhere = path.rename(path.parents[1] / "elsewhere")
    path.symlink_to(elsewhere)
    with pytest.raises(RunError, match=rf"{CHECKPOINT}: is a link"):
        recurra.resume(path.parents[1])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RunError, match=rf"{CHECKPOINT}: is not a regular file"):
        recurra.resume(path.parents[1])


@pytest.mark.parametrize("name", ["checkpoints", "plots"])
def test_a_folder_of_the_run_that_is_a_link_is_not_written_through(
    name: str, half_way: Path, forks: Forks, tmp_path: Path
) -> None:
    folder = copied(half_way, tmp_path)
    shutil.rmtree(folder / name, ignore_errors=True)
    (tmp_path / "mine").mkdir()
    (folder / name).symlink_to(tmp_path / "mine")
    answer = forks.resume(folder)
    assert answer.exit_status == 2
    assert answer.error.startswith(f"{folder / name} is a link, and a folder of the run's own is expected")
    assert list((tmp_path / "mine").iterdir()) == []


def test_the_earlier_checkpoint_is_taken_where_the_newest_is_damaged(
    forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, kill=["remove checkpoint", 4]).killed
    newest = checkpoints(folder)[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


def test_a_seal_is_not_put_on_weights_that_are_not_finite(half_way: Path, forks: Forks, tmp_path: Path) -> None:
    folder = copied(half_way, tmp_path)
    answer = forks.resume(folder, spoil=True)
    assert answer.exit_status == 1
    assert "is not finite, so the run is not saved" in answer.error
    assert not (folder / "manifest.json").exists() and not (folder / "model.safetensors").exists()
