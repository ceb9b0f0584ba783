"""Training once more on training and validation data together, for as many steps as the first training found best.

The second training lives in `refit/` inside the run folder, with checkpoints of its own: the first has ended by then
and its folder says so, so that a stop in either is resumed exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recurra.settings.groups import TrainingSettings
from recurra.training.loop import FitResult, fit
from recurra.training.processes import ALONE, Processes
from recurra.training.progress import ProgressDisplay
from recurra.training.protocol import Trainable
from recurra.training.step import StepRecord

FOLDER = "refit"


def refit(
    trainable: Trainable,
    settings: TrainingSettings,
    first: FitResult,
    folder: Path,
    progress: ProgressDisplay,
    *,
    resume: bool = False,
    beginning: Mapping[str, str] | None = None,
    processes: Processes = ALONE,
) -> FitResult:
    """Train fresh weights on all labelled data; the model ends with the last of them, or their average.

    At every step the learning rate is that of the first training, so that it stops where the first one was best: a
    schedule shortened to these steps would be another training than the one validated.

    Args:
        trainable: training and validation data together, a model with fresh weights, and `evaluate` without rows
            (NaN): there are none left to score.
        settings: those of the first training.
        first: what the first training came to.
        folder: the run folder.
        resume: go on from `refit/`; from the start where there is nothing in it.
        beginning: digests of the files that the run began with, by name.
        processes: that train together.

    Raises:
        Interrupted: a signal came, and all is saved; `folder` goes on.
        RunError, WorkError: as for `fit`.
    """
    steps = first.best_step
    settings = replace(settings, max_steps=steps, evaluate_every=steps, max_time=0.0, patience=0)
    progress.note(f"refit: {steps} steps on training and validation data together")
    return fit(
        trainable,
        settings,
        folder / FOLDER,
        _Unscored(progress),
        resume=resume,
        beginning=beginning,
        run_folder=folder,
        schedule_steps=first.schedule_steps,
        processes=processes,
    )


class _Unscored(ProgressDisplay):
    """Another display, told of evaluations without their scores: there are none."""

    def __init__(self, display: ProgressDisplay) -> None:
        self.display = display

    def start(self, total_steps: int, *, metric: str, step: int = 0) -> None:
        self.display.start(total_steps, metric=metric, step=step)

    def step(self, record: StepRecord) -> None:
        self.display.step(record)

    def evaluation(self, record: dict[str, Any]) -> None:
        self.display.evaluation({name: value for name, value in record.items() if not name.startswith("valid_")})

    def note(self, text: str) -> None:
        self.display.note(text)

    def close(self) -> None:
        self.display.close()
