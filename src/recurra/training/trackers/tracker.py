"""What a tracker does, and one for each name. A library is imported in `make_trackers` alone."""

from __future__ import annotations

import contextlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from recurra.optional import require
from recurra.settings.names import TrackerName

Status = Literal["finished", "stopped", "failed"]
PROJECT = "recurra"
TENSORBOARD_FOLDER = "tensorboard"


class Tracker(ABC):
    """Where a training's numbers go besides the run folder.

    Its methods are called from one thread, in order: `start`, any number of `log`, `finish`. Any of them may fail or
    hang: whoever calls them (`Worker`) sees to it that training goes on.

    Args:
        library: the imported module.
    """

    module: ClassVar[str]
    extra: ClassVar[str | None] = None
    """The extra of recurra that brings the module; None: it is installed by its own name."""

    def __init__(self, library: Any) -> None:
        self.library = library

    @abstractmethod
    def start(self, folder: Path, settings: Mapping[str, Any], resumed: bool) -> None:
        """A training of this run folder begins, or goes on; `settings` are flat: numbers, texts and booleans."""

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """An evaluation after `step` optimiser steps."""

    @abstractmethod
    def finish(self, status: Status) -> None:
        """Training ended; what is not sent yet is sent."""


class TensorBoard(Tracker):
    """Event files in the run folder's `tensorboard`: `tensorboard --logdir runs` shows all runs below."""

    module = "tensorboardX"
    extra = "track"

    def start(self, folder: Path, settings: Mapping[str, Any], resumed: bool) -> None:
        """Open the writer."""
        self._writer = self.library.SummaryWriter(logdir=str(folder / TENSORBOARD_FOLDER), write_to_disk=True)
        self._writer.add_text("settings", "\n".join(f"    {name} = {value}" for name, value in settings.items()), 0)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """One scalar a number."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self, status: Status) -> None:
        """Close the writer."""
        self._writer.close()


class Trackio(Tracker):
    """trackio's own store (TRACKIO_DIR says where else), or the Space that TRACKIO_SPACE_ID names."""

    module = "trackio"
    extra = "track"

    def start(self, folder: Path, settings: Mapping[str, Any], resumed: bool) -> None:
        """Open a run of the folder's name, or the last of that name where the training is resumed."""
        with _no_words():
            self._run = self.library.init(
                project=os.environ.get("TRACKIO_PROJECT", PROJECT),
                name=folder.absolute().name,
                config=dict(settings),
                resume="allow" if resumed else "never",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """One row."""
        self._run.log(dict(numbers), step=step)

    def finish(self, status: Status) -> None:
        """Write what waits."""
        with _no_words():
            self.library.finish()


class WeightsAndBiases(Tracker):
    """wandb: to its server where a key or WANDB_MODE says so, else offline, into the run folder's `wandb`."""

    module = "wandb"

    def start(self, folder: Path, settings: Mapping[str, Any], resumed: bool) -> None:
        """Open the run. Without a key wandb would ask for one; so it is told to stay offline."""
        mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        self._run = self.library.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.absolute().name,
            dir=str(folder),
            config=dict(settings),
            mode=mode,
            settings=self.library.Settings(silent=True, console="off"),
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """One row."""
        self._run.log(dict(numbers), step=step)

    def finish(self, status: Status) -> None:
        """Send what waits; a status other than finished is an exit code of 1 there."""
        self._run.finish(exit_code=0 if status == "finished" else 1)


class MLflow(Tracker):
    """mlflow's own store: where MLFLOW_TRACKING_URI says, or its default."""

    module = "mlflow"
    _STATUS: ClassVar[dict[Status, str]] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

    def start(self, folder: Path, settings: Mapping[str, Any], resumed: bool) -> None:
        """Open the run, under the folder's name."""
        self.library.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
        self.library.start_run(run_name=folder.absolute().name)
        self.library.log_params(dict(settings))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """One value a metric."""
        self.library.log_metrics(dict(numbers), step=step)

    def finish(self, status: Status) -> None:
        """Close the run."""
        self.library.end_run(self._STATUS[status])


TRACKERS: dict[TrackerName, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


def make_trackers(names: Sequence[TrackerName]) -> dict[str, Tracker]:
    """A tracker for each name, none started.

    Raises:
        MissingExtra: its library is not installed; with the command that adds it.
    """
    return {name: TRACKERS[name](require(TRACKERS[name].module, TRACKERS[name].extra)) for name in names}


def _no_words() -> contextlib.redirect_stdout[io.StringIO]:
    """trackio greets on standard output, whose last line is the run folder's path. It takes a millisecond."""
    return contextlib.redirect_stdout(io.StringIO())
