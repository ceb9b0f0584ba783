"""Resets for engines that have none: each episode becomes a row of its own, and its outputs go back to their place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from recurra.sequence import valid_mask
from recurra.state import State, choose, select

Engine = Callable[[Tensor, State, Tensor], tuple[Tensor, State]]


def run_episodes(
    run: Engine, x: Tensor, state: State, lengths: Tensor | None, resets: Tensor, restart: State
) -> tuple[Tensor, State]:
    """Run an engine over rows in which new episodes begin.

    Args:
        run: (x, state, lengths) → (outputs, state).
        x: [B, T, D].
        state: before the first step of each row.
        lengths: [B] int64 on the CPU, or None.
        resets: [B, T] bool: an episode begins before that step.
        restart: the state that an episode begins with.

    Returns:
        outputs [B, T, H], and the state at the end of each row's last episode.
    """
    rows, steps = x.shape[0], x.shape[1]
    if lengths is None:
        lengths = torch.full((rows,), steps)
    valid = valid_mask(lengths, steps)
    begins = resets.cpu() & valid
    begins[:, 0] = True  # a row is at least one episode, be it empty
    number = begins.flatten().cumsum(0).view(rows, steps) - 1  # [B, T]: episode of each step, rows in order
    start = begins.nonzero()  # [N, 2]: row and first step of each episode
    row, first = start[:, 0], start[:, 1]
    counts = torch.zeros(len(row), dtype=torch.int64).index_add_(0, number[valid], torch.ones(int(valid.sum())).long())
    longest = max(int(counts.max()), 1)
    index = (first[:, None] + torch.arange(longest)).clamp(max=steps - 1)
    inside = valid_mask(counts, longest)
    device = x.device
    cut = x[row.to(device)[:, None], index.to(device)].masked_fill(~inside.to(device)[..., None], 0.0)
    given = ((first == 0) & ~(resets.cpu() & valid)[row, first]).to(device)
    begin = choose(given, select(state, row), select(restart, row))
    outputs, final = run(cut, begin, counts)
    place = torch.arange(steps) - first[number]  # step of each position inside its episode
    whole = outputs[number.to(device), place.clamp(0, longest - 1).to(device)]
    last = begins.sum(1).cumsum(0) - 1
    return whole.masked_fill(~valid.to(device)[..., None], 0.0), select(final, last)
