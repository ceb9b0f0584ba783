"""classify: a sequence in, one label or several out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.augmentation import Augment
from recurra.data.batching import plan
from recurra.data.columns import inputs_of, kind_of, target_columns
from recurra.data.features import Encoded, Features, SeriesFeatures, TextFeatures, check_training_inputs
from recurra.data.labels import Labels
from recurra.data.table import Table
from recurra.errors import RecurraError, SettingsError
from recurra.losses import binary_cross_entropy, class_weights, cross_entropy
from recurra.memory import memory_faults_named
from recurra.metrics import ClassificationMetrics, MultilabelMetrics
from recurra.models import Classifier, SequenceModel
from recurra.nn import TokenEmbedding, VectorInput
from recurra.randomness import numpy_generator, seed_of
from recurra.sequence import Sequence
from recurra.settings.tasks import ClassifySettings

METRICS = {"accuracy": True, "macro_f1": True, "micro_f1": True, "hamming_accuracy": True, "loss": False}
LESS_MEMORY = "train with a smaller max_length, hidden_size or batch_tokens, or predict where there is more memory"
PREDICT_ROWS = 1024  # rows encoded and sorted together in prediction: memory stays flat, batches stay full


class Prediction(NamedTuple):
    """What a row was taken for.

    label: its name, or the names of all labels with a probability of 0.5 or more. probabilities: of every label.
    """

    label: str | tuple[str, ...]
    probabilities: dict[str, float]


class Batch(NamedTuple):
    """inputs, and targets: [B] int64, or [B, L] float of 0 and 1 with several labels a row"""

    inputs: Sequence
    targets: Tensor


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


class Classify:
    """Features, labels and the model of one classification: what a run keeps.

    Args:
        settings: all of them; `model.cell` is filled in.
        features: raw input → tensors.
        labels: the classes.
        device: where the model is.
    """

    name = "classify"

    def __init__(
        self, settings: ClassifySettings, features: Features, labels: Labels, device: torch.device | str = "cpu"
    ) -> None:
        self.settings, self.features, self.labels = settings, features, labels
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(settings.training.seed, "weights"))
            self.model = build_model(settings, features, len(labels.names)).to(self.device)

    @classmethod
    def fit_features(cls, settings: ClassifySettings, train: Table, device: torch.device | str = "cpu") -> Classify:
        """Learn vocabulary, scaling and labels from the training table, and build the model.

        Raises:
            DataError: a row that cannot be used, or one class only.
        """
        inputs = inputs_of(train, settings.data)
        kind = kind_of(inputs, train, settings.data)
        labels = Labels.from_table(train, target_columns(train, settings.data))
        features: Features
        if kind == "text":
            features = TextFeatures.fit(inputs, settings.text, settings.data.max_length)
        else:
            longest = settings.data.max_length
            features = SeriesFeatures.fit(inputs, longest, vector=kind == "vector", place=train.place)
        return cls(with_cell(settings, features), features, labels, device)

    def examples(self, table: Table) -> Examples:
        """A table with targets made ready.

        Raises:
            DataError: a column that is not there, a row that cannot be read, a label never seen in training.
        """
        inputs = inputs_of(table, self.settings.data)
        encoded = [self.features.encode(value, place=table.place(row)) for row, value in enumerate(inputs)]
        return Examples(
            table, inputs, encoded, self.labels.encode_table(table, target_columns(table, self.settings.data))
        )

    def batch(self, encoded: list[Encoded], targets: list[Any]) -> Batch:
        """Encoded rows and their targets on the model's device."""
        inputs = self.features.collate(encoded).to(self.device)
        if self.labels.several:
            marks = torch.zeros(len(targets), len(self.labels.names))
            for row, own in enumerate(targets):
                marks[row, own] = 1.0
            return Batch(inputs, marks.to(self.device))
        return Batch(inputs, torch.tensor(targets, dtype=torch.int64).to(self.device))

    def logits(self, encoded: list[Encoded]) -> Tensor:
        """[N, labels] for encoded rows, in their order, in batches of like length; the model in evaluation mode."""
        training = self.settings.training
        result = torch.zeros(len(encoded), len(self.labels.names))
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
        """Loss, metrics and predictions on examples."""
        logits = self.logits(examples.encoded)
        if self.labels.several:
            marks = torch.zeros_like(logits)
            for row, own in enumerate(examples.targets):
                marks[row, own] = 1.0
            total, count = binary_cross_entropy(logits, marks)
            several = MultilabelMetrics(len(self.labels.names))
            several.update(logits >= 0, marks.bool())
            return Score({**several.compute(), "loss": _mean(total, count)}, several.per_class(), None, logits)
        targets = torch.tensor(examples.targets, dtype=torch.int64)
        total, count = cross_entropy(logits, targets)
        single = ClassificationMetrics(len(self.labels.names))
        single.update(logits.argmax(1), targets)
        return Score({**single.compute(), "loss": _mean(total, count)}, single.per_class(), single.confusion, logits)

    def prediction(self, logits: Tensor) -> Prediction:
        """One row of logits decoded."""
        names = self.labels.names
        if self.labels.several:
            probabilities = logits.double().sigmoid().tolist()
            chosen = tuple(name for name, one in zip(names, probabilities, strict=True) if one >= 0.5)
            return Prediction(chosen, dict(zip(names, probabilities, strict=True)))
        probabilities = logits.double().softmax(0).tolist()
        return Prediction(names[int(logits.argmax())], dict(zip(names, probabilities, strict=True)))

    def predict(self, inputs: Iterable[Any]) -> Iterator[Prediction | RecurraError]:
        """A prediction for each input, in order; in place of one that cannot be read, the error that says why."""
        waiting: list[Encoded | RecurraError] = []
        for value in inputs:
            waiting.append(value if isinstance(value, RecurraError) else self._encoded(value))
            if len(waiting) == PREDICT_ROWS:
                yield from self._answers(waiting)
                waiting = []
        yield from self._answers(waiting)

    def _encoded(self, value: Any) -> Encoded | RecurraError:
        try:
            return self.features.encode(value)
        except RecurraError as error:
            return error

    def _answers(self, rows: list[Encoded | RecurraError]) -> Iterator[Prediction | RecurraError]:
        logits = iter(self.logits([row for row in rows if not isinstance(row, RecurraError)]))
        for row in rows:
            yield row if isinstance(row, RecurraError) else self.prediction(next(logits))


