"""A frontend before a SequenceModel: batches as the data room makes them → logits."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.models.sequence_model import SequenceModel, SequenceModelState
from recurra.nn.door import entered_zeros
from recurra.sequence import Sequence


class Classifier(nn.Module):
    """Texts or series → logits.

    Args:
        frontend: values of a batch → vectors [B, T, D], zeros on padding.
        body: the SequenceModel over them.
    """

    def __init__(self, frontend: nn.Module, body: SequenceModel) -> None:
        super().__init__()
        self.frontend, self.body = frontend, body

    def forward(self, x: Sequence, state: SequenceModelState | None = None) -> tuple[Tensor, SequenceModelState]:
        """Logits [B, output_size], and the state to go on from."""
        return self.body.run(entered_zeros(self.frontend(x.values), x.lengths), state)
