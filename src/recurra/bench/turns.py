"""Ways of doing one thing timed in turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

Way = Callable[[], Any]


def medians(ways: Mapping[str, Way], rounds: int, least: float = 0.0) -> dict[str, float]:
    """Median seconds of each way, after two calls of each to warm up.

    With one thread they are the processor's seconds, in which a machine's other work counts little; else the clock's.

    Args:
        rounds: that count.
        least: seconds that a measurement lasts at least: a quick way is called several times in a row.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    calls = {name: _calls(way, least) for name, way in ways.items()}
    for _ in range(rounds):
        for name, way in ways.items():
            began = clock()
            for _ in range(calls[name]):
                way()
            times[name].append((clock() - began) / calls[name])
    return {name: statistics.median(values) for name, values in times.items()}


def _calls(way: Way, least: float) -> int:
    way()
    began = time.perf_counter()
    way()
    return max(1, round(least / max(time.perf_counter() - began, 1e-9)))
