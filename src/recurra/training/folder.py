"""The run folder as training sees it: free or taken, held by one training, and cleared."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from recurra.errors import RunError, SettingsError
from recurra.files import LOCK, is_leftover, locked, make_folder, remove, remove_leftovers
from recurra.training.checkpoint import FOLDER
from recurra.training.protocol import how_to_go_on
from recurra.training.refit import FOLDER as REFIT

SEALED = "manifest.json"
BEGUN = "config.toml"
OWN = (
    # the order in which they go: without the first a folder is no run, without the last nothing at all
    SEALED, FOLDER, "model.safetensors", "baselines.json", "baselines.safetensors", "metrics.jsonl", "result.json",
    "report.html", "README.md", "certificate.json", "plots", "explanations", REFIT, "tensorboard", "wandb",
    "tokenizer.json", "features.json", BEGUN,
)  # fmt: skip
KILLED_START = {LOCK, "tokenizer.json", "features.json"}  # what may be there before BEGUN
NOTHING_SAVED = "before anything was saved; give the same command again"


@contextlib.contextmanager
def held(folder: Path, overwrite: bool) -> Iterator[None]:
    """Hold a folder for a new training: nobody else trains there until the block ends.

    Nothing is removed here; `clear` does that once the data are known to be good.

    Args:
        folder: made where it is not there.
        overwrite: whether a run may be in it.

    Raises:
        RunError: it holds a run and `overwrite` is not given, holds other things, or another training holds it.
        SettingsError: it is a file.
    """
    if not (folder / LOCK).exists():  # a lock is not laid into a folder that is not ours
        check_free(folder, overwrite)
    make_folder(folder)
    with locked(folder):
        check_free(folder, overwrite)
        yield


@contextlib.contextmanager
def held_to_go_on(folder: Path) -> Iterator[None]:
    """Hold a folder whose training goes on.

    Raises:
        RunError: there is no training in it, nothing was saved yet, or another training holds it.
    """
    _check_begun(folder)
    with locked(folder):
        _check_begun(folder)
        for name in (FOLDER, "plots", REFIT):
            if (folder / name).is_symlink():
                raise RunError(f"{folder / name} is a link, and a folder of the run's own is expected; remove it")
        _remove_leftovers(folder)
        yield


def clear(folder: Path) -> None:
    """Remove what an earlier training left; the folder is held.

    The manifest goes first and for good, the configuration last: whatever stops this, the folder is the old run, the
    old training without some of its files, or nothing; no old file is ever taken for a part of the new run.

    Raises:
        WorkError: the disk fails.
    """
    remove([folder / SEALED])
    remove(folder / name for name in OWN[1:-1])
    remove([folder / BEGUN])
    _remove_leftovers(folder)


def saved_until_now(folder: Path) -> str:
    """What is saved of a training that is stopped in the middle, and how to go on; the end of a sentence."""
    if (folder / BEGUN).exists():
        return f"at once; what its last checkpoint holds is saved; {how_to_go_on(folder)}"
    return NOTHING_SAVED


def check_free(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that a new training may not have; one that is not there is free.

    Raises:
        RunError: it holds a run and `overwrite` is not given, or other things.
        SettingsError: it is a file.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SettingsError(f"out: {folder} is a file; give a folder")
    there = {path.name for path in folder.iterdir() if not is_leftover(path)}
    if BEGUN in there and {SEALED, LOCK} & there:  # a configuration alone may be that of anything
        if overwrite:
            return
        if SEALED in there:
            raise RunError(f"{folder} holds a run already; give another --out, or --overwrite to replace it")
        raise RunError(
            f"{folder} holds a training that has not ended; {how_to_go_on(folder)}; "
            "or give another --out, or --overwrite to replace it"
        )
    # what a killed start leaves beside its lock counts as nothing; files of these names without one are not ours
    if there and not (LOCK in there and there <= KILLED_START):
        raise RunError(f"{folder} is a folder with other things in it; give a new one with --out")


def _check_begun(folder: Path) -> None:
    if not folder.is_dir():
        raise RunError(f"{folder} is no run folder: there is no such folder")
    if (folder / BEGUN).exists():
        return
    if (folder / LOCK).exists():
        raise RunError(
            f"{folder}: this training was stopped before anything was saved; give its `recurra train` command again, "
            f"with --out {shlex.quote(str(folder))}"
        )
    if not any(folder.iterdir()):
        raise RunError(
            f"{folder} is empty: a training there was stopped before anything was saved, or none began; give its "
            f"`recurra train` command, with --out {shlex.quote(str(folder))}"
        )
    raise RunError(f"{folder} is no run folder: it has no {BEGUN}")


def _remove_leftovers(folder: Path) -> None:
    for place in (folder, folder / FOLDER, folder / "plots", folder / REFIT, folder / REFIT / FOLDER):
        remove_leftovers(place)
