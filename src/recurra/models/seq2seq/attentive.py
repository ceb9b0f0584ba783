"""Recurrent layers that attend to a memory: what a recurrent decoder is between its embedding and its logits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import SettingsError
from recurra.models.seq2seq.noise import DecoderNoise
from recurra.models.seq2seq.states import ContextMemory, Decoded, DecoderState, NoMemory
from recurra.nn import Attention, Noise, Recurrent, RecurrentState
from recurra.nn.door import enter
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.sequence import Sequence
from recurra.settings.names import AttentionName
from recurra.state import State, check_state

Advance = Callable[[Tensor, Any], tuple[Tensor, Any]]


class AttentiveLayers(nn.Module):
    """Recurrent layers with attention to a memory, in one of the orders of the papers.

    "dot", "general", "concat" (Luong et al., 2015), where the query is the output of this step:

        h_t = layers(x_t),    c_t = attention(h_t),    ã_t = tanh(W [c_t; h_t] + b)

    and with input feeding h_t = layers([x_t; ã_{t−1}]). "additive" (Bahdanau et al., 2015), where it is that of the
    step before, and of the first state where there is none:

        c_t = attention(h_{t−1}),    h_t = layers([x_t; c_t]),    ã_t = tanh(W [c_t; h_t] + b)

    No attention: ã_t = h_t = layers(x_t) (Sutskever et al., 2014); with the context repeated (Cho et al., 2014), which
    is the last layer's hidden state before the first step, h_t = layers([x_t; h_0]), ã_t = tanh(W [h_0; h_t] + b).

    Args:
        make: the layers, from their input size.
        input_size: features of x.
        size: features of ã.
        memory_size: features of a step of the memory.
        attention: the order and the score, or None.
        attention_size, scaled: as in `recurra.nn.Attention`.
        input_feeding, repeat_context: as above.

    Raises:
        SettingsError: an option that would have no effect, or a context of layers that have no hidden state.
    """

    def __init__(
        self,
        make: Callable[[int], Recurrent],
        input_size: int,
        size: int,
        memory_size: int,
        *,
        attention: AttentionName | None,
        attention_size: int | None = None,
        scaled: bool = False,
        input_feeding: bool = False,
        repeat_context: bool = False,
    ) -> None:
        super().__init__()
        _check(attention, attention_size, scaled, input_feeding, repeat_context)
        self.early = attention == "additive"
        self.input_feeding, self.repeat_context = input_feeding, repeat_context
        beside = memory_size if self.early else size if input_feeding or repeat_context else 0
        self.layers = make(input_size + beside)
        self.feature_size = size
        width = self.layers.output_size
        self.attention: Attention | None = None
        self.combine: nn.Linear | None = None
        if attention is not None:
            self.attention = Attention(attention, width, memory_size, attention_size, scaled=scaled)
            self.combine = nn.Linear(memory_size + width, size)
        elif repeat_context:
            context = _top_hidden(self.layers.initial_state(1))
            if context is None or context.shape[1] != size:
                raise SettingsError("repeat_context: the last layer has no hidden state to read; leave it out")
            self.combine = nn.Linear(size + width, size)
        else:
            self.feature_size = width
        self.combined_size = 0 if self.combine is None else width  # of an output that is read beside a context

    @property
    def stepwise(self) -> bool:
        """Whether a step reads what only the step before it can give, so that steps cannot be run together."""
        return self.early or self.input_feeding

    def initial_state(self, memory: Sequence, start: RecurrentState | None) -> DecoderState:
        """The state before the first step."""
        rows = memory.batch_size
        layers = self.layers.initial_state(rows)
        if start is not None:
            check_state(start, layers, "Decoder, start")
            layers = start
        attended: State = NoMemory()
        hidden = _top_hidden(layers)
        like = memory.values
        if self.attention is not None:
            attended = self.attention.memory(memory.values, memory.lengths)
        elif self.repeat_context:
            assert hidden is not None
            attended = ContextMemory(hidden)
        fed = like.new_zeros(rows, self.feature_size if self.input_feeding else 0)
        if self.early:
            width = self.layers.output_size
            fed = hidden if hidden is not None and hidden.shape[1] == width else like.new_zeros(rows, width)
        return DecoderState(attended, layers, fed)

    def readable(self, state: DecoderState) -> Tensor | None:
        """[B, S] bool: the steps of the memory that are attended to; None without attention."""
        return None if self.attention is None else state.memory.readable

    def noise(self, batch_size: int, generator: torch.Generator | None = None, *, steps: int = 1) -> Noise:
        """The layers' own masks."""
        return self.layers.noise(batch_size, generator, steps=steps)

    def noisy(self) -> bool:
        """Whether a dropout of the layers acts in training."""
        return self.layers.noisy()

    def silence(self) -> Noise:
        """The noise of evaluation: no masks."""
        return self.layers.silence()

    def step(
        self, x: Tensor, state: DecoderState, noise: DecoderNoise, advance: Advance | None = None
    ) -> tuple[Decoded, DecoderState]:
        """One step.

        Args:
            x: [B, input_size].
            state: before it.
            noise: masks of one step.
            advance: one step of the layers; None: their own.
        """
        if advance is None:
            advance = partial(self.layers.step, noise=noise.layers)
        if self.early:
            context, weights = self._attend(state.fed, state)
            output, layers = advance(torch.cat([x, context], -1), state.layers)
            features = self._combined(context, _masked(output, noise.output))
            return Decoded(features, weights), DecoderState(state.memory, layers, output)
        if self.input_feeding:
            x = torch.cat([x, state.fed], -1)
        elif self.repeat_context:
            x = torch.cat([x, self._context(state, x.shape[0])], -1)
        output, layers = advance(x, state.layers)
        context, weights = self._attend(output, state)
        features = self._combined(context, _masked(output, noise.output))
        fed = features if self.input_feeding else state.fed
        return Decoded(features, weights), DecoderState(state.memory, layers, fed)

    def run(
        self, x: Tensor, state: DecoderState, noise: DecoderNoise, lengths: Tensor | None = None
    ) -> tuple[Decoded, DecoderState]:
        """All steps at once, where they do not wait for each other: x [B, T, input_size]."""
        if self.repeat_context:
            x = torch.cat([x, self._context(state, x.shape[0])[:, None].expand(-1, x.shape[1], -1)], -1)
        entered = enter(x, self.layers.input_size, "Decoder", lengths)
        outputs, layers = self.layers.run(entered, state.layers, noise.layers)
        context, weights = self._attend(outputs, state)
        features = self._combined(context, outputs if noise.output is None else outputs * noise.output)
        return Decoded(features, weights), DecoderState(state.memory, layers, state.fed)

    def quick(self) -> Advance:
        """One step of the layers as in evaluation, by torch's own functions where it has them."""
        return RecurrentSteps(self.layers).step

    def _attend(self, query: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        """Context and weights; without attention the context that is repeated, if any, and weights of no step."""
        if self.attention is not None:
            context, weights = self.attention(query, state.memory)
            return context, weights
        nothing = query.new_zeros(*query.shape[:-1], 0)
        if not self.repeat_context:
            return nothing, nothing
        context = self._context(state, query.shape[0])
        return (context if query.dim() == 2 else context[:, None].expand(-1, query.shape[1], -1)), nothing

    def _context(self, state: DecoderState, rows: int) -> Tensor:
        """[B, H], a row for each of the layers' rows."""
        context: Tensor = state.memory.context
        return context if context.shape[0] == rows else context.repeat_interleave(rows // context.shape[0], 0)

    def _combined(self, context: Tensor, output: Tensor) -> Tensor:
        return output if self.combine is None else torch.tanh(self.combine(torch.cat([context, output], -1)))


def _masked(output: Tensor, mask: Tensor | None) -> Tensor:
    return output if mask is None else output * mask[:, 0]


def _top_hidden(layers: RecurrentState) -> Tensor | None:
    """The hidden state [B, H] of the last layer, if it has one."""
    hidden = getattr(layers.layers[-1], "hidden", None)
    return hidden if isinstance(hidden, Tensor) and hidden.dim() == 2 else None


def _check(
    attention: AttentionName | None,
    attention_size: int | None,
    scaled: bool,
    input_feeding: bool,
    repeat_context: bool,
) -> None:
    if attention is None:
        for name, given in (("attention_size", attention_size is not None), ("scaled", scaled)):
            if given:
                raise SettingsError(f"{name}: it is an option of attention, and there is none; leave it out")
        if input_feeding:
            raise SettingsError("input_feeding: it feeds what attention made, and there is none; leave it out")
    elif repeat_context:
        raise SettingsError(
            f"repeat_context: with attention {attention!r} every step has a context of its own; leave it out, or give "
            "attention 'none'"
        )
    if attention == "additive" and input_feeding:
        raise SettingsError(
            "input_feeding: with 'additive' the layers read the context of each step already; leave it out, or give "
            "'concat', the same score in the order that feeds"
        )
