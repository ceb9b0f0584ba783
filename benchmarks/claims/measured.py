"""What a measurement of a claim gives, and the small tools that several of them share."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

ROUNDING = 1e-4  # float32 sums of a few hundred products in another order differ by less


class Measured(NamedTuple):
    """What was seen.

    seen: in a sentence or two, its numbers from `figures`. holds: whether they show what the page says is so.
    figures: plain values for the JSON file.
    """

    seen: str
    holds: bool
    figures: dict[str, Any]


def medians(ways: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each way, taken in turn so that the machine's moods meet all of them; one round warms up.

    With one thread the seconds are the processor's, so that other work on the machine hardly enters.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 1):
        for way, kept in zip(ways, times, strict=True):
            began = clock()
            way()
            if turn:
                kept.append(clock() - began)
    return [statistics.median(kept) for kept in times]


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of value ≈ c · size^p, by least squares on the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def distance(one: Tensor, other: Tensor) -> float:
    """The largest difference of two tensors."""
    return float((one - other).detach().abs().max())


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean logarithm: what is typical of numbers that differ by powers of ten."""
    return math.exp(statistics.fmean(math.log(value) for value in values))


def number(value: float) -> str:
    """Three figures: 0.72, 284, 1.6e-13, 1,048,576."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return (
            f"{value:,.0f}" if abs(value) >= 1e3 and float(value).is_integer() and abs(value) < 1e9 else f"{value:.1e}"
        )
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def percent(share: float) -> str:
    """0.914 → 91.4 %."""
    return f"{100 * share:.1f} %"