class Score(NamedTuple):
    """metrics by name; a dictionary for each label; confusion [C, C] int64 (truth, prediction) or None; logits"""

    metrics: dict[str, float]
    per_class: list[dict[str, float]]
    confusion: Tensor | None
    logits: Tensor


class ClassifyTraining:
    """What the training loop asks for: batches, losses and validation metrics of one classification.

    Args:
        task: features, labels and model.
        train, valid: examples.
    """

    def __init__(self, task: Classify, train: Examples, valid: Examples) -> None:
        settings = task.settings
        self.task, self.train, self.valid = task, train, valid
        self.model: nn.Module = task.model
        self.metric = settings.training.metric or ("macro_f1" if task.labels.several else "accuracy")
        if self.metric not in METRICS or (self.metric in ("micro_f1", "hamming_accuracy") and not task.labels.several):
            raise SettingsError(
                f"metric: {self.metric!r} is not measured here; choose from accuracy, macro_f1, loss"
                + (", micro_f1, hamming_accuracy" if task.labels.several else "")
            )
        if task.labels.several and settings.training.label_smoothing:
            raise SettingsError("label_smoothing: it is for one label a row, and here a row has several; leave it at 0")
        self.higher_is_better = METRICS[self.metric]
        text = settings.text
        check_training_inputs(train.encoded, train.table.place)
        self._augment = Augment(text.word_dropout, text.char_noise)
        self._augmented = isinstance(task.features, TextFeatures) and bool(text.word_dropout or text.char_noise)
        self._weights = self._balance() if settings.classify.class_weights == "balanced" else None

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
        logits, _ = self.model(batch.inputs)
        if self.task.labels.several:
            return binary_cross_entropy(logits, batch.targets, self._weights)
        return cross_entropy(logits, batch.targets, self._weights, self.task.settings.training.label_smoothing)

    def evaluate(self) -> dict[str, float]:
        """Metrics on the validation data."""
        return self.task.score(self.valid).metrics

    def describe(self, indices: list[int]) -> str:
        """Rows by the lines of their file, and the longest of them."""
        lines = sorted(self.train.table.lines[index] for index in indices)
        shown = ", ".join(map(str, lines[:8])) + (", …" if len(lines) > 8 else "")
        longest = max(self.train.encoded[index].length for index in indices)
        return f"lines {shown} of {self.train.table.source} (the longest has {longest} steps)"

    def _balance(self) -> Tensor:
        names = self.task.labels.names
        counts = torch.zeros(len(names))
        for own in self.train.targets:
            counts[own] += 1
        if self.task.labels.several:
            return ((len(self.train.targets) - counts) / counts.clamp(min=1)).to(self.task.device)
        return class_weights(counts).to(self.task.device)


def build_model(settings: ClassifySettings, features: Features, classes: int) -> Classifier:
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
        classes,
        model.num_layers,
        model.bidirectional,
        dropout,
        model.pooling,
        output_dropout=settings.classify.output_dropout,
        residual=model.residual,
        recurrent_dropout=model.recurrent_dropout,
        weight_dropout=model.weight_dropout,
        zoneout=model.zoneout,
    )
    return Classifier(frontend, body)


def with_cell(settings: ClassifySettings, features: Features) -> ClassifySettings:
    """The settings with the cell decided: no recurrence where every input is one vector."""
    if settings.model.cell is not None:
        return settings
    one_step = isinstance(features, SeriesFeatures) and features.vector
    return replace(settings, model=replace(settings.model, cell="feedforward" if one_step else "lstm"))


def _rows_in_words(encoded: list[Encoded], rows: list[int]) -> str:
    return f"{len(rows)} rows at a time, the longest of {max(encoded[row].length for row in rows)} steps"


def _mean(total: Tensor, count: Tensor) -> float:
    return float(total) / max(float(count), 1.0)
