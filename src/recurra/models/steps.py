"""A `Classifier` step by step, for a session."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from recurra.errors import InputError
from recurra.models.classifier import Classifier
from recurra.models.sequence_model import SequenceModelState
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.sequence import Sequence
from recurra.state import map_state


class ClassifierSteps:
    """A classifier in one direction, as in evaluation: what a session asks of a model.

    Weights are the module's, read at each call. The same numbers as the module's own `step` and `forward`, by the
    layers' quick steps.
    """

    def __init__(self, model: Classifier) -> None:
        model.body.encoder.check_streamable()
        self.model, self._encoder = model, RecurrentSteps(model.body.encoder)

    def check(self) -> None:
        """Refuse a model in training mode.

        Raises:
            InputError
        """
        if self.model.training:
            raise InputError("Classifier: it is in training mode; call eval() first, a session runs as in evaluation")

    def initial_state(self, batch_size: int) -> SequenceModelState:
        """The state before the first step."""
        return self.model.initial_state(batch_size)

    def step(self, values: Any, state: SequenceModelState) -> tuple[Tensor, SequenceModelState]:
        """The values of one step [B, …] → the logits so far [B, O], and the next state."""
        body = self.model.body
        if body.head.weight.device.type != "cpu":
            values = map_state(lambda leaf: leaf.to(body.head.weight.device), values)
        x = self.model.vectors(values)
        y, encoded = self._encoder.step(x, state.encoder)
        pooled, summary = body.pooling.step(body.pooled(y, x), state.pooling)
        return body.head(pooled), SequenceModelState(encoded, summary)

    def run(self, x: Sequence | None, state: SequenceModelState) -> tuple[Tensor, SequenceModelState]:
        """Many steps, or None → the logits so far [B, O], and the state after them."""
        body = self.model.body
        if x is None:
            return body.head(body.pooling.read(state.pooling)), state
        logits, state = self.model(x.to(body.head.weight.device), state)
        return logits, state
