"""What classification and regression share: a sequence in, one vector of outputs out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.baselines import BaselineKind, Baselines, fit_baselines
from recurra.data.augmentation import Augment
from recurra.data.batching import plan
from recurra.data.columns import inputs_of, kind_of, target_columns
from recurra.data.features import Encoded, Features, SeriesFeatures, TextFeatures, check_training_inputs
from recurra.data.table import Table, concatenate
from recurra.errors import DataError, RecurraError, SettingsError
from recurra.memory import memory_faults_named
from recurra.models import Classifier, SequenceModel
from recurra.nn import TokenEmbedding, VectorInput
from recurra.randomness import numpy_generator, seed_of
from recurra.sequence import Sequence
from recurra.settings.tasks import TaskSettings

LESS_MEMORY = "train with a smaller max_length, hidden_size or batch_tokens, or predict where there is more memory"
PREDICT_ROWS = 1024  # rows encoded and sorted together in prediction: memory stays flat, batches stay full

T = TypeVar("T")


class Batch(NamedTuple):
    """inputs, and targets: as `target_tensor` of the task makes them"""

    inputs: Sequence
    targets: Tensor


Criterion = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""(model, batch) → the sum of the losses, and the count to divide by; the forward pass included."""


@dataclass(frozen=True)
class Examples:
    """A table made ready: raw inputs, their encoding, targets, and where each row came from."""

    table: Table
    inputs: list[Any]
    encoded: list[Encoded]
    targets: list[Any]

    @property
    def lengths(self) -> list[int]:
        """Steps of each example."""
        return [one.length for one in self.encoded]

    @property
    def cut(self) -> int:
        """Examples that max_length shortened."""
        return sum(one.cut > 0 for one in self.encoded)

    def select(self, rows: list[int]) -> Examples:
        """Some of them, in this order."""
        inputs, encoded, targets = (
            [values[row] for row in rows] for values in (self.inputs, self.encoded, self.targets)
        )
        return Examples(self.table.select(rows), inputs, encoded, targets)


def joined(parts: list[Examples]) -> Examples:
    """Examples one below the other; their table keeps where each came from, and no columns."""
    return Examples(
        concatenate([replace(part.table, columns={}) for part in parts]),
        [value for part in parts for value in part.inputs],
        [one for part in parts for one in part.encoded],
        [target for part in parts for target in part.targets],
    )


class Score(NamedTuple):
    """metrics by name; outputs [N, O] of the model, a row an example"""

    metrics: dict[str, float]
    outputs: Tensor


