"""A progress display that tells trackers of each evaluation too."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recurra.training.progress import ProgressDisplay
from recurra.training.protocol import Interrupted
from recurra.training.step import StepRecord
from recurra.training.trackers.tracker import Status, Tracker
from recurra.training.trackers.worker import FINISH_SECONDS, Worker


@contextlib.contextmanager
def tracked(
    progress: ProgressDisplay,
    trackers: Mapping[str, Tracker],
    folder: Path,
    settings: Mapping[str, Any],
    *,
    resumed: bool = False,
    finish_seconds: float = FINISH_SECONDS,
) -> Iterator[ProgressDisplay]:
    """The display to train with; at the end the trackers are finished, with how the training ended.

    Args:
        progress: what is shown; it hears of a tracker that fails.
        trackers: by name, none started.
        folder: the run folder.
        settings: of the run, flat.
        resumed: whether the training goes on.
        finish_seconds: the longest wait for all trackers together.
    """
    if not trackers:
        yield progress
        return
    display = Tracked(progress, trackers, folder, settings, resumed)
    status: Status = "failed"
    try:
        yield display
        status = "finished"
    except (Interrupted, KeyboardInterrupt):
        status = "stopped"
        raise
    finally:
        display.finish(status, finish_seconds)


class Tracked(ProgressDisplay):
    """Passes everything on to a display, and each evaluation to trackers; one that fails is named once and dropped."""

    def __init__(
        self,
        display: ProgressDisplay,
        trackers: Mapping[str, Tracker],
        folder: Path,
        settings: Mapping[str, Any],
        resumed: bool = False,
    ) -> None:
        self.display = display
        self._workers = [Worker(name, tracker) for name, tracker in trackers.items()]
        for worker in self._workers:
            worker.call("start", folder, {name: _shown(value) for name, value in settings.items()}, resumed)

    def start(self, total_steps: int, *, metric: str, step: int = 0) -> None:
        """Pass it on."""
        self.display.start(total_steps, metric=metric, step=step)

    def step(self, record: StepRecord) -> None:
        """Pass it on."""
        self.display.step(record)

    def evaluation(self, record: dict[str, Any]) -> None:
        """Show it, and log its numbers."""
        self.display.evaluation(record)
        numbers = {name: float(value) for name, value in record.items() if name != "step" and _is_number(value)}
        for worker in self._workers:
            worker.call("log", record["step"], numbers)
        self._tell()

    def note(self, text: str) -> None:
        """Pass it on."""
        self.display.note(text)

    def close(self) -> None:
        """Pass it on; the trackers go on until `finish`."""
        self.display.close()

    def finish(self, status: Status, seconds: float) -> None:
        """Finish the trackers, all within `seconds`."""
        for worker in self._workers:
            worker.finish(status)
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            worker.wait(deadline)
        self._tell()

    def _tell(self) -> None:
        for worker in self._workers:
            if trouble := worker.trouble():
                self.display.note(trouble)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: object) -> object:
    """A setting as trackers take it: a number, a text or a boolean."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, int | float | str) else str(value)
