"""Metrics as accumulators: fed batch by batch they equal the metric of all rows at once, whatever the batches were.

Only integers are accumulated, or every number is kept, so nothing is lost to rounding. A ratio with nothing below the
line is 0.0: the F1 of a class without a hit, and every metric of an accumulator that has seen no row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from recurra.errors import ShapeError


class ClassificationMetrics:
    """One label a row: accuracy, macro-F1 and the confusion matrix.

    Macro-F1 is the unweighted mean of the F1 of the classes that occur in the truth or in the predictions, which is
    scikit-learn's `f1_score(truth, predicted, average="macro", zero_division=0)`.

    Args:
        num_classes: C; labels are 0 … C - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        """Rows seen, [C, C] int64 on the CPU: row = truth, column = prediction."""

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            predicted: [N] integers, 0 ≤ label < C.
            target: [N] integers, the truth.

        Raises:
            ShapeError: they are not two vectors of one length, not integers, or hold a label outside the range.
        """
        if predicted.dim() != 1 or predicted.shape != target.shape:
            raise ShapeError(
                f"ClassificationMetrics.update: predictions have shape {list(predicted.shape)} and targets "
                f"{list(target.shape)}, expected one label a row, [N], in both"
            )
        predicted, target = self._labels("predictions", predicted), self._labels("targets", target)
        pairs = torch.bincount(target * self.num_classes + predicted, minlength=self.num_classes**2)
        self.confusion += pairs.view(self.num_classes, self.num_classes)

    def compute(self) -> dict[str, float]:
        """`{"accuracy": …, "macro_f1": …}` of the rows seen, as fractions."""
        hits, support, called = self._counts()
        occurs = (support + called) > 0
        f1 = _ratio(2 * hits, support + called)[occurs]
        return {
            "accuracy": float(_ratio(hits.sum(), support.sum())),
            "macro_f1": float(f1.mean()) if len(f1) else 0.0,
        }

    def per_class(self) -> list[dict[str, float]]:
        """`precision`, `recall`, `f1` (fractions) and `support` (rows of that truth), one dictionary a class."""
        hits, support, called = self._counts()
        columns = {
            "precision": _ratio(hits, called),
            "recall": _ratio(hits, support),
            "f1": _ratio(2 * hits, support + called),
            "support": support,
        }
        return [{name: column[label].item() for name, column in columns.items()} for label in range(self.num_classes)]

    def _labels(self, what: str, labels: Tensor) -> Tensor:
        """Labels as int64 on the CPU, all inside the range: an outsider would be counted in another pair's cell."""
        if labels.is_floating_point() or labels.dtype == torch.bool:
            raise ShapeError(
                f"ClassificationMetrics.update: {what} are {labels.dtype}, expected integer labels; "
                "take logits.argmax(-1) first"
            )
        labels = labels.to("cpu", torch.int64)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
            raise ShapeError(
                f"ClassificationMetrics.update: {what} lie between {int(labels.min())} and {int(labels.max())}, "
                f"expected 0 to {self.num_classes - 1}, the labels of {self.num_classes} classes"
            )
        return labels

    def _counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Hits, rows of the truth and rows of the prediction, each [C]."""
        return self.confusion.diagonal(), self.confusion.sum(1), self.confusion.sum(0)


class MultilabelMetrics:
    """Several labels a row: exact-match accuracy, macro-F1, micro-F1 and accuracy by label.

    Equal to scikit-learn's `accuracy_score`, `f1_score(average="macro" | "micro", zero_division=0)` and
    `1 - hamming_loss` over all rows. Macro-F1 is the mean over all L labels, those that never occur included.

    Args:
        num_labels: L.
    """

    def __init__(self, num_labels: int) -> None:
        self.num_labels = num_labels
        self.rows = 0
        self.exact = 0
        self.hits = torch.zeros(num_labels, dtype=torch.int64)
        self.support = torch.zeros(num_labels, dtype=torch.int64)
        self.called = torch.zeros(num_labels, dtype=torch.int64)

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            predicted: [N, L] bool, True = the row has the label.
            target: [N, L] bool, the truth.

        Raises:
            ShapeError: they are not two bool tensors [N, L].
        """
        for what, labels in (("predictions", predicted), ("targets", target)):
            if labels.dtype != torch.bool or labels.dim() != 2 or labels.shape[1] != self.num_labels:
                raise ShapeError(
                    f"MultilabelMetrics.update: {what} are {labels.dtype} of shape {list(labels.shape)}, "
                    f"expected bool of shape [N, {self.num_labels}], a column for each label"
                )
        if predicted.shape != target.shape:
            raise ShapeError(
                f"MultilabelMetrics.update: {len(predicted)} rows of predictions, expected {len(target)}, "
                "one for each row of the targets"
            )
        self.rows += len(target)
        self.exact += int((predicted == target).all(1).sum())
        self.hits += (predicted & target).sum(0).cpu()
        self.support += target.sum(0).cpu()
        self.called += predicted.sum(0).cpu()

    def compute(self) -> dict[str, float]:
        """`accuracy` (rows with every label right), `macro_f1`, `micro_f1`, `hamming_accuracy` (cells right)."""
        misses = self.support + self.called - 2 * self.hits
        cells = self.rows * self.num_labels
        return {
            "accuracy": self.exact / self.rows if self.rows else 0.0,
            "macro_f1": float(_ratio(2 * self.hits, self.support + self.called).mean()) if self.num_labels else 0.0,
            "micro_f1": float(_ratio(2 * self.hits.sum(), (self.support + self.called).sum())),
            "hamming_accuracy": (cells - int(misses.sum())) / cells if cells else 0.0,
        }

    def per_class(self) -> list[dict[str, float]]:
        """`precision`, `recall`, `f1` (fractions) and `support` (rows that have it), one dictionary a label."""
        columns = {
            "precision": _ratio(self.hits, self.called),
            "recall": _ratio(self.hits, self.support),
            "f1": _ratio(2 * self.hits, self.support + self.called),
            "support": self.support,
        }
        return [{name: column[label].item() for name, column in columns.items()} for label in range(self.num_labels)]


