"""Verdicts in words: a difference with its interval, or that none was found."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from recurra.statistics import Interval, Paired, mean_interval, paired_difference

NONE_FOUND = "no difference found"


def ratio(first: Sequence[float], second: Sequence[float]) -> Paired:
    """How the second of paired positive values relates to the first: the difference of their decimal logarithms.

    A value of 0 has no logarithm, and then nothing can be said: everything is NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return paired_difference(np.log10(first), np.log10(second))


def times(paired: Paired) -> str:
    """A ratio of `ratio` in words: `×2.6e+06`, `no difference found`, or that it cannot be said."""
    if not _known(paired):
        return "not to be said"
    return f"×{short(10**paired.mean)}" if paired.differs else NONE_FOUND


def span(paired: Paired) -> str:
    """The interval of a ratio: `1.2e+06 to 5.6e+06`."""
    return f"{short(10**paired.low)} to {short(10**paired.high)}" if _known(paired) else ""


def geometric(values: Sequence[float]) -> Interval:
    """The geometric mean of positive values with its interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = mean_interval(np.log10(values))
    return Interval(10**found.mean, 10**found.low, 10**found.high, found.count)


def short(value: float) -> str:
    """Two significant digits: `0.57`, `450`, `1.6e-13`."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if 0.001 <= abs(value) < 10_000:
        digits = 1 - math.floor(math.log10(abs(value)))
        return f"{round(value, digits):.{max(0, digits)}f}"
    return f"{value:.1e}"


def _known(paired: Paired) -> bool:
    return all(math.isfinite(value) for value in (paired.mean, paired.low, paired.high))
