"""The plain methods of a run, saved and loaded."""

from __future__ import annotations

from pathlib import Path

from recurra.baselines import Baselines, from_files, to_files
from recurra.files import write_whole
from recurra.run.files import BASELINES, read


def save_baselines(folder: Path, baselines: Baselines) -> None:
    """The plain methods that the run is compared with."""
    for name, content in to_files(baselines).items():
        write_whole(folder / name, content)


def load_baselines(folder: Path) -> Baselines:
    """What `save_baselines` wrote; loading the run has compared it with the manifest.

    Raises:
        RunError: a file is missing or damaged.
    """
    return from_files({name: read(folder, name) for name in BASELINES}, folder)
