"""Transformer layers that attend to a memory: what a Transformer decoder is between its embedding and its logits."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from recurra.cells import TransformerCell, TransformerState
from recurra.engines.attention import recall
from recurra.models.seq2seq.noise import DecoderNoise
from recurra.models.seq2seq.states import Decoded, DecoderState
from recurra.nn import Noise, RecurrentState
from recurra.nn.attention import AttentionMemory
from recurra.nn.noise import DirectionNoise, LayerNoise, dropout_mask
from recurra.sequence import Sequence, valid_mask
from recurra.state import check_state


class CrossingLayer(nn.Module):
    """A pre-norm Transformer layer with attention to a memory in its midst (Vaswani et al., 2017).

        c = u + self-attention(norm(u))                                   (as in `recurra.cells.TransformerCell`)
        d = c + W_o·[a_1 … a_h] + b_o,    a_h = Σ_s softmax_s(q_h · k_hs / √D) v_hs over valid steps s of the memory
        y = d + feed-forward(norm(d))

    with q = W_q·norm(c) + b_q, k = W_k·m, v = W_v·m. The places of the memory are in m itself.

    Args:
        input_size: features of x.
        hidden_size: features of y (H).
        memory_size: features of a step of the memory (m).
        window: steps of its own that a step attends to; 256 if None.
        norm_output: y goes through a layer norm, for the last layer.
    """

    def __init__(
        self, input_size: int, hidden_size: int, memory_size: int, *, window: int | None, norm_output: bool
    ) -> None:
        super().__init__()
        self.cell = TransformerCell(input_size, hidden_size, window=window, norm_output=norm_output)
        self.norm = nn.LayerNorm(hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size)
        self.keys_values = nn.Linear(memory_size, 2 * hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, hidden_size)
        for module in (self.query, self.keys_values, self.out):
            for block in torch.split(module.weight, hidden_size):
                nn.init.xavier_uniform_(block)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def memory(self, values: Tensor, readable: Tensor) -> AttentionMemory:
        """Keys and values of a memory [B, S, memory_size] that is zero where it is not readable [B, S]."""
        keys, projected = self.keys_values(values).chunk(2, -1)
        return AttentionMemory(projected, keys, readable)

    def cross(self, c: Tensor, memory: AttentionMemory) -> tuple[Tensor, Tensor]:
        """c [B, T, H] → y [B, T, H] and weights [B, T, S], the mean over heads."""
        cell = self.cell
        queries, keys = cell.heads_of(self.query(self.norm(c))), cell.heads_of(memory.keys)
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
        unread = ~memory.readable[:, None, None]
        weights = scores.masked_fill(unread, torch.finfo(scores.dtype).min / 2).softmax(-1).masked_fill(unread, 0.0)
        d = c + self.out(cell.join(weights @ cell.heads_of(memory.values)))
        return cell.finish(d), weights.mean(1)

    def step(
        self, x: Tensor, state: TransformerState, memory: AttentionMemory
    ) -> tuple[Tensor, Tensor, TransformerState]:
        """One step: x [B, input_size] → y [B, H], weights [B, S] and the next state; k rows may share one of memory."""
        u, attended, state = self.cell.recall(x, state)
        c = self.cell.added(u, attended)
        rows = memory.keys.shape[0]
        y, weights = self.cross(c.view(rows, c.shape[0] // rows if rows else 1, c.shape[1]), memory)
        return y.flatten(0, 1), weights.flatten(0, 1), state

    def run(
        self, x: Tensor, state: TransformerState, memory: AttentionMemory, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, TransformerState]:
        """All steps at once: x [B, T, input_size] with B, T ≥ 1, zero beyond the lengths."""
        u, attended, state = recall(self.cell, x, state, lengths)
        y, weights = self.cross(self.cell.added(u, attended), memory)
        return y, weights, state


class CrossingLayers(nn.Module):
    """A stack of `CrossingLayer`: causal among their own steps, and all of them attend to the memory.

    Args:
        input_size: features of x.
        hidden_size: features of the outputs.
        num_layers: layers.
        memory_size: features of a step of the memory.
        window: steps of its own that a step attends to; 256 if None.
        dropout: rate between layers, one mask a sequence.
    """

    stepwise = False
    combined_size = 0  # what attention gives is added inside the layers

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        memory_size: int,
        *,
        window: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.feature_size, self.dropout = hidden_size, dropout
        self.stack = nn.ModuleList(
            CrossingLayer(
                hidden_size if number else input_size,
                hidden_size,
                memory_size,
                window=window,
                norm_output=number + 1 == num_layers,
            )
            for number in range(num_layers)
        )

    def initial_state(self, memory: Sequence, start: RecurrentState | None) -> DecoderState:
        """The state before the first step; `start` carries memories of earlier steps."""
        readable = memory.mask()
        values = memory.values.masked_fill(~readable[..., None], 0.0)
        layers = self._first(memory.batch_size)
        if start is not None:
            check_state(start, layers, "Decoder, start")
            layers = start
        attended = tuple(one.memory(values, readable) for one in self._each())
        return DecoderState(attended, layers, memory.values.new_zeros(memory.batch_size, 0))

    def readable(self, state: DecoderState) -> Tensor:
        """[B, S] bool: the steps of the memory that are attended to."""
        found: Tensor = state.memory[0].readable
        return found

    def noise(self, batch_size: int, generator: torch.Generator | None = None, *, steps: int = 1) -> Noise:
        """The masks between layers, one a sequence."""
        like = next(self.parameters())
        rest = (DirectionNoise(),)

        def mask(number: int) -> Tensor | None:
            if not (number and self.dropout):
                return None
            return dropout_mask((batch_size, 1, self.feature_size), self.dropout, like, generator)

        return Noise(tuple(LayerNoise(mask(number), rest) for number in range(len(self.stack))))

    def noisy(self) -> bool:
        """Whether a dropout acts in training."""
        return self.dropout > 0 and len(self.stack) > 1

    def silence(self) -> Noise:
        """The noise of evaluation: no masks."""
        return Noise((LayerNoise(None, (DirectionNoise(),)),) * len(self.stack))

    def step(
        self, x: Tensor, state: DecoderState, noise: DecoderNoise, advance: Any = None
    ) -> tuple[Decoded, DecoderState]:
        """One step: x [B, input_size]."""
        layers = []
        weights = x.new_zeros(0)
        for one, begin, memory, masks in zip(
            self._each(), state.layers.layers, state.memory, noise.layers.layers, strict=True
        ):
            given = x if masks.input is None else x * masks.input[:, 0]
            x, weights, end = one.step(given, begin, memory)
            layers.append(end)
        return Decoded(x, weights), state._replace(layers=RecurrentState(tuple(layers)))

    def run(
        self, x: Tensor, state: DecoderState, noise: DecoderNoise, lengths: Tensor | None = None
    ) -> tuple[Decoded, DecoderState]:
        """All steps at once: x [B, T, input_size]."""
        rows, steps = x.shape[:2]
        if lengths is not None:
            x = x.masked_fill(~valid_mask(lengths, steps, x.device)[..., None], 0.0)
        layers = []
        weights = x.new_zeros(rows, steps, 0)
        if rows == 0 or steps == 0:
            reach = state.memory[0].keys.shape[1]
            return Decoded(x.new_zeros(rows, steps, self.feature_size), x.new_zeros(rows, steps, reach)), state
        for one, begin, memory, masks in zip(
            self._each(), state.layers.layers, state.memory, noise.layers.layers, strict=True
        ):
            given = x if masks.input is None else x * masks.input
            x, weights, end = one.run(given, begin, memory, lengths)
            layers.append(end)
        return Decoded(x, weights), state._replace(layers=RecurrentState(tuple(layers)))

    def quick(self) -> None:
        """Steps have no quicker way."""

    def _first(self, rows: int) -> RecurrentState:
        return RecurrentState(tuple(one.cell.initial_state(rows) for one in self._each()))

    def _each(self) -> list[CrossingLayer]:
        return [cast(CrossingLayer, one) for one in self.stack]
