"""A linear layer and its cross entropy together, so that the logits never stand in memory all at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

IGNORED = -100
"""A target that does not count, as in torch."""
BLOCK_BYTES = 16 * 2**20
"""Bytes of the logits that stand in memory at a time."""


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    block_bytes: int = BLOCK_BYTES,
) -> tuple[Tensor, Tensor]:
    """Cross entropy of `hidden @ weight.T + bias`, a block of rows at a time.

    The gradients are made in the forward pass, where a block's logits are at hand, so nothing is computed twice:
    with p = softmax(z), ∂loss/∂z = p − (1 − s)·onehot(target) − s/V.

    Args:
        hidden: [N, D].
        weight: [V, D].
        bias: [V], or None.
        targets: [N] int64; a target of −100 does not count.
        label_smoothing: share s of a target's probability spread evenly over all V.
        block_bytes: bytes of logits in memory at a time; at least one row is taken.

    Returns:
        Sum of the losses in nats, in float32 at least, and the count of targets (int64), both scalars.
    """
    counted = targets != IGNORED
    rows = max(1, block_bytes // (weight.shape[0] * torch.promote_types(hidden.dtype, torch.float32).itemsize))
    total = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, counted, label_smoothing, rows
    )
    return total, counted.sum()


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        counted: Tensor,
        smoothing: float,
        rows: int,
    ) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        near = weight.to(hidden.dtype)  # under autocast the layers give bf16, and the matrix products stay in it
        wanted = ctx.needs_input_grad
        of_hidden = torch.empty_like(hidden) if wanted[0] else None
        of_weight = torch.zeros_like(weight) if wanted[1] else None
        of_bias = torch.zeros_like(bias) if bias is not None and wanted[2] else None
        total = hidden.new_zeros((), dtype=wide)
        for begin in range(0, hidden.shape[0], rows):
            block = slice(begin, begin + rows)
            counts = counted[block]
            target = torch.where(counts, targets[block], 0)[:, None]
            given = hidden[block]
            scores = F.linear(given, near, None if bias is None else bias.to(hidden.dtype))
            scores = F.log_softmax(scores.to(wide), 1)
            losses = -(1 - smoothing) * scores.gather(1, target)[:, 0]
            if smoothing:
                losses -= smoothing * scores.mean(1)
            total += torch.where(counts, losses, 0.0).sum()
            if not any(wanted[:3]):
                continue
            gradient = scores.exp_()
            if smoothing:
                gradient -= smoothing / weight.shape[0]
            gradient.scatter_add_(1, target, gradient.new_full(target.shape, smoothing - 1.0))
            if of_bias is not None:
                of_bias += counts.to(wide) @ gradient
            narrow = gradient.to(hidden.dtype)
            # a row that does not count is left out where it is [n, D], not [n, V]
            if of_hidden is not None:
                of_hidden[block] = torch.where(counts[:, None], narrow @ near, 0.0)
            if of_weight is not None:
                of_weight += narrow.T @ torch.where(counts[:, None], given, 0.0)
        ctx.save_for_backward(of_hidden, of_weight, of_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        gradients = [None if one is None else one * scale.to(one.dtype) for one in ctx.saved_tensors]
        return (*gradients, None, None, None, None)