class ManyToOne(ABC):
    """Features, targets and the model of one run: what a run keeps.

    Args:
        settings: all of them; `model.cell` is filled in.
        features: raw input → tensors.
        targets: what the outputs mean: the classes, or the scale of a number.
        device: where the model is.
    """

    name: ClassVar[str]
    """The task's name."""
    metrics: ClassVar[dict[str, bool]]
    """What can choose the best weights, and whether more of it is better."""
    stratified: ClassVar[bool]
    """Whether rows are cut into parts target by target."""

    def __init__(self, settings: Any, features: Features, targets: Any, device: torch.device | str = "cpu") -> None:
        self.settings, self.features, self.targets = settings, features, targets
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(settings.training.seed, "weights"))
            self.model = build_model(settings, features, self.output_size, self.output_dropout).to(self.device)

    @classmethod
    def fit_features(
        cls, settings: Any, train: Table, device: torch.device | str = "cpu", start: ManyToOne | None = None
    ) -> Self:
        """Learn vocabulary, scaling and targets from the training table, and build the model.

        Args:
            settings: all of them.
            train: the training table.
            device: where the model is to be.
            start: an earlier run's task, whose vocabulary or scaling is taken over, and its targets where they serve.

        Raises:
            DataError: a row that cannot be used, or targets that leave nothing to learn.
            SettingsError: an option that has no effect on this task.
        """
        inputs = inputs_of(train, settings.data)
        kind = kind_of(inputs, train, settings.data)
        targets = cls.fit_targets(train, target_columns(train, settings.data))
        features: Features
        if start is not None:
            features = _taken_over(start.features, kind, settings.data.max_length)
            targets = cls.adopt_targets(targets, start.targets) if isinstance(start, cls) else targets
        elif kind == "text":
            features = TextFeatures.fit(inputs, settings.text, settings.data.max_length)
        else:
            longest = settings.data.max_length
            features = SeriesFeatures.fit(inputs, longest, vector=kind == "vector", place=train.place)
        return cls(with_cell(settings, features), features, targets, device)

    @classmethod
    @abstractmethod
    def fit_targets(cls, train: Table, columns: tuple[str, ...]) -> Any:
        """What the targets of the training table are."""

    @classmethod
    @abstractmethod
    def adopt_targets(cls, fitted: Any, earlier: Any) -> Any:
        """The targets of an earlier run where these data can keep them, else those fitted."""

    @classmethod
    @abstractmethod
    def targets_from_json(cls, saved: dict[str, Any]) -> Any:
        """The targets as `to_json` wrote them.

        Raises:
            KeyError, RunError: what was saved is damaged.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What the outputs mean, as plain values."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Outputs of the model, O."""

    @property
    @abstractmethod
    def output_dropout(self) -> float:
        """Dropout on the pooled vector."""

    @property
    @abstractmethod
    def metric(self) -> str:
        """The metric that chooses the best weights where the settings name none."""

    @abstractmethod
    def target_tensor(self, targets: list[Any]) -> Tensor:
        """Targets of some rows as a tensor, the first dimension being the row."""

    @abstractmethod
    def criterion(self, targets: list[Any]) -> Criterion:
        """The loss of a batch, given the targets of the training data.

        Raises:
            SettingsError: an option that this loss cannot have.
        """

    @abstractmethod
    def measure(self, outputs: Tensor, targets: list[Any]) -> dict[str, float]:
        """Metrics, loss among them, of outputs [N, O] against N targets."""

    @property
    @abstractmethod
    def baseline_kind(self) -> BaselineKind:
        """What the targets are to a baseline."""

    @abstractmethod
    def measure_answers(self, answers: NDArray[Any], targets: list[Any]) -> dict[str, float]:
        """Metrics of a baseline's answers against N targets; those that need no probabilities."""

    @abstractmethod
    def decode(self, outputs: Tensor) -> list[Any]:
        """Outputs [N, O] as N predictions."""

    @abstractmethod
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Outputs [N, O] as plain values fit for JSON, with no more digits than mean something."""

    @abstractmethod
    def encode_targets(self, table: Table, columns: tuple[str, ...]) -> list[Any]:
        """The targets of a table.

        Raises:
            DataError: one is missing or cannot be used; with its place.
        """

    def examples(self, table: Table) -> Examples:
        """A table with targets made ready.

        Raises:
            DataError: a column that is not there, a row that cannot be read, a target that cannot be used.
        """
        inputs = inputs_of(table, self.settings.data)
        encoded = [self.features.encode(value, place=table.place(row)) for row, value in enumerate(inputs)]
        return Examples(table, inputs, encoded, self.encode_targets(table, target_columns(table, self.settings.data)))

    def batch(self, encoded: list[Encoded], targets: list[Any]) -> Batch:
        """Encoded rows and their targets on the model's device."""
        return Batch(self.features.collate(encoded).to(self.device), self.target_tensor(targets).to(self.device))

    def outputs(self, encoded: list[Encoded]) -> Tensor:
        """[N, O] for encoded rows, in their order, in batches of like length; the model in evaluation mode."""
        training = self.settings.training
        result = torch.zeros(len(encoded), self.output_size)
        batches = plan(
            [one.length for one in encoded],
            batch_size=max(training.batch_size, 64),
            batch_tokens=training.batch_tokens,
            rng=None,
        )
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            for rows in batches:
                with memory_faults_named("prediction", partial(_rows_in_words, encoded, rows), LESS_MEMORY):
                    inputs = self.features.collate([encoded[row] for row in rows]).to(self.device)
                    result[rows] = self.model(inputs)[0].float().cpu()
        self.model.train(was_training)
        return result

    def score(self, examples: Examples) -> Score:
        """Metrics and outputs on examples."""
        outputs = self.outputs(examples.encoded)
        return Score(self.measure(outputs, examples.targets), outputs)

    def fit_baselines(self, train: Examples, valid: Examples) -> Baselines:
        """The plain methods, fitted and chosen on the rows that train the model and choose its weights."""
        settings = self.settings.training
        return fit_baselines(
            self.baseline_kind,
            self.features.kind,
            train.inputs,
            self.baseline_targets(train.targets),
            valid=(valid.inputs, self.baseline_targets(valid.targets)),
            metric="macro_f1" if (settings.metric or self.metric) == "macro_f1" else "accuracy",
            refit=settings.refit,
            seed=settings.seed,
        )

    def score_baselines(self, baselines: Baselines, examples: Examples) -> dict[str, float]:
        """`baseline_NAME_METRIC` and `baseline_NAME_seconds` (of fitting) on examples."""
        found: dict[str, float] = {}
        for name in baselines.names:
            metrics = self.measure_answers(baselines.predict(name, examples.inputs), examples.targets)
            found |= {f"baseline_{name}_{metric}": value for metric, value in metrics.items()}
            found[f"baseline_{name}_seconds"] = round(baselines.seconds[name], 3)
        return found

    def baseline_targets(self, targets: list[Any]) -> NDArray[Any]:
        """Targets as a baseline takes them: numbers, or marks [N, L]."""
        return self.target_tensor(targets).numpy() if self.baseline_kind == "marks" else np.asarray(targets)

    def predict(self, inputs: Iterable[Any], decode: Callable[[Tensor], list[T]]) -> Iterator[T | RecurraError]:
        """What `decode` makes of each input's outputs, in order; in place of one that cannot be read, the error."""
        waiting: list[Encoded | RecurraError] = []
        for value in inputs:
            waiting.append(value if isinstance(value, RecurraError) else self._encoded(value))
            if len(waiting) == PREDICT_ROWS:
                yield from self._decoded(waiting, decode)
                waiting = []
        yield from self._decoded(waiting, decode)

    def _encoded(self, value: Any) -> Encoded | RecurraError:
        try:
            return self.features.encode(value)
        except RecurraError as error:
            return error

    def _decoded(
        self, rows: list[Encoded | RecurraError], decode: Callable[[Tensor], list[T]]
    ) -> Iterator[T | RecurraError]:
        predictions = iter(decode(self.outputs([row for row in rows if not isinstance(row, RecurraError)])))
        for row in rows:
            yield row if isinstance(row, RecurraError) else next(predictions)


