"""A settings file that a training starts from: `train --config FILE`; a run's own config.toml is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.errors import SettingsError
from recurra.files import read_bounded
from recurra.settings.tasks import TaskSettings
from recurra.settings.toml import LARGEST_FILE, from_toml


@dataclass(frozen=True)
class Configuration:
    """What a settings file says.

    path: the file. task, settings: as it names them, with defaults for the rest. record: the table [record]: which
    files with which fingerprints made a run; empty in a file that is no run's.
    """

    path: Path
    task: str
    settings: TaskSettings
    record: dict[str, Any]


def read_configuration(path: Path, task: str | None = None) -> Configuration:
    """Read a settings file.

    Args:
        path: the file; paths in it are relative to the working directory.
        task: what it must be of; None: whichever it names.

    Raises:
        DataError: it cannot be read.
        SettingsError: it is no TOML, or has an unknown key, a wrong value or another task.
    """
    content = read_bounded(path, 4 * LARGEST_FILE)
    try:
        found, settings, record = from_toml(content.decode(), str(path))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8, as TOML is: {error}") from error
    if task not in (None, found):
        raise SettingsError(
            f"{path}: is of the task {found}, and {task} is asked for; give recurra train --config alone"
        )
    return Configuration(path, found, settings, record)
