"""A Transformer layer, as a recurrence over its key–value memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import Cell, check_sizes
from recurra.errors import NotStreamable, ShapeError

WINDOW = 256  # steps attended to where nothing is said
HEAD_SIZE = 32  # features of a head at least, where the number of heads is not said
ROTATION_BASE = 10_000.0  # Su et al., 2021
UNREAD = "it has no hidden state that gates read"


class TransformerState(NamedTuple):
    """keys [B, M, H] and values [B, M, H] of the last M steps, the latest at the end; steps [B] int64: how many were
    seen, M at most."""

    keys: Tensor
    values: Tensor
    steps: Tensor


class WholeState(NamedTuple):
    """Nothing is carried where every step reads every other."""


class TransformerCell(Cell):
    """A pre-norm Transformer layer (Vaswani et al., 2017; Xiong et al., 2020) with rotary positions (Su et al., 2021).

        u       = W·x + b                                 (u = x where input_size is hidden_size)
        q, k, v = W_q·n, W_k·n, W_v·n + biases,           n = norm(u)
        a_h     = Σ_s softmax_s(R(t)·q_h · R(s)·k_h / √D) v_h        over the last M steps s ≤ t, for each head h
        c       = u + W_o·[a_1 … a_h] + b_o
        y       = c + W_2·gelu(W_1·norm(c) + b_1) + b_2

    R(t) turns pairs of features by angles proportional to t, so that a score depends on t − s alone and no step needs
    to know its place. The state is the memory: keys (before R) and values of the last M steps, in the order of time.

    Args:
        input_size: features of x.
        hidden_size: features of y (H), of all heads together; the feed-forward part has 4·H.
        heads: of H / heads features each (D); None: as many as divide H and have 32 features or more, at least one.
        window: steps attended to, the present one among them (M); 256 if None.
        bidirectional: every step attends to every valid step of the sequence, before and after; there is no window and
            no step.
        norm_output: y goes through a layer norm, for the last of several such layers.

    Shapes:
        x [B, input_size], keys and values [B, M, hidden_size], steps [B], y [B, hidden_size].

    Raises:
        ShapeError: sizes below 1, heads that do not divide hidden_size, or a window with bidirectional.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "recurrent_dropout": UNREAD,
        "weight_dropout": UNREAD,
        "zoneout": "its memory is what each step was",
        "learned_state": "it begins with an empty memory",
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int | None = None,
        window: int | None = None,
        bidirectional: bool = False,
        norm_output: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_sizes(self, input_size, hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.heads = _heads(hidden_size) if heads is None else heads
        if self.heads < 1 or hidden_size % self.heads:
            raise ShapeError(f"TransformerCell: {self.heads} heads do not divide hidden_size, which is {hidden_size}")
        if bidirectional and window is not None:
            raise ShapeError("TransformerCell: a bidirectional layer attends to all steps; leave window out")
        self.window = WINDOW if window is None else window
        if self.window < 1:
            raise ShapeError(f"TransformerCell: window is {window}, expected 1 or more steps")
        self.bidirectional = bidirectional
        make = {"device": device, "dtype": dtype}
        self.input = nn.Linear(input_size, hidden_size, **make) if input_size != hidden_size else None
        self.attention_norm = nn.LayerNorm(hidden_size, **make)
        self.attention_in = nn.Linear(hidden_size, 3 * hidden_size, **make)
        self.attention_out = nn.Linear(hidden_size, hidden_size, **make)
        self.feedforward_norm = nn.LayerNorm(hidden_size, **make)
        self.feedforward_in = nn.Linear(hidden_size, 4 * hidden_size, **make)
        self.feedforward_out = nn.Linear(4 * hidden_size, hidden_size, **make)
        self.output_norm = nn.LayerNorm(hidden_size, **make) if norm_output else None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                for block in torch.split(module.weight, hidden_size):  # queries, keys and values each by their own size
                    nn.init.xavier_uniform_(block)  # Glorot and Bengio, 2010
                nn.init.zeros_(module.bias)

    def initial_state(self, batch_size: int) -> TransformerState | WholeState:
        """An empty memory; nothing where the layer reads the whole sequence."""
        if self.bidirectional:
            return WholeState()
        weight = self.attention_out.weight
        # one zero seen everywhere: a batch that begins here never reads it
        empty = weight.new_zeros(1, 1, 1).expand(batch_size, self.window, self.hidden_size)
        return TransformerState(empty, empty, torch.zeros(batch_size, dtype=torch.int64, device=weight.device))

    def step(self, x: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        """x [B, input_size] → y [B, hidden_size], and the memory with one step more.

        Raises:
            NotStreamable: the layer reads the whole sequence.
        """
        if self.bidirectional:
            raise NotStreamable(
                "TransformerCell.step: a bidirectional layer attends to later steps too and cannot go step by step; "
                "train with bidirectional=False to stream"
            )
        u, attended, state = self.recall(x, state)
        return self.write(u, attended), state

    def recall(self, x: Tensor, state: TransformerState) -> tuple[Tensor, Tensor, TransformerState]:
        """The first half of a step: what the layer adds to, the attended values, both [B, H], and the next memory."""
        u, query, key, value = self.read(x)
        held = state.keys.shape[1]  # M, or fewer where whoever steps knows that no more come
        state = TransformerState(
            torch.cat([state.keys[:, 1:], key[:, None]], 1),
            torch.cat([state.values[:, 1:], value[:, None]], 1),
            (state.steps + 1).clamp(max=held),
        )
        seen = torch.arange(held, device=x.device) >= held - state.steps[:, None]  # [B, M]
        queries, keys, values = self.turned(query[:, None], held - 1), self.turned(state.keys), state.values
        attended = _attend(queries, keys, self.heads_of(values), seen[:, None, None])
        return u, self.join(attended)[:, 0], state

    def whole(self, x: Tensor, readable: Tensor | None = None) -> Tensor:
        """What a bidirectional layer computes: x [B, T, input_size] → y [B, T, hidden_size].

        Args:
            readable: [B, 1, 1, T] bool, the steps that may be attended to, at least one a row; None: all.
        """
        u, query, key, value = self.read(x)
        return self.write(u, self.join(_attend(self.turned(query), self.turned(key), self.heads_of(value), readable)))

    def read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x [..., input_size] → what the layer adds to, the query, the key and the value, each [..., H]."""
        u = x if self.input is None else self.input(x)
        query, key, value = self.attention_in(self.attention_norm(u)).chunk(3, -1)
        return u, query, key, value

    def write(self, u: Tensor, attended: Tensor) -> Tensor:
        """What `read` gave first, and the attended values, both [..., H] → y [..., H]."""
        return self.finish(self.added(u, attended))

    def added(self, u: Tensor, attended: Tensor) -> Tensor:
        """c: what was attended to, added to u."""
        return u + cast(Tensor, self.attention_out(attended))

    def finish(self, c: Tensor) -> Tensor:
        """c → y: the feed-forward part."""
        y: Tensor = c + self.feedforward_out(F.gelu(self.feedforward_in(self.feedforward_norm(c))))
        return y if self.output_norm is None else cast(Tensor, self.output_norm(y))

    def turned(self, values: Tensor, start: int = 0) -> Tensor:
        """Queries or keys [B, T, H] → heads [B, heads, T, D], each step turned by its place, `start` the first one."""
        return rotate(self.heads_of(values), start)

    def heads_of(self, values: Tensor) -> Tensor:
        """[B, T, H] → [B, heads, T, D]."""
        rows, steps, size = values.shape
        return values.view(rows, steps, self.heads, size // self.heads).transpose(1, 2)

    def join(self, heads: Tensor) -> Tensor:
        """[B, heads, T, D] → [B, T, H]."""
        return heads.transpose(1, 2).flatten(-2)

    def extra_repr(self) -> str:
        reach = "bidirectional=True" if self.bidirectional else f"window={self.window}"
        return f"{self.input_size}, {self.hidden_size}, heads={self.heads}, {reach}"


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """[..., T, D] with features i and i + D/2 of step t turned by (start + t) · base^(−2i/D); an odd last one stays."""
    pairs = x.shape[-1] // 2
    cos, sin = _angles(start, x.shape[-2], pairs, x.device, x.dtype)
    one, other, rest = torch.split(x, [pairs, pairs, x.shape[-1] - 2 * pairs], -1)
    return torch.cat([one * cos - other * sin, one * sin + other * cos, rest], -1)


@lru_cache(maxsize=64)
def _angles(start: int, steps: int, pairs: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, D/2]; the angles in double precision, as a step's number times a frequency loses digits."""
    with torch.inference_mode(False), torch.no_grad():  # they are read by later calls with gradients too
        place = torch.arange(start, start + steps, dtype=torch.float64)
        frequency = ROTATION_BASE ** -(torch.arange(pairs, dtype=torch.float64) / max(pairs, 1))
        angle = place[:, None] * frequency
        return angle.cos().to(dtype).to(device), angle.sin().to(dtype).to(device)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, readable: Tensor | None) -> Tensor:
    """[B, heads, T, D] attended values; readable [B, 1, T or 1, S] bool, at least one True a query."""
    scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
    if readable is not None:
        scores = scores.masked_fill(~readable, -torch.inf)
    return scores.softmax(-1) @ values


def _heads(hidden_size: int) -> int:
    fitting = (n for n in range(hidden_size // HEAD_SIZE, 1, -1) if hidden_size % n == 0)
    return next(fitting, 1)
