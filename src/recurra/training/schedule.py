"""The learning rate over time, as a factor of its highest value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recurra.settings.names import Schedule

PLATEAU_CUT = 0.5
PLATEAU_PATIENCE = 2


def rate_factor(
    schedule: Schedule,
    step: int,
    total_steps: int,
    warmup_steps: int = 0,
    time_fraction: float = 0.0,
    plateau: float = 1.0,
) -> float:
    """The learning rate of a step, as a factor in [0, 1] of the highest.

    Over the warm-up it rises as (step + 1) / warmup_steps. After it: 1 (constant), the factor that the plateau has
    reached, or ½ (1 + cos π p), where p is the part done of the steps after the warm-up (Loshchilov and Hutter, 2017).

    Args:
        step: optimiser steps already taken, so 0 for the first.
        total_steps: steps that the training takes at most.
        time_fraction: part of the allowed time that has passed; the cosine follows it where it is ahead of the steps.
        plateau: the factor of a `Plateau`.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    if schedule == "plateau":
        return plateau
    done = max((step - warmup_steps) / max(1, total_steps - warmup_steps), time_fraction)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


@dataclass(frozen=True)
class Plateau:
    """A factor that is cut by half after two evaluations without a better metric."""

    factor: float = 1.0
    stalled: int = 0

    def after(self, improved: bool) -> Plateau:
        """The plateau after one more evaluation."""
        if improved:
            return Plateau(self.factor, 0)
        if self.stalled + 1 < PLATEAU_PATIENCE:
            return Plateau(self.factor, self.stalled + 1)
        return Plateau(self.factor * PLATEAU_CUT, 0)
