"""Randomness that has an owner: every generator is made from named parts, so that any step can be drawn again.

The noise of step n is a function of (seed, n) alone. A training that goes on after a stop therefore needs no saved
generator state, and one that is repeated draws the same numbers whatever ran before it.

Where several processes share a batch, noise is drawn for all its rows on each of them (`rows_dealt`): a row's noise is
the same whoever has it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ShapeError


def seed_of(*parts: int | str) -> int:
    """A seed in [0, 2**63) from named parts: the same on every machine and whatever the hash seed is."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator whose stream is decided by the parts."""
    return torch.Generator(device=device).manual_seed(seed_of(*parts))


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """A numpy generator whose stream is decided by the parts."""
    return np.random.default_rng(seed_of(*parts))


class _Deal(NamedTuple):
    total: int
    rank: int
    processes: int


# for all threads: torch runs a backward pass, and what it computes again, in threads of its own
_deal: _Deal | None = None


@contextlib.contextmanager
def rows_dealt(total: int, rank: int, processes: int) -> Iterator[None]:
    """Inside the block a batch is this process's share of a larger one: rows rank, rank + processes, …

    Args:
        total: rows of the larger batch.
        rank, processes: number of this process, and how many there are.
    """
    global _deal
    before, _deal = _deal, _Deal(total, rank, processes)
    try:
        yield
    finally:
        _deal = before


def drawn_rows(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...]) -> Tensor:
    """Noise of a shape, the first dimension being the row; of a share of a batch what the whole batch draws for it.

    Args:
        draw: a shape → noise.
        shape: [B, …], or [k B, …] where all rows stand k times below each other.

    Raises:
        ShapeError: in `rows_dealt`, rows that are not those of the share.
    """
    if _deal is None:
        return draw(shape)
    own = len(range(_deal.rank, _deal.total, _deal.processes))
    times, rest = divmod(shape[0], own) if own else (0, shape[0])
    if rest:
        raise ShapeError(f"noise for {shape[0]} rows, expected those of this process's share of a batch: {own}")
    whole = draw((times * _deal.total, *shape[1:])).view(times, _deal.total, *shape[1:])
    return whole[:, _deal.rank :: _deal.processes].reshape(shape)
