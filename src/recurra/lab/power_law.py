"""A law value = c · a^p · b^q · … fitted to measurements: least squares on the logarithms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from recurra.statistics import Interval


class PowerLaw(NamedTuple):
    """constant: c. exponents: of each size, with its interval. spread: the factor by which a measurement typically
    lies beside the law, 1 where it is exact."""

    constant: float
    exponents: dict[str, Interval]
    spread: float

    def at(self, **sizes: float) -> float:
        """The law's value."""
        return self.constant * math.prod((size ** self.exponents[name].mean for name, size in sizes.items()), start=1.0)


def fit_power_law(sizes: Mapping[str, Sequence[float]], values: Sequence[float], level: float = 0.95) -> PowerLaw:
    """Fit the exponents and the constant.

    The intervals are Student's, from how far the measurements lie beside the law: noise and a law that bends both
    widen them.

    Args:
        sizes: of each measurement by name, such as {"B": […], "T": […]}; all positive.
        values: measured, positive, in the same order.
        level: of confidence.

    Raises:
        ValueError: too few measurements, or sizes that do not vary apart from each other.
    """
    columns = [np.log(np.asarray(size, dtype=np.float64)) for size in sizes.values()]
    design = np.stack([np.ones(len(values)), *columns], axis=1)
    count, unknown = design.shape
    if count <= unknown or np.linalg.matrix_rank(design) < unknown:
        raise ValueError(f"{count} measurements do not tell {unknown} numbers apart; vary each of {', '.join(sizes)}")
    logarithms = np.log(np.asarray(values, dtype=np.float64))
    found = np.linalg.lstsq(design, logarithms, rcond=None)[0]
    beside = logarithms - design @ found
    variance = float(beside @ beside) / (count - unknown)
    half = special.stdtrit(count - unknown, 0.5 + level / 2) * np.sqrt(
        variance * np.diag(np.linalg.inv(design.T @ design))
    )
    exponents = {
        name: Interval(
            float(found[number]), float(found[number] - half[number]), float(found[number] + half[number]), count
        )
        for number, name in enumerate(sizes, 1)
    }
    return PowerLaw(math.exp(found[0]), exponents, math.exp(math.sqrt(variance)))
