"""`--batch-size auto`: the batch size found by trial, on the model, data and machine that will train."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from recurra.errors import WorkError
from recurra.settings.groups import TrainingSettings
from recurra.training.devices import forked_generators, threads
from recurra.training.optimisation import make_optimiser
from recurra.training.protocol import Trainable
from recurra.training.step import take_step

SMALLEST, LARGEST = 8, 1024
FEWEST_STEPS = 16  # an epoch: one of a few huge batches is quick and learns little
GAIN = 1.15  # by which twice the batch must be quicker, an example; less is no gain to speak of
TIMED_STEPS = 2  # the quickest counts


def find_batch_size(trainable: Trainable, lengths: Sequence[int], settings: TrainingSettings) -> int:
    """Double the batch until a step takes no fewer seconds an example, or memory is short.

    The weights are as before afterwards, and so are the caller's random generators. The answer depends on the
    machine and on what else it does: whoever asks keeps it.

    Args:
        trainable: what will be trained.
        lengths: steps of each training example.
        settings: how; `batch_size` is not read.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    device = next(trainable.model.parameters()).device
    optimiser = make_optimiser(trainable.model, replace(settings, batch_size=SMALLEST))
    was_training = trainable.model.training

    def seconds(size: int) -> float | None:
        middle = max(0, (len(order) - size) // 2)
        typical, longest = order[middle : middle + size], order[:size]
        try:
            # a rate of 0 leaves the weights as they are; the longest rows are the warm-up, and memory shows there
            take_step(trainable, settings, optimiser, 0, [longest], 0.0)
            times = []
            for _ in range(TIMED_STEPS):
                began = time.perf_counter()
                take_step(trainable, settings, optimiser, 0, [typical], 0.0)
                times.append(time.perf_counter() - began)
        except WorkError:  # too little memory, or a loss that is not finite: training will say so
            return None
        return min(times)

    trainable.model.train()
    try:
        with threads(settings.threads), forked_generators(device):
            return chosen(len(lengths), seconds)
    finally:
        optimiser.zero_grad(set_to_none=True)
        trainable.model.train(was_training)
        if device.type == "cuda":
            torch.cuda.empty_cache()


def chosen(rows: int, seconds: Callable[[int], float | None]) -> int:
    """The batch size by the seconds of a step.

    Args:
        rows: examples of the training data; an epoch keeps FEWEST_STEPS steps where there are rows enough.
        seconds: of a step with that many examples; None where it cannot be taken.
    """
    most = min(LARGEST, max(SMALLEST, rows // FEWEST_STEPS))
    best, quickest = min(SMALLEST, rows), seconds(min(SMALLEST, rows))
    size = 2 * SMALLEST
    while quickest is not None and size <= most:
        taken = seconds(size)
        if taken is None or taken / size * GAIN > quickest / best:
            break
        best, quickest = size, taken
        size *= 2
    return best
