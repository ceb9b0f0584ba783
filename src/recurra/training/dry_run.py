"""A few steps of a training, in a folder that goes: whether it works, and what it will cost."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recurra.settings.groups import TrainingSettings
from recurra.training.checkpoint import checkpoints, read_checkpoint
from recurra.training.loop import fit
from recurra.training.progress import Silent
from recurra.training.protocol import Interrupted, Trainable
from recurra.training.step import StepRecord

STEPS = 3  # the first of them is a warm-up; the quickest counts


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a training would be, measured on its first steps; nothing of it is kept."""

    task: str
    cell: str
    train_examples: int
    valid_examples: int
    test_examples: int
    train_cut: int
    """Training examples that max_length shortens."""
    parameters: int
    batch_size: int
    """Examples a batch; their mean, where a budget of tokens makes the batches."""
    steps_per_epoch: int
    steps: int
    """Optimiser steps at most."""
    step_seconds: float
    evaluation_seconds: float
    predict_seconds: float
    """Of one row."""
    expected_seconds: float
    """At most: early stopping is not foreseen. The file is not read again."""
    peak_memory_bytes: int
    """The process's largest resident set, libraries and data included."""
    checkpoint_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """Costs of a training's parts, and how many steps it has."""

    steps_an_epoch: int
    total_steps: int
    step_seconds: float
    evaluation_seconds: float
    checkpoint_bytes: int


class _Watch(Silent):
    """Notes the seconds of steps, and when the first evaluation begins and ends."""

    def __init__(self) -> None:
        self.step_seconds: list[float] = []
        self.evaluation_seconds = 0.0
        self._stepped = 0.0

    def step(self, record: StepRecord) -> None:
        self.step_seconds.append(record.seconds)
        self._stepped = time.perf_counter()

    def evaluation(self, record: dict[str, Any]) -> None:
        self.evaluation_seconds = time.perf_counter() - self._stepped


def measure(trainable: Trainable, settings: TrainingSettings, folder: Path) -> Measured:
    """Train a few steps, evaluate, write a checkpoint and read it back.

    Args:
        trainable: what would be trained; its weights are others afterwards.
        settings: how.
        folder: for the checkpoint; the caller removes it.

    Raises:
        RecurraError: whatever the training would end with at its first steps.
    """
    watch = _Watch()
    steps_an_epoch = math.ceil(len(trainable.plan(0)) / settings.accumulate)
    few = replace(settings, max_steps=min(STEPS, settings.max_steps or STEPS), evaluate_every=0, max_time=0.0)
    try:
        fit(trainable, few, folder, watch)
    except Interrupted as error:
        raise Interrupted(error.signal, "in a dry run, which keeps nothing") from error
    path = checkpoints(folder)[0]
    size = path.stat().st_size
    read_checkpoint(path, size)
    steps = settings.epochs * steps_an_epoch
    return Measured(
        steps_an_epoch,
        min(steps, settings.max_steps or steps),
        min(watch.step_seconds),
        watch.evaluation_seconds,
        size,
    )
