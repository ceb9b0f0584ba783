"""What every task is: where data meets a model, and all that the way of a run asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from recurra.data.embeddings import EmbeddingsRecord
from recurra.data.partition import FileRecord, Given
from recurra.errors import SettingsError


class ReadParts(Protocol):
    """The data of a run, read and cut: whatever else a task needs of them is its own."""

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """The files that they came from; none where they came as Python objects."""

    @property
    def settings(self) -> Any:
        """The settings of data, with what the data decided."""

    @property
    def train(self) -> Any:
        """The part that the weights are trained on."""

    @property
    def test(self) -> Any:
        """The part that the run is scored on."""


class Scored(Protocol):
    """What the model came to on some data: metrics by name, and whatever a task's report shows beside them."""

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by name, loss among them."""


class Task(ABC):
    """What a run keeps: the settings, what turns raw input into tensors, and the model.

    Args:
        settings: all of them.
        device: where the model is.
    """

    name: ClassVar[str]
    """The task's name."""
    metrics: ClassVar[dict[str, bool]]
    """What can choose the best weights, and whether more of it is better."""
    model: nn.Module
    embeddings_record: EmbeddingsRecord | None = None
    """The file of pretrained vectors that the model began with, if any."""

    def __init__(self, settings: Any, device: torch.device | str) -> None:
        self.settings, self.device = settings, torch.device(device)

    @classmethod
    @abstractmethod
    def read(cls, settings: Any, given: Given | None, known: Any = None) -> ReadParts:
        """The data of a run, cut into training, validation and test data.

        Args:
            settings: all of them.
            given: data that came as Python objects.
            known: a task whose vocabulary is used, where it is learned while the data are read.

        Raises:
            DataError, InputError: data that cannot be used, or none.
        """

    @classmethod
    @abstractmethod
    def fit_features(cls, settings: Any, train: Any, device: torch.device | str = "cpu", start: Any = None) -> Self:
        """Learn vocabulary, scaling and targets from the training part, and build the model.

        Args:
            settings: all of them.
            train: the training part of what `read` gave.
            device: where the model is to be.
            start: an earlier run's task to start from.

        Raises:
            DataError, SettingsError
        """

    @classmethod
    @abstractmethod
    def from_json(cls, saved: dict[str, Any], tokenizer: str | None) -> tuple[Any, ...]:
        """What `to_json` and `tokenizer_json` wrote: the arguments between `settings` and `device`.

        Raises:
            KeyError, TypeError, ValueError, RunError: it is damaged.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What turns raw input into tensors and outputs into answers, as plain values."""

    @property
    @abstractmethod
    def tokenizer_json(self) -> str | None:
        """A tokenizer in its library's own format, where there is one."""

    @property
    @abstractmethod
    def metric(self) -> str:
        """The metric that chooses the best weights where the settings name none."""

    @classmethod
    @abstractmethod
    def with_structure(cls, settings: Any, start: Task) -> Any:
        """The settings with the model's structure of an earlier run, where they are left at their defaults.

        Raises:
            SettingsError: an option is given and is not the earlier run's; or that run is of no use here.
        """

    @abstractmethod
    def take_weights(self, start: Task) -> bool:
        """Copy an earlier run's weights; whether the head was copied too.

        Raises:
            RunError: they do not fit.
        """

    def begin_again(self, train: Any) -> None:  # noqa: B027  most tasks begin with their weights alone
        """Whatever else a training begins with, done once more on resume, before a first checkpoint.

        Args:
            train: what `fit_features` was given.

        Raises:
            DataError: a file that is needed has changed.
        """

    @abstractmethod
    def training(self, parts: Any) -> TaskTraining:
        """What the training loop asks for, on the parts that `read` gave.

        Raises:
            DataError, SettingsError
        """

    @abstractmethod
    def examples(self, part: Any) -> Any:
        """A part of the data with targets made ready to be scored.

        Raises:
            DataError: something in it cannot be used.
        """

    @abstractmethod
    def score(self, examples: Any) -> Scored:
        """Metrics on data made ready, by the model in evaluation mode."""

    @abstractmethod
    def fit_baselines(self, training: Any) -> Any:
        """The plain methods, fitted on what trains the model."""

    @abstractmethod
    def score_baselines(self, baselines: Any, examples: Any) -> dict[str, float]:
        """`baseline_NAME_METRIC` and `baseline_NAME_seconds` (of fitting) on data made ready."""

    @abstractmethod
    def baselines_to_files(self, baselines: Any) -> dict[str, bytes]:
        """The plain methods as files of a run, by name: of `baselines.json` and `baselines.safetensors`."""

    @abstractmethod
    def baselines_from_files(self, files: Mapping[str, bytes], folder: Path) -> Any:
        """What `baselines_to_files` wrote.

        Raises:
            RunError: it is damaged.
        """

    @abstractmethod
    def sizes(self, training: Any, test: Any) -> dict[str, int]:
        """How much data there is: `train_examples`, `valid_examples`, `test_examples`, `train_cut`, …"""

    def notes(self, training: Any, test: Any) -> list[str]:
        """What a user should know of the data before training, a sentence each."""
        return []

    @property
    def reads_text(self) -> bool:
        """Whether an input is a text; else it is numbers or lists."""
        return True


class TaskTraining(ABC):
    """What the training loop asks of a task (`recurra.training.protocol.Trainable`), and what the way of a run does."""

    task: Any
    model: nn.Module
    metric: str
    higher_is_better: bool

    def choose_metric(self, task: Task) -> None:
        """Take task and model over, and the metric that the settings name.

        Raises:
            SettingsError: the metric is not measured.
        """
        self.task, self.model = task, task.model
        self.metric = task.settings.training.metric or task.metric
        if self.metric not in task.metrics:
            known = ", ".join(task.metrics)
            raise SettingsError(f"metric: {self.metric!r} is not measured here; choose from {known}")
        self.higher_is_better = task.metrics[self.metric]

    @abstractmethod
    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, as indices: a pure function of (seed, epoch)."""

    @abstractmethod
    def batch(self, indices: list[int], step_seed: int) -> Any:
        """A batch on the model's device."""

    @abstractmethod
    def size(self, batch: Any) -> tuple[int, int]:
        """Examples, and valid tokens, of a batch."""

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, Tensor | float]:
        """Sum of the losses, and the count to divide by."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Metrics on the validation data; NaN where there is none."""

    @abstractmethod
    def describe(self, indices: list[int]) -> str:
        """A batch in words, ending with "(the longest has N steps)"."""

    def begin_step(self, step: int, total_steps: int) -> None:  # noqa: B027  most losses are the same at every step
        """What a loss should know of where the training stands; called before each step.

        Args:
            step: optimiser steps already taken.
            total_steps: those of the whole training, as the schedule of the learning rate counts them.
        """

    def carried(self) -> dict[str, Tensor]:
        """What goes over from batch to batch, beside the weights: a state under truncated BPTT."""
        return {}

    def carry(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `carried` gave.

        Raises:
            ValueError: it is not of this training.
        """
        if tensors:
            raise ValueError("it carries a state, and this training has none")

    @property
    def lengths(self) -> list[int] | None:
        """Steps of each training example, where `--batch-size auto` can try them; None where it cannot."""
        return None

    def again(self) -> TaskTraining:
        """A training of fresh weights on training and validation data together.

        Raises:
            SettingsError: this task has none.
        """
        raise SettingsError(f"refit: the task {self.task.name} has none; leave it out")
