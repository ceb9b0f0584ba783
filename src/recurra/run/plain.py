"""The plain methods of a run, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra.files import write_whole
from recurra.run.files import BASELINES, json_object, read, read_if_there
from recurra.tasks import Task


def save_baselines(folder: Path, task: Task, baselines: Any) -> None:
    """The plain methods that the run is compared with."""
    for name, content in task.baselines_to_files(baselines).items():
        write_whole(folder / name, content)


def take_baselines(folder: Path, other: Path) -> dict[str, Any]:
    """The plain methods of another run on the same data, files and scores, as if they had been fitted here.

    Returns:
        `baseline_NAME_METRIC` and `baseline_NAME_seconds` (of fitting, there).

    Raises:
        RunError: a file of the other run is damaged.
    """
    for name in BASELINES:
        content = read_if_there(other, name)
        if content is not None:
            write_whole(folder / name, content)
    result = json_object(other / "result.json", read(other, "result.json"))
    return {name: value for name, value in result.items() if name.startswith("baseline_")}


def load_baselines(folder: Path, task: Task) -> Any:
    """What `save_baselines` wrote; loading the run has compared it with the manifest.

    Raises:
        RunError: a file is missing or damaged.
    """
    contents = {name: read_if_there(folder, name) for name in BASELINES}
    return task.baselines_from_files({name: one for name, one in contents.items() if one is not None}, folder)
