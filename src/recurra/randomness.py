"""Randomness that has an owner: every generator is made from named parts, so that any step can be drawn again.

The noise of step n is a function of (seed, n) alone. A training that goes on after a stop therefore needs no saved
generator state, and one that is repeated draws the same numbers whatever ran before it.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


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
