"""Batches of pairs of like lengths, so that little of either side is padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recurra.data.batching import POOL_BATCHES


def plan_pairs(
    lengths: Sequence[tuple[int, int]], *, batch_size: int, batch_tokens: int, rng: np.random.Generator | None
) -> list[list[int]]:
    """Deal every pair into one batch.

    With a generator (training) pairs are shuffled, sorted by target and then by source length inside pools of 100
    batches, and the batches shuffled. Without one (evaluation) they go by falling length, so that a want of memory
    shows in the first batch.

    Args:
        lengths: tokens of source and target of each pair.
        batch_size: pairs a batch, used where batch_tokens is 0.
        batch_tokens: tokens a batch with padding (pairs × longest of either side); a longer pair is a batch of its own.
        rng: chance of the order.
    """
    if not lengths:
        return []
    sides = np.maximum(np.asarray(lengths, dtype=np.int64), 1)
    longest = sides.max(1)
    if rng is None:
        return _cut(np.lexsort((sides[:, 1], longest))[::-1].tolist(), longest.tolist(), batch_size, batch_tokens)
    order = rng.permutation(len(sides))
    pairs = max(1, int(batch_tokens / longest.mean())) if batch_tokens else batch_size
    pool = POOL_BATCHES * pairs
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        by_length = rows[np.lexsort((sides[rows, 0], sides[rows, 1]))[::-1]]
        batches += _cut(by_length.tolist(), longest.tolist(), batch_size, batch_tokens)
    return [batches[i] for i in rng.permutation(len(batches))]


def _cut(order: list[int], longest: list[int], batch_size: int, batch_tokens: int) -> list[list[int]]:
    """Rows into batches, in their order."""
    if not batch_tokens:
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    batches: list[list[int]] = []
    steps = 0  # of the longest row of the last batch
    for row in order:
        steps = max(steps, longest[row])
        if not batches or (len(batches[-1]) + 1) * steps > batch_tokens:
            batches.append([])
            steps = longest[row]
        batches[-1].append(row)
    return batches
