"""Losses as a sum and a count, so that batches, accumulation steps and processes add up to one exact mean.

Each computes in float32 at least: half-precision logits are widened first. A batch without rows has sum and count 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.settings.names import RegressionLoss


def cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cross entropy of one label a row.

    sum / count is `F.cross_entropy(logits, target, class_weights, label_smoothing=label_smoothing)`: with class
    weights the count is the sum of the weights of the targets, as torch's mean has it.

    Args:
        logits: [N, C].
        target: [N] int64, 0 ≤ label < C.
        class_weights: [C], or None for equal weights.
        label_smoothing: share of a target's probability spread evenly over all classes.

    Returns:
        Sum of the losses in nats and count, both scalars on the logits' device.
    """
    logits = _widened(logits)
    if class_weights is None:
        count = logits.new_tensor(len(target))
    else:
        class_weights = class_weights.to(logits)
        count = class_weights[target].sum()
    total = F.cross_entropy(logits, target, class_weights, reduction="sum", label_smoothing=label_smoothing)
    return total, count


def binary_cross_entropy(
    logits: Tensor, target: Tensor, positive_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Cross entropy of several yes-or-no labels a row.

    sum / count is `F.binary_cross_entropy_with_logits(logits, target, pos_weight=positive_weights)`: the count is
    N × L, a target for each label of each row, whatever the weights.

    Args:
        logits: [N, L].
        target: [N, L], bool or 0 and 1.
        positive_weights: [L], the weight of a label's loss where it is true, or None for 1.

    Returns:
        Sum of the losses in nats and count, both scalars on the logits' device.
    """
    logits = _widened(logits)
    if positive_weights is not None:
        positive_weights = positive_weights.to(logits)
    total = F.binary_cross_entropy_with_logits(logits, target.to(logits), pos_weight=positive_weights, reduction="sum")
    return total, logits.new_tensor(target.numel())


def regression_loss(outputs: Tensor, target: Tensor, kind: RegressionLoss) -> tuple[Tensor, Tensor]:
    """Loss of one number a row.

    sum / count is torch's `F.mse_loss`, `F.l1_loss`, or `F.huber_loss` with delta 1 (Huber, 1964).

    Args:
        outputs: [N].
        target: [N], in the same unit.
        kind: "mse", "mae" or "huber".

    Returns:
        Sum of the losses and count, both scalars on the outputs' device.
    """
    outputs = _widened(outputs)
    target = target.to(outputs)
    if kind == "mse":
        total = F.mse_loss(outputs, target, reduction="sum")
    elif kind == "mae":
        total = F.l1_loss(outputs, target, reduction="sum")
    else:
        total = F.huber_loss(outputs, target, reduction="sum")
    return total, outputs.new_tensor(len(target))


def divergence(logits: Tensor, several: bool = False) -> Tensor:
    """How far two passes over the same rows, each with its own dropout, disagree (Liang et al., 2021, "R-Drop").

        ½ (KL(p ‖ q) + KL(q ‖ p)) = ½ Σ (p − q) (log p − log q)

    and with several labels a row the same of each label's yes and no, where the logarithms' difference is that of
    the logits.

    Args:
        logits: [2 N, C]: the first pass over all rows, then the second.
        several: each label is a yes or no of its own.

    Returns:
        Sum over the N rows in nats, a scalar on the logits' device.
    """
    logits = _widened(logits)
    scores = logits if several else logits.log_softmax(-1)
    shares = logits.sigmoid() if several else scores.exp()
    (p, q), (log_p, log_q) = shares.chunk(2), scores.chunk(2)
    return ((p - q) * (log_p - log_q)).sum() / 2


def logit_offsets(counts: Tensor, strength: float) -> Tensor:
    """What is added to logits in the loss, so that the logits themselves owe nothing to frequency.

    With strength 1 a classifier trained so is the best for the mean of the classes' accuracies (Menon et al., 2021,
    "Long-tail learning via logit adjustment"); less keeps more of the rows right.

        offset_c = strength · log(rows of c / rows)

    Args:
        counts: [C] training rows of each class, each 1 or more.

    Returns:
        [C] float32.
    """
    counts = counts.double()
    return (strength * (counts / counts.sum()).log()).float()


def class_weights(counts: Tensor) -> Tensor:
    """Balanced weights: rows / (classes × rows of the class), scikit-learn's `class_weight="balanced"`.

    Every class then weighs the same in the loss, and the mean weight of a row is 1. A class without rows does not
    count as a class; its own weight is 1.

    Args:
        counts: [C] training rows of each class.

    Returns:
        [C] float32.
    """
    counts = counts.double()
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts)
    return torch.where(present, weights, 1.0).float()


def _widened(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