class RegressionMetrics:
    """One number a row: mean absolute error, root mean squared error, and R² (the share of variance explained).

    Equal to scikit-learn's `mean_absolute_error`, `root_mean_squared_error` and `r2_score` over all rows. Errors are
    kept, not summed, and added once with `math.fsum`: the result does not depend on the batches or their order.
    """

    def __init__(self) -> None:
        self._errors: list[float] = []
        self._targets: list[float] = []

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            predicted: [N] floats.
            target: [N] floats, the truth.

        Raises:
            ShapeError: they are not two vectors of one length.
        """
        if predicted.dim() != 1 or predicted.shape != target.shape:
            raise ShapeError(
                f"RegressionMetrics.update: predictions have shape {list(predicted.shape)} and targets "
                f"{list(target.shape)}, expected one number a row, [N], in both"
            )
        truth = target.double().cpu()
        self._targets += truth.tolist()
        self._errors += (predicted.double().cpu() - truth).tolist()

    def compute(self) -> dict[str, float]:
        """`mae` and `rmse` in the unit of the targets, and `r2`; R² of targets without spread is 0.0."""
        rows = len(self._errors)
        if not rows:
            return {"mae": 0.0, "rmse": 0.0, "r2": 0.0}
        squares = math.fsum(error * error for error in self._errors)
        mean = math.fsum(self._targets) / rows
        spread = math.fsum((target - mean) ** 2 for target in self._targets)
        return {
            "mae": math.fsum(map(abs, self._errors)) / rows,
            "rmse": math.sqrt(squares / rows),
            "r2": 1.0 - squares / spread if spread else 0.0,
        }


class SpanMetrics:
    """Spans found in sentences: precision, recall and F1 of exact matches, over all spans and of each kind.

    A span counts where kind, beginning and end are the truth's, as conlleval counts (Tjong Kim Sang and Buchholz, 2000,
    "Introduction to the CoNLL-2000 shared task").
    """

    def __init__(self) -> None:
        self._hits: Counter[str] = Counter()
        self._called: Counter[str] = Counter()
        self._support: Counter[str] = Counter()

    def update(self, predicted: Iterable[tuple[str, int, int]], truth: Iterable[tuple[str, int, int]]) -> None:
        """Count the spans of one sentence: (kind, beginning, end) each."""
        found, there = set(predicted), set(truth)
        for counter, spans in ((self._hits, found & there), (self._called, found), (self._support, there)):
            counter.update(kind for kind, _, _ in spans)

    def compute(self) -> dict[str, float]:
        """`span_f1`, `span_precision` and `span_recall` of all spans seen, as fractions."""
        values = self._values(self._hits.total(), self._called.total(), self._support.total())
        return {f"span_{name}": values[name] for name in ("f1", "precision", "recall")}

    def per_kind(self) -> dict[str, dict[str, float]]:
        """`precision`, `recall`, `f1` and `support` (spans of the truth) of each kind, by name."""
        return {
            kind: {
                **self._values(self._hits[kind], self._called[kind], self._support[kind]),
                "support": self._support[kind],
            }
            for kind in sorted(self._called.keys() | self._support.keys())
        }

    @staticmethod
    def _values(hits: int, called: int, support: int) -> dict[str, float]:
        return {
            "precision": hits / called if called else 0.0,
            "recall": hits / support if support else 0.0,
            "f1": 2 * hits / (called + support) if called + support else 0.0,
        }


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below in float64, 0.0 where below is 0."""
    return above.double() / below.clamp(min=1).double()