class ManyToOneTraining:
    """What the training loop asks for: batches, losses and validation metrics of one run.

    Args:
        task: features, targets and model.
        train, valid: examples.

    Raises:
        SettingsError: the metric is not measured, or an option has no effect here.
        DataError: a training input is empty.
    """

    def __init__(self, task: ManyToOne, train: Examples, valid: Examples) -> None:
        settings = task.settings
        self.task, self.train, self.valid = task, train, valid
        self.model: nn.Module = task.model
        self.metric = settings.training.metric or task.metric
        if self.metric not in task.metrics:
            raise SettingsError(f"metric: {self.metric!r} is not measured here; choose from {', '.join(task.metrics)}")
        self.higher_is_better = task.metrics[self.metric]
        check_training_inputs(train.encoded, train.table.place)
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
        return ManyToOneTraining(task, everything, held.select([]))

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch."""
        training = self.task.settings.training
        return plan(
            self.train.lengths,
            batch_size=training.batch_size,
            batch_tokens=training.batch_tokens,
            rng=numpy_generator(training.seed, "order", epoch),
        )

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

    def size(self, batch: Batch) -> tuple[int, int]:
        """Examples and valid steps."""
        return batch.inputs.batch_size, int(batch.inputs.lengths.sum())

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor | float]:
        """Sum of the losses, and the count to divide by."""
        return self._criterion(self.model, batch)

    def evaluate(self) -> dict[str, float]:
        """Metrics on the validation data; NaN where there is none."""
        if not self.valid.encoded:
            return {self.metric: math.nan}
        return self.task.score(self.valid).metrics

    def describe(self, indices: list[int]) -> str:
        """Rows by the lines of their file, and the longest of them."""
        lines = sorted(self.train.table.lines[index] for index in indices)
        shown = ", ".join(map(str, lines[:8])) + (", …" if len(lines) > 8 else "")
        longest = max(self.train.encoded[index].length for index in indices)
        return f"lines {shown} of {self.train.table.source} (the longest has {longest} steps)"


def _taken_over(features: Features, kind: str, max_length: int) -> Features:
    """An earlier run's features for inputs of a kind.

    Raises:
        DataError: that run reads another kind of input.
    """
    if features.kind != kind:
        raise DataError(f"init: that run reads {features.kind} inputs, and these data hold {kind} inputs")
    return replace(features, max_length=max_length) if max_length else features


def _rows_in_words(encoded: list[Encoded], rows: list[int]) -> str:
    return f"{len(rows)} rows at a time, the longest of {max(encoded[row].length for row in rows)} steps"


def build_model(settings: TaskSettings, features: Features, output_size: int, output_dropout: float) -> Classifier:
    """The model that the settings describe, with fresh weights from torch's generator."""
    text, model = settings.text, settings.model
    frontend: TokenEmbedding | VectorInput
    if isinstance(features, TextFeatures):
        frontend = TokenEmbedding(
            len(features.vocabulary),
            text.embedding_size,
            text.ngram_buckets if text.char_ngrams else 0,
            text.embedding_dropout,
        )
    else:
        frontend = VectorInput(features.input_size)
    dropout = model.dropout if model.dropout is not None else (0.2 if model.num_layers > 1 else 0.0)
    body = SequenceModel(
        model.cell or "lstm",
        frontend.output_size,
        model.hidden_size,
        output_size,
        model.num_layers,
        model.bidirectional,
        dropout,
        model.pooling,
        pool_inputs=model.pool_inputs,
        output_dropout=output_dropout,
        residual=model.residual,
        recurrent_dropout=model.recurrent_dropout,
        weight_dropout=model.weight_dropout,
        zoneout=model.zoneout,
    )
    return Classifier(frontend, body)


def with_cell(settings: TaskSettings, features: Features) -> TaskSettings:
    """The settings with the cell decided: no recurrence where every input is one vector."""
    if settings.model.cell is not None:
        return settings
    one_step = isinstance(features, SeriesFeatures) and features.vector
    return replace(settings, model=replace(settings.model, cell="feedforward" if one_step else "lstm"))
