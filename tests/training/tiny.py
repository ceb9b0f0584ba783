"""A task of two dozen points and a model of fifty weights, with shuffling, augmentation and dropout."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.randomness import generator
from recurra.settings.groups import TrainingSettings
from recurra.training.loop import FitResult, fit
from recurra.training.progress import Silent

EXAMPLES = 24


class Crash(Exception):  # noqa: N818
    """A fault in the middle of training."""


class Tiny:
    """Two classes of points, split by a line with noise."""

    metric = "accuracy"
    higher_is_better = True

    def __init__(self, batch_size: int = 4, dtype: torch.dtype = torch.float32, dropout: float = 0.3) -> None:
        draw = generator("tiny")
        self.inputs = torch.randn(EXAMPLES + 40, 3, generator=draw).to(dtype)
        noise = torch.randn(EXAMPLES + 40, generator=draw)
        self.targets = (self.inputs.sum(1) + 0.5 * noise > 0).long()
        self.batch_size = batch_size
        self.model: nn.Module = nn.Sequential(
            nn.Linear(3, 8, dtype=dtype), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2, dtype=dtype)
        )
        draw = generator("weights")
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.3)
        self.augment = dropout > 0
        self.batches_made = 0
        self.plans: list[int] = []
        self.before_batch: Callable[[int], None] = lambda count: None
        self.validation: list[float] | None = None

    def plan(self, epoch: int) -> list[list[int]]:
        self.plans.append(epoch)
        order = torch.randperm(EXAMPLES, generator=generator("order", epoch)).tolist()
        return [order[i : i + self.batch_size] for i in range(0, EXAMPLES, self.batch_size)]

    def begin_step(self, step: int, total_steps: int) -> None:
        pass

    def batch(self, indices: list[int], step_seed: int) -> tuple[Tensor, Tensor]:
        self.before_batch(self.batches_made)
        self.batches_made += 1
        inputs = self.inputs[indices]
        if self.augment:
            inputs = inputs + 0.1 * torch.randn(inputs.shape, generator=generator(step_seed))
        return inputs, self.targets[indices]

    def size(self, batch: Any) -> tuple[int, int]:
        return len(batch[0]), 3 * len(batch[0])

    def loss(self, batch: Any) -> tuple[Tensor, Tensor | float]:
        inputs, targets = batch
        return F.cross_entropy(self.model(inputs), targets, reduction="sum"), float(len(targets))

    def carried(self) -> dict[str, Tensor]:
        return {}

    def carry(self, tensors: dict[str, Tensor]) -> None:
        assert not tensors

    def evaluate(self) -> dict[str, float]:
        assert not self.model.training
        logits, targets = self.model(self.inputs[EXAMPLES:]), self.targets[EXAMPLES:]
        accuracy = (logits.argmax(1) == targets).double().mean().item()
        if self.validation:
            accuracy = self.validation.pop(0)
        return {"loss": F.cross_entropy(logits, targets).item(), "accuracy": accuracy}

    def describe(self, indices: list[int]) -> str:
        return f"rows {', '.join(map(str, indices))} of tiny"


def crash_at(step: int) -> Callable[[int], None]:
    def crash(count: int) -> None:
        if count == step:
            raise Crash

    return crash


def settings(**changes: Any) -> TrainingSettings:
    plain: dict[str, Any] = {
        "epochs": 4,
        "lr": 0.05,
        "patience": 0,
        "checkpoint_every": 0,
        "evaluate_every": 4,
        "threads": 1,
    }
    return TrainingSettings(**(plain | changes))


def train(tiny: Tiny, folder: Path, *, resume: bool = False, **changes: Any) -> FitResult:
    return fit(tiny, settings(**changes), folder, Silent(), resume=resume)


def weights(tiny: Tiny) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tiny.model.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without_times(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = ("seconds", "examples_per_second", "tokens_per_second")
    return [{name: value for name, value in line.items() if name not in times} for line in history]


def is_finite(tiny: Tiny) -> bool:
    return all(math.isfinite(p.sum().item()) for p in tiny.model.parameters())
