"""Averages of the weights of a training, which often score better than the weights themselves.

Of every step, fading (`FadingAverage`), or of the last evaluations alike (`CheckpointAverage`; Vaswani et al., 2017).
Evaluation sees the average, and the best of them is what the training ends with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from recurra.settings.groups import TrainingSettings


class WeightAverage(Protocol):
    """What a training asks of an average."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that it knows, by name: for a checkpoint."""

    def expected(self, evaluations: int) -> dict[str, Tensor]:
        """Tensors with the names, shapes and dtypes that a checkpoint after so many evaluations must have."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""

    def after_step(self, updates: int) -> None:
        """The model has taken a step, after `updates` earlier ones."""

    def applied(self) -> contextlib.AbstractContextManager[None]:
        """An evaluation: the model carries the average inside the block, and its own weights, bit for bit, after it."""


def make_average(model: nn.Module, settings: TrainingSettings) -> WeightAverage | None:
    """The average that the settings ask for."""
    if settings.average:
        return FadingAverage(model, settings.average)
    return CheckpointAverage(model, settings.average_checkpoints) if settings.average_checkpoints > 1 else None


class FadingAverage:
    """The exponential moving average of a model's floating-point parameters and buffers over its steps.

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

    def expected(self, evaluations: int) -> dict[str, Tensor]:
        """As `WeightAverage`."""
        return self.tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """As `WeightAverage`."""
        _put(self.tensors, tensors)

    def after_step(self, updates: int) -> None:
        """As `WeightAverage`."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._weights.values()), 1.0 - decay)

    def applied(self) -> contextlib.AbstractContextManager[None]:
        """As `WeightAverage`."""
        return _carrying(self._weights, self.tensors)


class CheckpointAverage:
    """The mean of a model's floating-point parameters and buffers at its last evaluations.

    Args:
        model: the model.
        count: how many evaluations, the present one among them; fewer at first.
    """

    def __init__(self, model: nn.Module, count: int) -> None:
        self.count = count
        self._weights = _floating(model)
        self._kept: list[dict[str, Tensor]] = []  # the oldest first

    @property
    def tensors(self) -> dict[str, Tensor]:
        """As `WeightAverage`."""
        return {f"{place}.{name}": one for place, kept in enumerate(self._kept) for name, one in kept.items()}

    def expected(self, evaluations: int) -> dict[str, Tensor]:
        """As `WeightAverage`."""
        places = range(min(evaluations, self.count))
        return {f"{place}.{name}": weight for place in places for name, weight in self._weights.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """As `WeightAverage`."""
        places = range(len(tensors) // len(self._weights))
        self._kept = [
            {name: tensors[f"{place}.{name}"].to(own.device, copy=True) for name, own in self._weights.items()}
            for place in places
        ]

    def after_step(self, updates: int) -> None:
        """As `WeightAverage`: nothing; evaluations count."""

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """As `WeightAverage`; the weights as they are now are the newest of those averaged."""
        newest = {name: weight.clone() for name, weight in self._weights.items()}
        kept = [*self._kept, newest][-self.count :]
        mean = {name: torch.stack([one[name] for one in kept]).mean(0) for name in newest}
        with _carrying(self._weights, mean):
            yield
        self._kept = kept  # an evaluation cut short will be made again


@contextlib.contextmanager
def _carrying(weights: dict[str, Tensor], others: dict[str, Tensor]) -> Iterator[None]:
    own = {name: weight.clone() for name, weight in weights.items()}
    try:
        _put(weights, others)
        yield
    finally:
        _put(weights, own)


def _put(into: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    for name, tensor in into.items():
        tensor.copy_(tensors[name])


def _floating(model: nn.Module) -> dict[str, Tensor]:
    """Views of the model's floating-point state by name: what is written into them reaches the model."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
