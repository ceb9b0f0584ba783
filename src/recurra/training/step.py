"""One optimiser step: batches in, new weights out, or a sentence that says why not."""

from __future__ import annotations

import contextlib
import math
import time
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import WorkError
from recurra.memory import memory_faults_named
from recurra.randomness import rows_dealt, seed_of
from recurra.settings.groups import TrainingSettings
from recurra.training.devices import seed_generators
from recurra.training.optimisation import clip_factor, gradient_norm, gradients_of, scale, set_rate
from recurra.training.processes import ALONE, Processes, count_rows, share
from recurra.training.protocol import Trainable

LESS_MEMORY = (
    "give a smaller batch_size, max_length or hidden_size, or bound batches by batch_tokens "
    "(accumulate makes up for smaller batches)"
)


class StepRecord(NamedTuple):
    """What one step did."""

    step: int
    """Steps taken, this one included."""
    loss: float
    """Mean loss over the targets of its batches."""
    targets: float
    """Targets of its batches (a sum of weights, where targets are weighted)."""
    gradient_norm: float
    """Norm of the gradient before clipping."""
    learning_rate: float
    """Learning rate of the update."""
    examples: int
    """Sequences in its batches."""
    tokens: int
    """Valid tokens, or steps, of those sequences."""
    seconds: float
    """Time it took, the making of its batches included."""
    skipped: str = ""
    """Why its update was left out; empty where it was made. Loss, targets and norm are then 0."""


class NonFinite(WorkError):  # noqa: N818  what the loss was
    """A loss or a gradient is not finite; the weights are as they were before the step."""


def take_step(
    trainable: Trainable,
    settings: TrainingSettings,
    optimiser: torch.optim.Optimizer,
    step: int,
    batches: list[list[int]],
    rate: float,
    processes: Processes = ALONE,
) -> StepRecord:
    """Add up the gradients of some batches and update the weights once.

    The gradient is that of the mean loss over all targets of all the batches, so that accumulation changes memory and
    not the numbers. Before every batch the generators are seeded from (seed, step, batch): the noise of a step is the
    same whatever ran before it. Several processes add up the gradients of their shares of every batch, and then do
    all the same.

    Args:
        step: steps taken before this one.
        batches: indices of examples, one list for each batch to accumulate.
        rate: learning rate.
        processes: that take this step together.

    Raises:
        NonFinite: the loss or the gradient is not finite, and `on_nonfinite` is "stop".
        WorkError: memory is short, or another process is gone.
    """
    began = time.perf_counter()
    parameters: list[nn.Parameter] = [p for group in optimiser.param_groups for p in group["params"]]
    device = parameters[0].device
    optimiser.zero_grad(set_to_none=True)
    losses: list[Tensor | float] = []
    counts: list[Tensor | float] = []
    examples = tokens = 0
    for micro, indices in enumerate(batches):
        seed = seed_of(settings.seed, "step", step, micro)
        seed_generators(device, seed)
        with memory_faults_named(f"step {step + 1}", partial(_batch_in_words, trainable, indices), LESS_MEMORY):
            batch = trainable.batch(indices, seed)
            size = trainable.size(batch)
            autocast = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16")
            loss, count = _backward(trainable, batch, autocast, processes)
        losses.append(loss)
        counts.append(count)
        examples, tokens = examples + size[0], tokens + size[1]

    sums = losses + counts if processes.count == 1 else _summed(parameters, losses + counts, processes)
    gradients = gradients_of(parameters)
    norm_of_sum, *values = _floats([gradient_norm(gradients), *sums], device)
    losses_now, targets = values[: len(batches)], sum(values[len(batches) :])
    fault = _non_finite(trainable, step, batches, losses_now, norm_of_sum, rate)
    if fault:
        if processes.count > 1 and not all(map(math.isfinite, losses_now)):
            trainable.carry({})  # whoever had the row has dropped what it carries, and so do the others
        optimiser.zero_grad(set_to_none=True)
        if settings.on_nonfinite == "stop":
            raise NonFinite(fault)
        return StepRecord(step + 1, 0.0, 0.0, 0.0, rate, examples, tokens, time.perf_counter() - began, fault)
    divisor = targets if targets > 0 else 1.0  # no target at all: the gradient is zero, and stays so
    norm = norm_of_sum / divisor
    scale(gradients, clip_factor(norm, settings.clip_norm) / divisor)
    set_rate(optimiser, rate)
    optimiser.step()
    seconds = time.perf_counter() - began
    return StepRecord(step + 1, sum(losses_now) / divisor, targets, norm, rate, examples, tokens, seconds)


def _backward(
    trainable: Trainable, batch: Any, autocast: contextlib.AbstractContextManager[Any], processes: Processes
) -> tuple[Tensor | float, Tensor | float]:
    """Add the gradient of this process's rows of a batch; the sum of their losses, and their targets."""
    with contextlib.ExitStack() as stack:
        if processes.count > 1:
            rows = count_rows(batch)
            if rows <= processes.rank:  # fewer rows than processes: there is none for this one
                return 0.0, 0.0
            batch = share(batch, processes)
            stack.enter_context(rows_dealt(rows, processes.rank, processes.count))
        with autocast:
            loss, count = trainable.loss(batch)
        torch.autograd.backward(loss)
    return loss.detach(), count


def _summed(
    parameters: list[nn.Parameter], numbers: list[Tensor | float], processes: Processes
) -> list[Tensor | float]:
    """Numbers added up over all processes, and the gradients likewise; a parameter without one anywhere has none."""
    have: list[Tensor | float] = [float(parameter.grad is not None) for parameter in parameters]
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    sums = processes.add(gradients, numbers + have)
    for parameter, gradient, found in zip(parameters, gradients, sums[len(numbers) :], strict=True):
        parameter.grad = gradient if found else None
    return list(sums[: len(numbers)])


def _floats(values: list[Tensor | float], device: torch.device) -> list[float]:
    """Scalars as numbers, in one transfer from the device."""
    if device.type == "cpu":
        return [float(value) for value in values]
    dtype = torch.float32 if device.type == "mps" else torch.float64
    found: list[float] = torch.stack([torch.as_tensor(v, dtype=dtype, device=device) for v in values]).tolist()
    return found


def _non_finite(
    trainable: Trainable, step: int, batches: list[list[int]], losses: list[float], norm: float, rate: float
) -> str:
    """What is not finite, on which rows, and the likely cause; empty where all is."""
    for indices, loss in zip(batches, losses, strict=True):
        if not math.isfinite(loss):
            cause = (
                "the weights have not been trained yet, so look for inputs that are very large or not numbers"
                if step == 0
                else f"the likely cause is a learning rate that is too high ({rate:.3g} here); give a smaller lr"
            )
            return f"step {step + 1}: the loss is {loss} on {trainable.describe(indices)}; {cause}"
    if not math.isfinite(norm):
        rows = trainable.describe([index for indices in batches for index in indices])
        return (
            f"step {step + 1}: the norm of the gradient is {norm} on {rows}, though the loss is finite; "
            "the likely cause is a gradient that grows along a long sequence, or a learning rate that is too high "
            f"({rate:.3g} here); give a smaller max_length or lr"
        )
    return ""


def _batch_in_words(trainable: Trainable, indices: list[int]) -> str:
    return f"a batch of {len(indices)}: {trainable.describe(indices)}"
