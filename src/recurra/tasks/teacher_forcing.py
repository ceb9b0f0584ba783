"""How often the decoder is told the truth, over the training."""

from __future__ import annotations

import math

from recurra.settings.names import ForcingSchedule


def forcing_ratio(schedule: ForcingSchedule, step: int, total_steps: int, last: float) -> float:
    """The probability that the decoder reads the true token at a step of the training, and not its own answer.

    With p the part done of the training, step / total_steps:

        constant         last
        linear           1 - (1 - last) p
        inverse_sigmoid  last + (1 - last) k / (k + exp(step / k))

    (Bengio et al., 2015, "Scheduled sampling for sequence prediction with recurrent neural networks"). k is chosen so
    that half of the fall is behind at half of the training: k ln k = total_steps / 2.

    Args:
        schedule: which.
        step: optimiser steps already taken, so 0 for the first.
        total_steps: steps that the training takes at most.
        last: where the fall ends, in [0, 1].
    """
    if schedule == "constant" or last == 1.0:
        return last
    total = max(1, total_steps)
    step = min(max(0, step), total)
    if schedule == "linear":
        return 1.0 - (1.0 - last) * step / total
    k = _middle(total / 2)
    return last + (1.0 - last) / (1.0 + math.exp(step / k - math.log(k)))


def _middle(steps: float) -> float:
    """The k of k ln k = steps, by Newton's method: from above it falls to the root, and never below."""
    k = steps + 2.0
    while True:
        nearer = (k + steps) / (math.log(k) + 1.0)
        if nearer >= k:
            return k
        k = nearer
