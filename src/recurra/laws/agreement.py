"""How far apart two results are, and how far they may be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 2e-2}  # rounding of sums of some hundred terms


def difference(one: Any, other: Any) -> float:
    """The largest |a − b| / max(1, max |b|) over all tensors of two trees of tuples, lists, dictionaries and tensors.

    Another structure, shape or dtype, and a NaN or infinity in one place only, is infinitely far.
    """
    if isinstance(other, Tensor):
        return _distance(one, other) if isinstance(one, Tensor) else float("inf")
    if other is None or one is None:
        return 0.0 if one is other else float("inf")
    if isinstance(other, dict):
        if not isinstance(one, dict) or one.keys() != other.keys():
            return float("inf")
        return max((difference(one[key], other[key]) for key in other), default=0.0)
    if type(one) is not type(other) or len(one) != len(other):
        return float("inf")
    return max((difference(a, b) for a, b in zip(one, other, strict=True)), default=0.0)


def within(distance: float, dtype: torch.dtype) -> bool:
    """Whether a difference is rounding and nothing else."""
    return distance <= TOLERANCES[dtype]


def _distance(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape or one.dtype != other.dtype:
        return float("inf")
    if one.numel() == 0:
        return 0.0
    a, b = one.detach().double(), other.detach().double()
    if not torch.equal(a.isfinite(), b.isfinite()) or not torch.equal(a[~a.isfinite()], b[~b.isfinite()]):
        return float("inf")  # a NaN is no number, not even in both places
    finite = b.isfinite()
    if not bool(finite.any()):
        return 0.0
    return float((a[finite] - b[finite]).abs().max() / b[finite].abs().max().clamp(min=1.0))
