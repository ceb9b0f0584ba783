"""An exponential moving average of the weights, which often scores better than the weights themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of a model's floating-point parameters and buffers over the steps of its training.

        average ← d average + (1 − d) weights,    d = min(decay, (1 + n) / (10 + n))

    where n counts the updates before this one: the first weights, which are noise, are soon forgotten.

    Args:
        model: the model; the average starts as a copy of it.
        decay: the largest d, in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = _floating(model)
        self.tensors = {name: weight.clone() for name, weight in self._weights.items()}

    def update(self, updates: int) -> None:
        """Take in the weights as they are now, after `updates` earlier calls."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._weights.values()), 1.0 - decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The model carries the average inside the block, and its own weights, bit for bit, after it."""
        own = {name: weight.clone() for name, weight in self._weights.items()}
        try:
            self._put(self.tensors)
            yield
        finally:
            self._put(own)

    def _put(self, tensors: dict[str, Tensor]) -> None:
        for name, weight in self._weights.items():
            weight.copy_(tensors[name])


def _floating(model: nn.Module) -> dict[str, Tensor]:
    """Views of the model's floating-point state by name: what is written into them reaches the model."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
