"""Ways of doing one thing timed in turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Way = Callable[[], Any]


def medians(ways: Mapping[str, Way], rounds: int, least: float = 0.0) -> dict[str, float]:
    """Median seconds of each way; a first round is the warm-up.

    Args:
        rounds: that count.
        least: seconds that a measurement lasts at least: a quick way is called several times in a row.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    calls = {name: _calls(way, least) for name, way in ways.items()}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            for _ in range(calls[name]):
                way()
            times[name].append((time.perf_counter() - began) / calls[name])
    return {name: statistics.median(values) for name, values in times.items()}


def _calls(way: Way, least: float) -> int:
    way()
    began = time.perf_counter()
    way()
    return max(1, round(least / max(time.perf_counter() - began, 1e-9)))
