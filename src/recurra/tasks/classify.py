"""classify: a sequence in, one label or several out."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.baselines import BaselineKind
from recurra.data.features import Features
from recurra.data.labels import Labels
from recurra.data.table import Table
from recurra.errors import SettingsError
from recurra.html import html_table
from recurra.losses import binary_cross_entropy, class_weights, cross_entropy, divergence, logit_offsets
from recurra.metrics import ClassificationMetrics, MultilabelMetrics
from recurra.settings.tasks import ClassifySettings
from recurra.tasks.examples import Batch
from recurra.tasks.many_to_one import Criterion, ManyToOne

MULTILABEL_METRICS = {"micro_f1": True, "hamming_accuracy": True}
LABELS_SHOWN = 5  # in a notebook
FEW = 16  # labels up to which plain floats are quicker than a tensor


class Prediction(NamedTuple):
    """What a row was taken for.

    label: its name, or the names of all labels with a probability of 0.5 or more. probabilities: of every label.
    """

    label: str | tuple[str, ...]
    probabilities: dict[str, float]

    def _repr_html_(self) -> str:
        """What a notebook shows: the label, and the likeliest labels with their probabilities."""
        label = self.label if isinstance(self.label, str) else ", ".join(self.label) or "(none)"
        likeliest = sorted(self.probabilities.items(), key=lambda item: -item[1])[:LABELS_SHOWN]
        return html_table(label, ["label", "probability"], likeliest)


class Classify(ManyToOne):
    """A classification: targets are label numbers, or lists of them where a row has several."""

    name = "classify"
    stratified = True
    metrics: ClassVar[dict[str, bool]] = {"accuracy": True, "macro_f1": True, "loss": False}
    settings: ClassifySettings
    targets: Labels

    def __init__(
        self, settings: ClassifySettings, features: Features, targets: Labels, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(settings, features, targets, device)
        if targets.several:
            self.metrics = {**self.metrics, **MULTILABEL_METRICS}  # type: ignore[misc]

    @classmethod
    def fit_targets(cls, train: Table, columns: tuple[str, ...]) -> Labels:
        """The classes.

        Raises:
            DataError: a label is missing or of no usable type, or there is one class only.
        """
        return Labels.from_table(train, columns)

    @classmethod
    def adopt_targets(cls, fitted: Labels, earlier: Labels) -> Labels:
        """The earlier classes where they hold all of these."""
        holds = fitted.several == earlier.several and set(fitted.names) <= set(earlier.names)
        return earlier if holds else fitted

    @classmethod
    def targets_from_json(cls, saved: dict[str, Any]) -> Labels:
        """As saved.

        Raises:
            KeyError, RunError: what was saved is damaged.
        """
        return Labels.from_json(saved["labels"])

    def targets_to_json(self) -> dict[str, Any]:
        """The labels."""
        return {"labels": self.targets.to_json()}

    @property
    def output_size(self) -> int:
        """A logit for each class."""
        return len(self.targets.names)

    @property
    def output_dropout(self) -> float:
        """Dropout on the pooled vector."""
        return self.settings.classify.output_dropout

    @property
    def metric(self) -> str:
        """Accuracy; of several labels a row macro-F1."""
        return "macro_f1" if self.targets.several else "accuracy"

    def encode_targets(self, table: Table, columns: tuple[str, ...]) -> list[Any]:
        """Label numbers.

        Raises:
            DataError: a label is missing, or was never seen in training.
        """
        return self.targets.encode_table(table, columns)

    def target_tensor(self, targets: list[Any]) -> Tensor:
        """[B] int64; with several labels a row [B, L] float of 0 and 1."""
        if not self.targets.several:
            return torch.tensor(targets, dtype=torch.int64)
        marks = torch.zeros(len(targets), self.output_size)
        for row, own in enumerate(targets):
            marks[row, own] = 1.0
        return marks

    def criterion(self, targets: list[Any]) -> Criterion:
        """Cross entropy, weighted by class and freed of the classes' frequencies where asked, with R-Drop.

        Raises:
            SettingsError: an option that is for one label a row, where a row has several.
        """
        options, smoothing = self.settings.classify, self.settings.training.label_smoothing
        for name, value in (("label_smoothing", smoothing), ("logit_adjustment", options.logit_adjustment)):
            if self.targets.several and value:
                raise SettingsError(f"{name}: it is for one label a row, and here a row has several; leave it at 0")
        counts = self.target_counts(targets)
        weights = self._balance(counts, len(targets)) if options.class_weights == "balanced" else None
        offsets = logit_offsets(counts, options.logit_adjustment).to(self.device) if options.logit_adjustment else 0.0

        def entropy(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
            if self.targets.several:
                return binary_cross_entropy(logits, target, weights)
            return cross_entropy(logits + offsets, target, weights, smoothing)

        def twice(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
            logits = model(batch.inputs.twice())[0]  # one pass of twice the rows: each has dropout masks of its own
            total, count = entropy(logits, torch.cat([batch.targets, batch.targets]))
            return total + options.rdrop * divergence(logits, self.targets.several), count

        return twice if options.rdrop else lambda model, batch: entropy(model(batch.inputs)[0], batch.targets)

    def target_counts(self, targets: list[Any]) -> Tensor:
        """[C] rows of each class."""
        counts = torch.zeros(self.output_size)
        for own in targets:
            counts[own] += 1
        return counts

    def measure(self, outputs: Tensor, targets: list[Any]) -> dict[str, float]:
        """accuracy, macro_f1 and loss (nats); with several labels a row micro_f1 and hamming_accuracy too."""
        truth = self.target_tensor(targets)
        entropy = binary_cross_entropy if self.targets.several else cross_entropy
        total, count = entropy(outputs, truth)
        return {**self.counted(outputs, targets).compute(), "loss": float(total) / max(float(count), 1.0)}

    def counted(self, outputs: Tensor, targets: list[Any]) -> ClassificationMetrics | MultilabelMetrics:
        """Hits and misses of logits [N, C] against N targets: for each class, and the confusion matrix."""
        return self.counted_labels(outputs >= 0 if self.targets.several else outputs.argmax(1), targets)

    def counted_labels(self, predicted: Tensor, targets: list[Any]) -> ClassificationMetrics | MultilabelMetrics:
        """Hits and misses of label numbers [N], or of marks [N, L] bool."""
        truth = self.target_tensor(targets)
        if self.targets.several:
            several = MultilabelMetrics(self.output_size)
            several.update(predicted, truth.bool())
            return several
        single = ClassificationMetrics(self.output_size)
        single.update(predicted, truth)
        return single

    @property
    def baseline_kind(self) -> BaselineKind:
        """Classes, or marks where a row has several."""
        return "marks" if self.targets.several else "classes"

    def measure_answers(self, answers: NDArray[Any], targets: list[Any]) -> dict[str, float]:
        """accuracy and macro_f1 of label numbers [N], or of marks [N, L] with micro_f1 and hamming_accuracy."""
        given = torch.from_numpy(answers)
        return self.counted_labels(given.bool() if self.targets.several else given, targets).compute()

    def decode(self, outputs: Tensor) -> list[Prediction]:
        """Logits [N, C] as labels and probabilities."""
        names = self.targets.names
        rows = zip(*self._decided(outputs, None), strict=True)
        return [
            Prediction(tuple(label) if isinstance(label, list) else label, dict(zip(names, row, strict=True)))
            for label, row in rows
        ]

    def decode_one(self, outputs: list[float]) -> Prediction:
        """Logits of one sequence as its label and probabilities."""
        names, highest = self.targets.names, max(outputs)
        if self.targets.several or len(outputs) > FEW:
            return cast(Prediction, super().decode_one(outputs))
        shares = [math.exp(logit - highest) for logit in outputs]
        total = sum(shares)
        probabilities = [share / total for share in shares]
        return Prediction(names[outputs.index(highest)], dict(zip(names, probabilities, strict=True)))

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """label and probabilities of each row."""
        # what a row's neighbours in the batch change lies beyond the sixth digit
        names, rows = self.targets.names, zip(*self._decided(outputs, 6), strict=True)
        return [{"label": label, "probabilities": dict(zip(names, row, strict=True))} for label, row in rows]

    def _decided(self, outputs: Tensor, digits: int | None) -> tuple[list[Any], list[list[float]]]:
        """Of each row its label, or a list of them, and its probabilities."""
        wide = outputs.double()
        probabilities = (wide.sigmoid() if self.targets.several else wide.softmax(1)).numpy()
        shown = (probabilities if digits is None else probabilities.round(digits)).tolist()
        names = self.targets.names
        if self.targets.several:
            return [[names[number] for number in np.flatnonzero(row >= 0.5)] for row in probabilities], shown
        return [names[number] for number in outputs.argmax(1).tolist()], shown

    def _balance(self, counts: Tensor, rows: int) -> Tensor:
        weights = (rows - counts) / counts.clamp(min=1) if self.targets.several else class_weights(counts)
        return weights.to(self.device)
