"""Batches of sequences of like length, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POOL_BATCHES = 100  # few enough that batches differ from epoch to epoch, many enough that lengths in one agree


def plan(
    lengths: Sequence[int], *, batch_size: int, batch_tokens: int, rng: np.random.Generator | None
) -> list[list[int]]:
    """Deal every row into one batch.

    With a generator (training) rows are shuffled, sorted by length inside pools of 100 batches, and the batches
    shuffled. Without one (evaluation) rows go by falling length, so that a want of memory shows in the first batch.

    Args:
        lengths: steps of each row.
        batch_size: rows a batch, used where batch_tokens is 0.
        batch_tokens: steps a batch with padding (rows × longest); a longer row is a batch of its own.
        rng: chance of the order.
    """
    steps = np.maximum(np.asarray(lengths, dtype=np.int64), 1)  # a row of no steps still takes room
    if rng is None:
        order = np.argsort(-steps, kind="stable")
        return _cut(order.tolist(), steps, batch_size, batch_tokens)
    order = rng.permutation(len(steps))
    rows = max(1, int(batch_tokens / steps.mean())) if batch_tokens and len(steps) else batch_size
    pool = POOL_BATCHES * rows
    batches = [
        batch
        for start in range(0, len(order), pool)
        for batch in _cut(_sorted(order[start : start + pool], steps), steps, batch_size, batch_tokens)
    ]
    return [batches[i] for i in rng.permutation(len(batches))]


def fill(batches: Sequence[Sequence[int]], lengths: Sequence[int]) -> float:
    """The share of valid steps in padded batches, 0 to 1 (1 where there is no step at all)."""
    valid = sum(lengths[i] for batch in batches for i in batch)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches if batch)
    return valid / padded if padded else 1.0


def _sorted(
    rows: np.ndarray[tuple[int], np.dtype[np.int64]], steps: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> list[int]:
    return list(rows[np.argsort(-steps[rows], kind="stable")].tolist())


def _cut(
    order: list[int], steps: np.ndarray[tuple[int], np.dtype[np.int64]], batch_size: int, batch_tokens: int
) -> list[list[int]]:
    """Rows of falling length into batches: the first row of a batch is its longest."""
    if not batch_tokens:
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    batches: list[list[int]] = []
    rows = 0
    for i in order:
        if len(batches[-1]) >= rows if batches else True:
            batches.append([])
            rows = max(1, batch_tokens // int(steps[i]))
        batches[-1].append(i)
    return batches
