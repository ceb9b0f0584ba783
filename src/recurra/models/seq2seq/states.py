"""What a decoder carries from step to step, and what it gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from recurra.state import State


class DecoderState(NamedTuple):
    """All that decides what a decoder says next.

    memory: what is attended to, the same at every step. It has as many rows as the rest, or k times fewer, where k
    rows of the rest side by side share one of its rows, as the hypotheses of a search do. layers: the layers' own
    state. fed [B, F]: what is read beside the next token, from the step before; F is 0 where nothing is.
    """

    memory: State
    layers: State
    fed: Tensor


class ContextMemory(NamedTuple):
    """context [B, H]: what of a source is read at every step"""

    context: Tensor


class NoMemory(NamedTuple):
    """Nothing: of the source the first state alone is known."""


class Decoded(NamedTuple):
    """features: what is scored, [B, H] of a step or [B, T, H] of many; attention [B, S] or [B, T, S]"""

    features: Tensor
    attention: Tensor


class DecoderOutput(NamedTuple):
    """logits [B, V] of the next token and attention [B, S] to the steps of the source; [B, T, …] of many steps. S is 0
    without attention."""

    logits: Tensor
    attention: Tensor
