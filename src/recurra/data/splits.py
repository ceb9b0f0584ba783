"""Rows set aside for validation or test: by the seed, the same on every machine and in every version."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ROUNDS = 3  # over all groups: the first fills the part, the others mend
SMALLEST_GAIN = 1e-9  # rows: below it a difference is rounding


def cut(n: int, fraction: float, seed: int, strata: Sequence[Any] | None = None) -> tuple[list[int], list[int]]:
    """Deal rows 0 to n - 1 into the rest and a part, each in rising order.

    With strata (labels), every stratum gives its share as nearly as whole rows allow, and keeps at least one row
    in the rest where that is possible: a label that only the part has could not be learned.

    Args:
        n: rows.
        fraction: share of the part; at least one row of two or more, and never all.
        seed: chooses the rows.
        strata: for each row, its label (or its list of labels).

    Returns:
        The rest and the part.
    """
    if n < 2:
        return list(range(n)), []
    size = min(max(1, round(n * fraction)), n - 1)
    order = _shuffled(n, seed)
    if strata is None:
        part = order[:size]
    else:
        groups: dict[str, list[int]] = {}
        for i in order:
            groups.setdefault(repr(strata[i]), []).append(i)
        part = [i for rows, count in zip(groups.values(), _shares(groups, n, size), strict=True) for i in rows[:count]]
    chosen = set(part)
    return [i for i in range(n) if i not in chosen], sorted(chosen)


def cut_groups(
    groups: Sequence[Any], fraction: float, seed: int, strata: Sequence[Any] | None = None
) -> tuple[list[int], list[int]]:
    """Deal rows into the rest and a part, each in rising order, every group wholly to one side.

    Groups are taken one by one in an order drawn by the seed from their names alone, so that the order of rows says
    nothing. One changes sides where that brings the part nearer to its share of all rows and of each stratum, and
    never where it would take a stratum's last rows from the rest.

    Args:
        groups: for each row, its group: a text or a number.
        fraction: share of the part; at least one group where there are two, and never all.
        seed: chooses the groups.
        strata: for each row, its label (or its list of labels).

    Returns:
        The rest and the part; an empty part where there is one group only.
    """
    names = [str(group) for group in groups]
    labels = [""] * len(names) if strata is None else [repr(label) for label in strata]
    counted: dict[str, Counter[str]] = {}
    for name, label in zip(names, labels, strict=True):
        counted.setdefault(name, Counter())[label] += 1
    if len(counted) < 2:
        return list(range(len(names))), []
    # a group has a share under each of its labels, and under None that of all its rows
    counts = {name: [(None, own.total()), *own.items()] for name, own in counted.items()}
    held: Counter[str | None] = Counter(labels)
    held[None] = len(names) + 1  # the strata alone keep the rest from being empty
    missing = {label: fraction * count for label, count in held.items()}
    missing[None] = fraction * len(names)
    order = sorted(counts, key=lambda name: hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).digest())
    part: set[str] = set()

    def gain(name: str) -> float:
        """How much nearer the part comes to its shares where the group changes sides."""
        sign = -1 if name in part else 1
        return sum(abs(missing[label]) - abs(missing[label] - sign * count) for label, count in counts[name])

    def leaves_all(name: str) -> bool:
        return name in part or all(count < held[label] for label, count in counts[name])

    for _ in range(MOST_ROUNDS):
        moved = False
        for name in order:
            if gain(name) > SMALLEST_GAIN and leaves_all(name):
                sign, moved = -1 if name in part else 1, True
                part ^= {name}
                for what, count in counts[name]:
                    missing[what] -= sign * count
                    held[what] -= sign * count
        if not moved:
            break
    if not part:  # every group is larger than twice the part: the one that misses least
        part.add(max(order, key=lambda name: (leaves_all(name), gain(name))))
    return [i for i, name in enumerate(names) if name not in part], [i for i, name in enumerate(names) if name in part]


def _shares(groups: dict[str, list[int]], n: int, size: int) -> list[int]:
    """How many rows each group gives to the part: `size` in all, by largest remainder."""
    sizes = [len(rows) for rows in groups.values()]
    exact = [size * count / n for count in sizes]
    shares = [int(share) for share in exact]
    by_need = sorted(range(len(sizes)), key=lambda g: shares[g] - exact[g])
    missing = size - sum(shares)
    for keep in (1, 0):  # leave a row of each group in the rest, unless that leaves the part too small
        while missing and (able := [g for g in by_need if shares[g] < sizes[g] - keep]):
            for group in able[:missing]:
                shares[group] += 1
            missing = size - sum(shares)
    return shares


def _shuffled(n: int, seed: int) -> list[int]:
    """A permutation by SplitMix64 (Steele et al., 2014): arithmetic alone, so no library's version can change it."""
    with np.errstate(over="ignore"):
        state: NDArray[np.uint64] = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state += _mix(np.array([seed % 2**64], dtype=np.uint64))
        return list(np.argsort(_mix(state), kind="stable").tolist())


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
