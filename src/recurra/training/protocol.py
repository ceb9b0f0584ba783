"""What the training loop asks of a task, and how it says that it was told to stop."""

from __future__ import annotations

import shlex
import signal as signals
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from recurra.errors import RecurraError


class Trainable(Protocol):
    """Anything that can be trained: what a task hands to the loop."""

    model: nn.Module
    """The model, on its device."""
    metric: str
    """The validation metric that chooses the best weights."""
    higher_is_better: bool
    """Whether more of that metric is better."""

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, as indices of examples: a pure function of (seed, epoch)."""
        ...

    def begin_step(self, step: int, total_steps: int) -> None:
        """Be told before each step how many were taken, and over how many the learning rate's schedule goes."""
        ...

    def batch(self, indices: list[int], step_seed: int) -> Any:
        """A batch of the epoch planned last, on the model's device.

        It is augmented by a pure function of that epoch, the indices and `step_seed`.

        Of several processes each makes the whole batch, and takes its rows (`recurra.training.processes.share`).
        """
        ...

    def size(self, batch: Any) -> tuple[int, int]:
        """Examples, and valid tokens, of a batch."""
        ...

    def loss(self, batch: Any) -> tuple[Tensor, Tensor | float]:
        """The sum of the losses over the targets of a batch, and how many targets; the forward pass included."""
        ...

    def carried(self) -> dict[str, Tensor]:
        """What goes over from batch to batch beside the weights, by name; empty where batches know no order.

        The first dimension is the row of a batch: of several processes each carries its own rows.
        """
        ...

    def carry(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `carried` gave, on resume.

        Raises:
            ValueError: it is not of this training.
        """
        ...

    def evaluate(self) -> dict[str, float]:
        """Metrics over the validation data, `loss` among them; called in evaluation mode, without gradients."""
        ...

    def describe(self, indices: list[int]) -> str:
        """The rows of a batch and its longest sequence in words, for an error.

        As in "lines 3, 17, 40 of train.csv (the longest has 312 steps)".
        """
        ...


class Interrupted(RecurraError):  # noqa: N818  what happened, not a fault
    """Training was told to stop, and did.

    Args:
        signal: the number of the signal that asked for it.
        what: what is saved, and how to go on, after "training was stopped by SIGTERM".
    """

    def __init__(self, signal: int, what: str) -> None:
        super().__init__(f"training was stopped by {signals.Signals(signal).name} {what}")
        self.signal = signal


def how_to_go_on(folder: Path) -> str:
    """The command that goes on with a run folder, for a sentence's end."""
    return f"go on with: recurra train --resume {shlex.quote(str(folder))}"
