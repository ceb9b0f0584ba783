"""A frontend before a SequenceModel: batches as the data room makes them → logits."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.models.sequence_model import SequenceModel, SequenceModelState
from recurra.sequence import Sequence


class Classifier(nn.Module):
    """Texts or series → logits.

    Args:
        frontend: values of a batch → vectors [B, T, D].
        body: the SequenceModel over them.
    """

    def __init__(self, frontend: nn.Module, body: SequenceModel) -> None:
        super().__init__()
        self.frontend, self.body = frontend, body

    def forward(self, x: Sequence, state: SequenceModelState | None = None) -> tuple[Tensor, SequenceModelState]:
        """Logits [B, output_size], and the state to go on from."""
        logits, state = self.body(self.frontend(x.values), state, x.lengths)
        return logits, state
