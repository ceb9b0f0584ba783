"""Series and vectors as standardised rows of numbers for a linear model.

A series is summed up by what it does as a whole: of each feature the mean, spread, extremes, ends, slope and the means
of equal segments, and its length. A vector is taken as it is. A number that is missing (NaN or infinite) stands at the
mean of training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError

SEGMENTS = 8
STATISTICS = 7 + SEGMENTS  # of each feature: mean, std, min, max, first, last, slope, segments
CONSTANT_SPREAD = 1e-12  # a standard deviation below this share of the mean is rounding, not variation
FAR = 1e3  # standard deviations; what lies beyond is moved there
HUGE = 1e100  # its square is still finite

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NumberFeatures:
    """Series or vectors into standardised rows.

    Args:
        width: D, numbers a step, or of a vector.
        vector: whether an input is one vector.
        mean, std: [F] float64, of the training rows; a constant column has std 1.
    """

    width: int
    vector: bool
    mean: Numbers
    std: Numbers

    @classmethod
    def fit(cls, inputs: Sequence[Any], *, vector: bool) -> tuple[NumberFeatures, Numbers]:
        """Learn width, mean and spread.

        Args:
            inputs: series [T, D] or [T], or with `vector` vectors [D].
            vector: whether an input is one vector.

        Returns:
            The features, and the [N, F] of these inputs.

        Raises:
            DataError: widths differ.
        """
        width = next(filter(None, (width_of(value, vector=vector) for value in inputs)), 0)
        rows = _rows(inputs, width, vector)
        present = np.isfinite(rows)
        count = np.maximum(present.sum(0), 1)
        mean = np.where(present, rows, 0.0).sum(0) / count
        std = np.sqrt((np.where(present, rows - mean, 0.0) ** 2).sum(0) / count)
        std[std <= CONSTANT_SPREAD * np.abs(mean)] = 1.0
        features = cls(width, vector, mean, std)
        return features, features._standardised(rows)

    @property
    def size(self) -> int:
        """F, columns of a row."""
        return len(self.mean)

    def transform(self, inputs: Sequence[Any]) -> Numbers:
        """[N, F] float64, each column of training with mean 0 and spread 1.

        Raises:
            DataError: an input has another width than in training.
        """
        return self._standardised(_rows(inputs, self.width, self.vector))

    def _standardised(self, rows: Numbers) -> Numbers:
        scaled = (rows - self.mean) / self.std
        return np.clip(np.where(np.isfinite(scaled), scaled, 0.0), -FAR, FAR)


def width_of(value: Any, *, vector: bool) -> int:
    """D of a series [T, D] or [T], or of a vector [D]; 0 where there is nothing in it."""
    shape = np.shape(value)
    if 0 in shape:
        return 0
    return math.prod(shape) if vector else (1 if len(shape) == 1 else shape[-1])


def columns_of(width: int, *, vector: bool) -> int:
    """F, the columns of a row, for D numbers a step or of a vector."""
    return width if vector else width * STATISTICS + 1


def summary(series: Numbers) -> Numbers:
    """One series [T, D] in STATISTICS · D + 1 numbers; NaN where there is nothing to say."""
    length, width = series.shape
    steps = np.arange(length, dtype=np.float64)
    found = np.full((STATISTICS, width), math.nan)
    for feature in range(width):
        present = np.isfinite(series[:, feature])
        values, at = series[present, feature], steps[present]
        if not len(values):
            continue
        mean, centred = values.mean(), at - at.mean()
        spread = (centred**2).sum()
        slope = (centred * (values - mean)).sum() / spread if spread else 0.0
        found[:7, feature] = mean, values.std(), values.min(), values.max(), values[0], values[-1], slope
        segment = (at * SEGMENTS // length).astype(np.int64)
        counts = np.bincount(segment, minlength=SEGMENTS)
        sums = np.bincount(segment, weights=values, minlength=SEGMENTS)
        found[7:, feature] = np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)
    return np.append(found.ravel(), float(length))


def _rows(inputs: Sequence[Any], width: int, vector: bool) -> Numbers:
    rows = np.full((len(inputs), columns_of(width, vector=vector)), math.nan)
    for row, value in enumerate(inputs):
        own = width_of(value, vector=vector)
        if own == 0:  # nothing in it: everything is missing
            if not vector:
                rows[row, -1] = 0.0
            continue
        if own != width:
            unit = "" if vector else " a step"
            raise DataError(
                f"row {row + 1} has {own} number(s){unit}, and {width} are expected; give each row the same"
            )
        numbers = np.asarray(value, dtype=np.float64)
        numbers = np.clip(np.where(np.isfinite(numbers), numbers, math.nan), -HUGE, HUGE)
        rows[row] = numbers.reshape(-1) if vector else summary(numbers.reshape(-1, width))
    return rows
