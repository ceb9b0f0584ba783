"""What the training loop asks of a task whose examples are rows, and of those with one answer a sequence."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from recurra.data.augmentation import Augment
from recurra.data.batching import plan
from recurra.data.columns import input_column
from recurra.data.features import TextFeatures, check_training_inputs
from recurra.randomness import numpy_generator
from recurra.tasks.examples import Batch, Examples, joined
from recurra.tasks.task import TaskTraining

if TYPE_CHECKING:
    from recurra.tasks.many_to_one import ManyToOne


class RowsTraining(TaskTraining):
    """A training on rows that know no order: batches of like length, dealt anew in each epoch.

    A subclass sets `train` and `valid`, examples with `encoded` and `table`, and says the `lengths` it trains on.
    """

    train: Any
    valid: Any

    @property
    @abstractmethod
    def lengths(self) -> list[int]:
        """Steps of each row that batches are made of."""

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch."""
        training = self.task.settings.training
        return plan(
            self.lengths,
            batch_size=training.batch_size,
            batch_tokens=training.batch_tokens,
            rng=numpy_generator(training.seed, "order", epoch),
        )

    def size(self, batch: Any) -> tuple[int, int]:
        """Rows and valid steps."""
        return batch.inputs.batch_size, int(batch.inputs.lengths.sum())

    def evaluate(self) -> dict[str, float]:
        """Metrics on the validation data; NaN where there is none."""
        if not self.valid.encoded:
            return {self.metric: math.nan}
        metrics: dict[str, float] = self.task.score(self.valid).metrics
        return metrics

    def described(self, rows: Iterable[int], longest: int) -> str:
        """Rows of the training table by the lines of their file, and the longest length of what was read of them."""
        lines = sorted(self.train.table.lines[row] for row in rows)
        shown = ", ".join(map(str, lines[:8])) + (", …" if len(lines) > 8 else "")
        return f"lines {shown} of {self.train.table.source} (the longest has {longest} steps)"


class ManyToOneTraining(RowsTraining):
    """What the training loop asks for: batches, losses and validation metrics of one run.

    Args:
        task: features, targets and model.
        train, valid: examples.

    Raises:
        SettingsError: the metric is not measured, or an option has no effect here.
        DataError: a training input is empty.
    """

    task: ManyToOne
    train: Examples
    valid: Examples

    def __init__(self, task: ManyToOne, train: Examples, valid: Examples) -> None:
        settings = task.settings
        self.choose_metric(task)
        self.train, self.valid = train, valid
        column = input_column(train.table, settings.data) if train.table.columns else None
        check_training_inputs(train.encoded, partial(train.table.place, column=column))
        text = settings.text
        self._augment = Augment(text.word_dropout, text.char_noise)
        self._augmented = isinstance(task.features, TextFeatures) and bool(text.word_dropout or text.char_noise)
        self._criterion = task.criterion(train.targets)

    def again(self) -> ManyToOneTraining:
        """A training of fresh weights on training and validation data together, with no rows left to score.

        Vocabulary, scaling and targets stay those of the training data. Empty inputs, which validation may have and
        training may not, are left out.
        """
        held = self.valid
        everything = joined([self.train, held.select([row for row, length in enumerate(held.lengths) if length])])
        task = type(self.task)(self.task.settings, self.task.features, self.task.targets, self.task.device)
        if self.task.embeddings is not None:
            task.begin_with(self.task.embeddings)
        return ManyToOneTraining(task, everything, held.select([]))

    @property
    def lengths(self) -> list[int]:
        """Steps of each training example."""
        return self.train.lengths

    def batch(self, indices: list[int], step_seed: int) -> Batch:
        """Rows of the training data, augmented."""
        encoded = [self.train.encoded[index] for index in indices]
        if self._augmented:
            assert isinstance(self.task.features, TextFeatures)
            rng = np.random.default_rng(step_seed)
            features = self.task.features
            texts = [self.train.inputs[index] for index in indices]
            encoded = [features.encode(text, augment=self._augment, rng=rng) for text in texts]
        return self.task.batch(encoded, [self.train.targets[index] for index in indices])

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor | float]:
        """Sum of the losses, and the count to divide by."""
        return self._criterion(self.model, batch)

    def describe(self, indices: list[int]) -> str:
        """Rows by the lines of their file, and the longest of them."""
        return self.described(indices, max(self.train.encoded[index].length for index in indices))
