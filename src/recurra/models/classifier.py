"""A frontend before a SequenceModel: batches as the data room makes them → logits."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from recurra.models.sequence_model import SequenceModel, SequenceModelState
from recurra.nn.door import entered_zeros
from recurra.sequence import Sequence
from recurra.state import map_state


class Classifier(nn.Module):
    """Texts or series → logits.

    Args:
        frontend: values of a batch → vectors [B, T, D], zeros on padding.
        body: the SequenceModel over them.
    """

    def __init__(self, frontend: nn.Module, body: SequenceModel) -> None:
        super().__init__()
        self.frontend, self.body = frontend, body

    def initial_state(self, batch_size: int) -> SequenceModelState:
        """The state before the first step."""
        return self.body.initial_state(batch_size)

    def step(self, values: Any, state: SequenceModelState | None = None) -> tuple[Tensor, SequenceModelState]:
        """One time step: the values of one step of a batch, [B, …] → the logits so far [B, output_size], and the state.

        Raises:
            NotStreamable: the model is bidirectional.
            ShapeError: the state does not fit.
        """
        return self.body.step(self.vectors(values), state)

    def vectors(self, values: Any) -> Tensor:
        """The values of one step, [B, …] each → the vectors that the layers read, [B, D]."""
        vectors: Tensor = self.frontend(map_state(lambda leaf: leaf[:, None], values))
        return vectors[:, 0]

    def forward(self, x: Sequence, state: SequenceModelState | None = None) -> tuple[Tensor, SequenceModelState]:
        """Logits [B, output_size], and the state to go on from."""
        return self.body.run(entered_zeros(self.frontend(x.values), x.lengths), state)
