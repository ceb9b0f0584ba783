"""The folder of a comparison: free or taken, held by one comparison, and cleared."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from recurra.comparison.plan import PLAN, RUNS
from recurra.errors import RunError, SettingsError
from recurra.files import LOCK, is_leftover, locked, make_folder, remove, remove_leftovers

RESULT, TABLE, PAGE, PLOTS = "compare.json", "compare.csv", "compare.html", "plots"
OWN = (RESULT, TABLE, PAGE, PLOTS, RUNS, PLAN)  # the order in which they go: without the last it is no comparison


@contextlib.contextmanager
def held(folder: Path, overwrite: bool) -> Iterator[None]:
    """Hold a folder for a new comparison, cleared of an old one; what is held and left empty goes again.

    Raises:
        RunError: it holds a comparison and `overwrite` is not given, holds other things, or is in use.
        SettingsError: it is a file.
    """
    _check_free(folder, overwrite)
    made = not folder.exists()
    make_folder(folder)
    try:
        with locked(folder):
            _check_free(folder, overwrite)
            remove(folder / name for name in OWN)
            remove_leftovers(folder)
            yield
    finally:
        if made and {path.name for path in folder.iterdir()} <= {LOCK}:
            remove([folder])


@contextlib.contextmanager
def held_to_go_on(folder: Path) -> Iterator[None]:
    """Hold the folder of a comparison that goes on.

    Raises:
        RunError: there is no comparison in it, or it is in use.
    """
    if not (folder / PLAN).is_file():
        what = f"it has no {PLAN}" if folder.is_dir() else "there is no such folder"
        raise RunError(f"{folder} is no comparison to go on with: {what}")
    with locked(folder):
        remove_leftovers(folder)
        yield


def new_folder(name: str) -> Path:
    """`runs/NAME-DATE`, of this second and not there yet."""
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in range(1, 1000):
        folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        if not folder.exists():
            return folder
    raise RunError(f"runs/{stem}: a thousand comparisons began in this second; give --out")


def how_to_go_on(folder: Path, objects: bool = False) -> str:
    """What goes on with a comparison, for a sentence's end; objects: whether its data were Python objects."""
    if objects:
        return f"go on with: recurra.compare(resume={str(folder)!r}, data=…)"
    return f"go on with: recurra compare --resume {shlex.quote(str(folder))}"


def _check_free(folder: Path, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SettingsError(f"out: {folder} is a file; give a folder")
    there = {path.name for path in folder.iterdir() if not is_leftover(path)} - {LOCK}
    if not there:
        return
    if not {RESULT, PLAN} & there:
        raise RunError(f"{folder} is a folder with other things in it; give a new one with --out")
    if overwrite:
        return
    if RESULT in there:
        raise RunError(f"{folder} holds a comparison already; give another --out, or --overwrite to replace it")
    raise RunError(
        f"{folder} holds a comparison that has not ended; {how_to_go_on(folder)}; or give another --out, or "
        "--overwrite to replace it"
    )
