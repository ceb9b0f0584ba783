"""Intervals and paired tests: what several seeds, or many scored rows, allow one to say.

Few seeds: Student's t (Gosset, 1908), which is exact for normal values and errs little for others. Many rows: the
bootstrap with bias correction and acceleration (Efron, 1987). Pairs: the same data and seed under two methods, so that
what the seed brings to both cancels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

EXACT_PAIRS = 14  # up to 2 ** 14 changes of sign are counted; beyond, as many are drawn
DRAWN_SIGNS = 1 << 14
RESAMPLES = 2000

Statistic = Callable[[NDArray[np.float64]], float]
"""A number of rows: from [N] or [N, …] values, resampled along the first dimension."""


@dataclass(frozen=True)
class Interval:
    """A value with its interval; `low` and `high` are NaN where nothing can be said, as of one seed.

    mean: or the statistic of all rows. count: values it is of.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def half(self) -> float:
        """Half the width: the number after ±."""
        return (self.high - self.low) / 2

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Paired:
    """The difference of pairs, second minus first: its mean and interval, and the p-value of no difference.

    p is NaN where there are fewer than two pairs.
    """

    mean: float
    low: float
    high: float
    p: float
    count: int

    @property
    def differs(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """The mean of a few values, as of seeds, with Student's interval.

    Args:
        values: [N]; a NaN makes everything NaN, since a value left out would flatter.
        level: of confidence.

    Raises:
        ValueError: there are no values.
    """
    sample = _sample(values)
    count, mean = len(sample), float(sample.mean())
    if count < 2:
        return Interval(mean, math.nan, math.nan, count)
    half = float(special.stdtrit(count - 1, 0.5 + level / 2)) * float(sample.std(ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)


def paired_difference(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Paired:
    """Whether the second of two methods differs from the first over the same seeds or rows: Student's paired test.

    Args:
        first, second: [N] in the same order.
        level: of confidence.

    Raises:
        ValueError: there are no pairs, or the counts differ.
    """
    differences = _differences(first, second)
    found = mean_interval(differences, level)
    mean, low, high, count = found.mean, found.low, found.high, found.count
    if count < 2 or not math.isfinite(mean):
        return Paired(mean, low, high, math.nan, count)
    spread = float(differences.std(ddof=1))
    if spread == 0.0:
        return Paired(mean, low, high, 1.0 if mean == 0.0 else 0.0, count)
    t = abs(mean) / (spread / math.sqrt(count))
    return Paired(mean, low, high, 2 * float(special.stdtr(count - 1, -t)), count)


def sign_flip_test(first: ArrayLike, second: ArrayLike, seed: int = 0) -> float:
    """The p-value of no difference between pairs when nothing is said of their distribution but symmetry.

    Every change of signs of the differences is counted, or many are drawn beyond 14 pairs (Fisher, 1935). With N pairs
    it is never below 2 / 2**N: three seeds cannot give less than 0.25.

    Args:
        first, second: [N] in the same order.
        seed: of the draw.

    Raises:
        ValueError: there are no pairs, or the counts differ.
    """
    differences = _differences(first, second)
    count = len(differences)
    if not np.isfinite(differences).all():
        return math.nan
    if count <= EXACT_PAIRS:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=count)))
    else:
        signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(DRAWN_SIGNS, count))
    sums, observed = np.abs(signs @ differences), abs(float(differences.sum()))
    reached = int((sums >= observed * (1 - 1e-12)).sum())
    if count <= EXACT_PAIRS:
        return reached / len(signs)
    return (reached + 1) / (len(signs) + 1)  # the signs as they were are one of the draws


def bootstrap_interval(
    values: ArrayLike,
    statistic: Statistic | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
    samples: int = RESAMPLES,
) -> Interval:
    """A statistic of many rows with its bootstrap interval, bias-corrected and accelerated (BCa).

    For a mean of fewer than about 20 values it is too narrow: take `mean_interval`.

    Args:
        values: [N] or [N, …], resampled by row.
        statistic: of such an array; None: the mean of all.
        level: of confidence.
        seed: of the resampling.
        samples: drawn.

    Raises:
        ValueError: there are no rows.
    """
    rows = np.asarray(values, dtype=np.float64)
    if not len(rows):
        raise ValueError("there are no values")
    measure = statistic or _mean
    count, observed = len(rows), measure(rows)
    if count < 2 or not math.isfinite(observed):
        return Interval(observed, math.nan, math.nan, count)
    generator = np.random.default_rng(seed)
    drawn = np.array([measure(rows[generator.integers(count, size=count)]) for _ in range(samples)])
    if drawn.min() == drawn.max():
        return Interval(observed, observed, observed, count)
    below = (np.sum(drawn < observed) + 0.5 * np.sum(drawn == observed)) / samples
    bias = float(special.ndtri(np.clip(below, 1 / samples, 1 - 1 / samples)))
    acceleration = _acceleration(rows, measure)
    ends = []
    for tail in (0.5 - level / 2, 0.5 + level / 2):
        z = bias + float(special.ndtri(tail))
        ends.append(float(np.quantile(drawn, special.ndtr(bias + z / (1 - acceleration * z)))))
    return Interval(observed, ends[0], ends[1], count)


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    statistic: Statistic | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
    samples: int = RESAMPLES,
) -> Interval:
    """The difference of a statistic of the same rows under two methods, second minus first, by resampling of rows.

    Args:
        first, second: [N] or [N, …] in the same order.
        statistic, level, seed, samples: as of `bootstrap_interval`.

    Raises:
        ValueError: there are no rows, or the shapes differ.
    """
    pair = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"pairs need equal shapes, got {list(pair[0].shape)} and {list(pair[1].shape)}")
    measure = statistic or _mean
    both = np.stack(pair, axis=1)
    return bootstrap_interval(
        both, lambda rows: measure(rows[:, 1]) - measure(rows[:, 0]), level=level, seed=seed, samples=samples
    )


def _acceleration(rows: NDArray[np.float64], measure: Statistic) -> float:
    """From the statistic with each row, or each of 200 blocks of rows, left out."""
    blocks: Sequence[NDArray[np.int64]] = np.array_split(np.arange(len(rows)), min(len(rows), 200))
    left_out = np.array([measure(np.delete(rows, block, axis=0)) for block in blocks])
    distance = left_out.mean() - left_out
    scale = float((distance**2).sum()) ** 1.5
    return float((distance**3).sum()) / (6 * scale) if scale > 0 else 0.0


def _mean(rows: NDArray[np.float64]) -> float:
    return float(rows.mean())


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not len(sample):
        raise ValueError(f"a list of one or more values is needed, got shape {list(sample.shape)}")
    return sample


def _differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    before, after = _sample(first), _sample(second)
    if len(before) != len(after):
        raise ValueError(f"pairs are needed, got {len(before)} values and {len(after)}")
    return after - before
