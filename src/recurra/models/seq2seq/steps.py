"""A decoder one token at a time, for a search or a session."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.cells import TransformerState
from recurra.errors import InputError
from recurra.models.seq2seq.attentive import Advance
from recurra.models.seq2seq.decoder import Decoder
from recurra.models.seq2seq.states import DecoderOutput, DecoderState
from recurra.nn import RecurrentState
from recurra.state import State


class DecoderSteps:
    """A decoder one token at a time, the quick way: as in evaluation, without gradients.

    Args:
        decoder: in evaluation mode, or without dropouts.

    Raises:
        InputError: it is in training and its dropouts would act.
    """

    def __init__(self, decoder: Decoder) -> None:
        if decoder.noisy():
            raise InputError(
                "Decoder: it is in training mode and its dropouts would act; call eval() first, steps run as in "
                "evaluation (decoder.step takes noise)"
            )
        self.decoder = decoder
        self._advance: Advance | None = decoder.body.quick()
        self._silence = decoder.silence()

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[DecoderOutput, DecoderState]:
        """`decoder.step`; arguments are not checked."""
        with torch.inference_mode():
            decoded, state = self.decoder.body.step(self.decoder.embed(tokens), state, self._silence, self._advance)
            return DecoderOutput(self.decoder.score(decoded.features), decoded.attention), state


def with_reach(state: DecoderState, steps: int) -> DecoderState:
    """The same state where Transformer layers hold no more of their own past than `steps` more steps can read.

    What is said does not change; moving the rows of a search then costs as much as there is to move.
    """
    return state._replace(layers=RecurrentState(tuple(_reaching(layer, steps) for layer in state.layers.layers)))


def _reaching(layer: State, steps: int) -> State:
    if not isinstance(layer, TransformerState) or not layer.steps.numel():
        return layer
    held = min(layer.keys.shape[1], int(layer.steps.max()) + steps)
    return layer._replace(keys=layer.keys[:, -held:], values=layer.values[:, -held:])
