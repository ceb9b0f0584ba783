"""Numbers: the target of a regression, and its scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.encoded import damaged, stored
from recurra.data.series_features import number
from recurra.data.table import Table, listed
from recurra.errors import SettingsError


@dataclass(frozen=True)
class Numbers:
    """The scale of a target, learned from the training rows; the model's output is (target − mean) / std.

    Args:
        mean, std: of the training targets; std is above 0.
    """

    mean: float
    std: float

    @classmethod
    def from_table(cls, table: Table, columns: Sequence[str]) -> Numbers:
        """Learn the scale.

        Raises:
            DataError: a target is no finite number, or all rows have the same.
            SettingsError: several columns.
        """
        values = np.array(numbers(table, columns))
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(values.mean()), float(values.std())
        everywhere = table.column_place(columns[0])
        if not (math.isfinite(mean) and math.isfinite(std)):
            raise everywhere.error("its numbers are too large to be standardised; divide them by a constant")
        if float(values.max()) == float(values.min()):
            raise everywhere.error(f"all {len(values)} rows have the number {values[0]:g}; there is nothing to learn")
        return cls(mean, std or 1.0)

    def encode_table(self, table: Table, columns: Sequence[str]) -> list[float]:
        """The target of every row.

        Raises:
            DataError: one is no finite number; with its line.
        """
        return numbers(table, columns)

    def standardise(self, values: Sequence[float]) -> NDArray[np.float64]:
        """[N] in units of the training data's spread."""
        return (np.asarray(values, dtype=np.float64) - self.mean) / self.std

    def to_json(self) -> dict[str, float]:
        """What `from_json` reads; floats come back exactly."""
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_json(cls, data: Any) -> Numbers:
        """The scale as a run stored it.

        Raises:
            RunError: it is damaged.
        """
        mean, std = (float(stored(data, name, float, int)) for name in ("mean", "std"))
        if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
            raise damaged("target", "a finite mean and a spread above 0")
        return cls(mean, std)


def numbers(table: Table, columns: Sequence[str]) -> list[float]:
    """The one target column as finite numbers.

    Raises:
        DataError: it is missing, or a value is no finite number.
        SettingsError: several columns.
    """
    if len(columns) > 1:
        raise SettingsError(f"target: {listed(columns)} are {len(columns)} columns, and regress answers one number")
    return [number(value, table.place(row, columns[0])) for row, value in enumerate(table.column(columns[0]))]
