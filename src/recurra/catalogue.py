"""The runs below a folder, told from their small files: no model is loaded, so a thousand runs take a second."""

from __future__ import annotations

import fnmatch
import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from recurra.errors import DataError, InputError, SettingsError
from recurra.files import read_bounded
from recurra.settings.names import did_you_mean
from recurra.standing import SMALLER_IS_BETTER

RunState = Literal["finished", "unfinished", "damaged"]
DEEPEST = 4  # folders below the one asked for
MOST_FOLDERS = 100_000  # a mistyped `recurra runs /` ends
LARGEST = {"config.toml": 1 << 20, "result.json": 16 << 20, "manifest.json": 1 << 20}  # bytes
SMALLEST_FIRST = (*SMALLER_IS_BETTER, "seconds", "bytes", "parameters")  # ends of names of which less is better


@dataclass(frozen=True)
class RunEntry:
    """One run folder.

    path: the folder. state: finished; unfinished (a training that can go on); damaged. task, cell: empty where not
    known. metric: the name of the metric that chose the weights, value: on the test data. numbers: all of result.json.
    hint: how to go on, or what is wrong.
    """

    path: Path
    state: RunState
    task: str = ""
    cell: str = ""
    metric: str = ""
    value: float | None = None
    seconds: float | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    hint: str = ""


def runs_below(folder: Path) -> list[RunEntry]:
    """The runs in a folder and the folders below, by path; the folder itself, if it is a run.

    Whether weights are whole is not looked at: loading a run does that.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the one that your runs are in")
    return [_entry(path) for path in sorted(_run_folders(folder))]


def select(entries: Iterable[RunEntry], *, task: str = "", cell: str = "", name: str = "") -> list[RunEntry]:
    """Those of a task, of a cell, and of folders whose name fits a pattern with * and ?; empty: all."""
    return [
        entry
        for entry in entries
        if (not task or entry.task == task)
        and (not cell or entry.cell == cell)
        and (not name or fnmatch.fnmatchcase(entry.path.name, name))
    ]


def ordered(entries: Iterable[RunEntry], key: str) -> list[RunEntry]:
    """By a number of result.json, the best first (the smallest, of a loss, an error or a cost); without it last.

    Args:
        key: its name, as in `accuracy`; seconds; or path, task, cell, state.

    Raises:
        SettingsError: no run has it; with the nearest.
    """
    entries = list(entries)
    key = "training_seconds" if key == "seconds" else key
    if key in ("path", "task", "cell", "state"):
        return sorted(entries, key=lambda entry: str(getattr(entry, key)))
    known = sorted({name for entry in entries for name in entry.numbers})
    if entries and key not in known:
        raise SettingsError(f"sort: no run has {key!r}; {did_you_mean(key, [*known, 'path', 'task', 'cell', 'state'])}")
    sign = 1.0 if key.endswith(SMALLEST_FIRST) else -1.0
    return sorted(entries, key=lambda entry: sign * entry.numbers.get(key, sign * float("inf")))


def _run_folders(top: Path) -> Iterator[Path]:
    """Folders with a config.toml or a manifest.json; none inside a run, and no link is followed."""
    waiting, seen = [(top, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        seen += 1
        if seen > MOST_FOLDERS:
            raise InputError(f"{top}: has more than {MOST_FOLDERS} folders; give the one that your runs are in")
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            continue
        names = {entry.name for entry in entries}
        if "manifest.json" in names or {"config.toml", "features.json"} <= names:
            yield folder
        elif depth < DEEPEST:
            waiting += [(folder / e.name, depth + 1) for e in entries if e.is_dir(follow_symlinks=False)]


def _entry(folder: Path) -> RunEntry:
    try:
        config = tomllib.loads(_text(folder, "config.toml"))
        task, model = str(config.get("task", "")), config.get("model", {})
        cell = str(model.get("cell", "")) if isinstance(model, dict) else ""
        if not (folder / "manifest.json").exists():
            return RunEntry(folder, "unfinished", task, cell, hint=f"recurra train --resume {folder}")
        manifest, result = (_object(folder, name) for name in ("manifest.json", "result.json"))
        for name in manifest.get("files") or ():
            if not (folder / Path(name).name).is_file():
                raise DataError("is missing", folder / Path(name).name)
    except (DataError, ValueError, RecursionError) as error:
        return RunEntry(folder, "damaged", hint=" ".join(str(error).split()))
    numbers = {
        name: value for name, value in result.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }
    metric = str(result.get("metric", ""))
    return RunEntry(
        folder, "finished", task, cell, metric, numbers.get(metric), numbers.get("training_seconds"), numbers
    )


def _object(folder: Path, name: str) -> dict[str, Any]:
    content = json.loads(_text(folder, name))
    if not isinstance(content, dict):
        raise DataError("is no JSON object", folder / name)
    return content


def _text(folder: Path, name: str) -> str:
    return read_bounded(folder / name, LARGEST[name]).decode()
