"""Answers as numbers, and how far two of them are apart."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any


def numbers_of(answer: Any) -> list[float]:
    """Every number of an answer, in an order that its names decide."""
    if isinstance(answer, bool | str) or answer is None:
        return []
    if isinstance(answer, int | float):
        return [float(answer)]
    if is_dataclass(answer):
        parts = [getattr(answer, one.name) for one in fields(answer)]
    elif isinstance(answer, dict):
        parts = [answer[key] for key in sorted(answer, key=str)]
    elif isinstance(answer, list | tuple):
        parts = list(answer)
    else:
        return []
    return [number for part in parts for number in numbers_of(part)]


def apart(numbers: list[float], expected: list[float]) -> float:
    """The largest |a − b| / max(1, max |b|); infinite where they are not as many."""
    if len(numbers) != len(expected):
        return math.inf
    scale = max([1.0, *map(abs, expected)])
    return max((abs(a - b) / scale for a, b in zip(numbers, expected, strict=True)), default=0.0)
