"""regress: a sequence in, a number out."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.numbers import Numbers
from recurra.data.table import Table
from recurra.errors import SettingsError
from recurra.losses import regression_loss
from recurra.metrics import RegressionMetrics
from recurra.settings.tasks import RegressSettings
from recurra.tasks.many_to_one import Criterion, ManyToOne


class Estimate(NamedTuple):
    """value: the number answered, in the unit of the training targets"""

    value: float


class Regress(ManyToOne):
    """A regression: the model answers in standardised units, and targets are numbers as the data has them."""

    name = "regress"
    stratified = False
    metrics: ClassVar[dict[str, bool]] = {"mae": False, "rmse": False, "r2": True, "loss": False}
    metric = "rmse"
    output_size = 1
    baseline_kind = "numbers"
    settings: RegressSettings
    targets: Numbers

    @classmethod
    def fit_targets(cls, train: Table, columns: tuple[str, ...]) -> Numbers:
        """The scale of the target.

        Raises:
            DataError: a target is no finite number, or all are the same.
            SettingsError: several target columns.
        """
        return Numbers.from_table(train, columns)

    @classmethod
    def adopt_targets(cls, fitted: Numbers, earlier: Numbers) -> Numbers:
        """The earlier scale: the head then answers as it did."""
        return earlier

    @classmethod
    def targets_from_json(cls, saved: dict[str, Any]) -> Numbers:
        """As saved.

        Raises:
            KeyError, RunError: what was saved is damaged.
        """
        return Numbers.from_json(saved["target"])

    def targets_to_json(self) -> dict[str, Any]:
        """The scale."""
        return {"target": self.targets.to_json()}

    @property
    def output_dropout(self) -> float:
        """Dropout on the pooled vector."""
        return self.settings.regress.output_dropout

    def encode_targets(self, table: Table, columns: tuple[str, ...]) -> list[Any]:
        """The numbers as they are.

        Raises:
            DataError: one is missing, or no finite number.
        """
        return self.targets.encode_table(table, columns)

    def target_tensor(self, targets: list[Any]) -> Tensor:
        """[B] float32, standardised."""
        return torch.from_numpy(self.targets.standardise(targets)).float()

    def criterion(self, targets: list[Any]) -> Criterion:
        """The loss that the settings name, of standardised numbers.

        Raises:
            SettingsError: label smoothing, which numbers cannot have.
        """
        if self.settings.training.label_smoothing:
            raise SettingsError("label_smoothing: it is for classes, and regress has a number; leave it at 0")
        kind = self.settings.regress.loss
        return lambda model, batch: regression_loss(model(batch.inputs)[0][:, 0], batch.targets, kind)

    def measure(self, outputs: Tensor, targets: list[Any]) -> dict[str, float]:
        """mae and rmse in the target's unit, r2, and loss (of standardised targets)."""
        total, count = regression_loss(outputs[:, 0], self.target_tensor(targets), self.settings.regress.loss)
        loss = float(total) / max(float(count), 1.0)
        return {**self.counted(self.values(outputs), targets).compute(), "loss": loss}

    def counted(self, values: Tensor, targets: list[Any]) -> RegressionMetrics:
        """Errors of numbers [N] against N targets."""
        found = RegressionMetrics()
        found.update(values, torch.tensor(targets, dtype=torch.float64))
        return found

    def values(self, outputs: Tensor) -> Tensor:
        """[N, 1] → the numbers answered [N] float64, in the target's unit."""
        return outputs[:, 0].double() * self.targets.std + self.targets.mean

    def measure_answers(self, answers: NDArray[Any], targets: list[Any]) -> dict[str, float]:
        """mae, rmse and r2 of numbers [N]."""
        return self.counted(torch.from_numpy(answers), targets).compute()

    def decode(self, outputs: Tensor) -> list[Estimate]:
        """Outputs [N, 1] as numbers in the target's unit."""
        return [Estimate(value) for value in self.values(outputs).tolist()]

    def decode_one(self, outputs: list[float]) -> Estimate:
        """The output of one sequence as a number in the target's unit."""
        return Estimate(outputs[0] * self.targets.std + self.targets.mean)

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """value of each row, with seven digits: what a row's neighbours in the batch change lies beyond them."""
        return [{"value": float(f"{value:.7g}")} for value in self.values(outputs).tolist()]
