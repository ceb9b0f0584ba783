"""Attention: what of a memory is read, decided by a query."""

from __future__ import annotations

import math
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from recurra.errors import SettingsError, ShapeError
from recurra.sequence import check_lengths, valid_mask
from recurra.settings.names import AttentionName, check_name


class AttentionMemory(NamedTuple):
    """What is attended to, projected once: a state, batch first.

    values [B, S, V] and keys [B, S, A], zero beyond the lengths; readable [B, S] bool: the valid steps.
    """

    values: Tensor
    keys: Tensor
    readable: Tensor


class Attention(nn.Module):
    """A weighted mean of a memory, whose weights a query decides.

        e_s = score(q, k_s),    a = softmax over valid s of e,    c = Σ_s a_s v_s

    where the score of a query q and a step k of the memory is

    - "additive":  v · tanh(W_q q + b + W_k k)    (Bahdanau et al., 2015)
    - "dot":       q · k                          (Luong et al., 2015)
    - "general":   q · W k                        (the same)
    - "concat":    v · tanh(W [q; k])             (the same)

    The keys, W_k k or W k, are computed once for a memory. A row whose memory is empty reads zeros, with weights 0.

    Args:
        kind: the score.
        query_size: features of a query.
        key_size: features of a step of the memory; "dot" needs as many as a query has.
        attention_size: features under the tanh (A), for "additive" and "concat"; query_size if None.
        scaled: "dot" and "general" divide the score by √(features summed over) (Vaswani et al., 2017).

    Shapes:
        query [B, query_size] → context [B, key_size], weights [B, S]; [B, T, query_size] → [B, T, key_size], [B, T, S].

    Raises:
        SettingsError: an unknown kind, sizes that cannot be multiplied, or an option that would have no effect.

    Example:
        >>> attention = Attention("general", 64, 128)
        >>> memory = attention.memory(torch.randn(8, 20, 128), torch.randint(0, 21, (8,)))
        >>> context, weights = attention(torch.randn(8, 64), memory)  # [8, 128], [8, 20]
    """

    def __init__(
        self,
        kind: AttentionName,
        query_size: int,
        key_size: int,
        attention_size: int | None = None,
        *,
        scaled: bool = False,
    ) -> None:
        super().__init__()
        check_name("attention", kind, get_args(AttentionName))
        under_tanh = kind in ("additive", "concat")
        if kind == "dot" and query_size != key_size:
            raise SettingsError(
                f"attention: 'dot' multiplies a query of {query_size} features with keys of {key_size}; make them "
                "equal, or give 'general'"
            )
        if attention_size is not None and not under_tanh:
            raise SettingsError(f"attention_size: it is for 'additive' and 'concat', and attention is {kind!r}")
        if scaled and under_tanh:
            raise SettingsError(f"scaled: it is for 'dot' and 'general', and attention is {kind!r}")
        width = query_size if attention_size is None else attention_size
        for name, size in (("query_size", query_size), ("key_size", key_size), ("attention_size", width)):
            if size < 1:
                raise SettingsError(f"{name}: {size} is below 1")
        self.kind, self.query_size, self.key_size, self.attention_size = kind, query_size, key_size, width
        self.scaled = scaled
        self.query: nn.Linear | None = None
        self.key: nn.Linear | None = None
        self.joint: nn.Linear | None = None
        self.energy: nn.Linear | None = None
        if kind == "additive":
            self.query, self.key = nn.Linear(query_size, width), nn.Linear(key_size, width, bias=False)
        elif kind == "concat":
            self.joint = nn.Linear(query_size + key_size, width, bias=False)
        elif kind == "general":
            self.key = nn.Linear(key_size, query_size, bias=False)
        if under_tanh:
            self.energy = nn.Linear(width, 1, bias=False)  # a bias would change no weight

    def memory(self, values: Tensor, lengths: Tensor | None = None) -> AttentionMemory:
        """Project the keys of a memory.

        Args:
            values: [B, S, key_size]; what stands beyond the lengths is not read.
            lengths: [B] valid steps; None: all.

        Raises:
            ShapeError: values or lengths do not fit.
        """
        if values.dim() != 3 or values.shape[2] != self.key_size:
            raise ShapeError(
                f"Attention.memory: values have shape {list(values.shape)}, expected [B, S, {self.key_size}] (key_size)"
            )
        rows, steps = values.shape[:2]
        if lengths is None:
            readable = torch.ones(rows, steps, dtype=torch.bool, device=values.device)
        else:
            readable = valid_mask(
                check_lengths(lengths, rows, steps, "Attention.memory"), steps, values.device
            )  # before the product: 0 × NaN would reach the gradient
            values = values.masked_fill(~readable[..., None], 0.0)
        return AttentionMemory(values, self._keys(values), readable)

    def forward(self, query: Tensor, memory: AttentionMemory) -> tuple[Tensor, Tensor]:
        """What a query reads.

        Args:
            query: [B, query_size] of one step, or [B, T, query_size] of many; [k · B, query_size] where each row of
                the memory is read by k queries, which stand side by side.
            memory: of B rows, from `memory`.

        Returns:
            context [B, key_size] and weights [B, S], which add up to 1 over valid steps; [B, T, …] for many steps.

        Raises:
            ShapeError: the query does not fit the memory.
        """
        rows = memory.values.shape[0]
        if query.dim() == 2 and query.shape[1] == self.query_size and _multiple(query.shape[0], rows):
            together = query.view(rows, query.shape[0] // rows if rows else 1, self.query_size)
            context, weights = self(together, memory)
            return context.flatten(0, 1), weights.flatten(0, 1)
        if query.dim() != 3 or query.shape[2] != self.query_size or query.shape[0] != rows:
            raise ShapeError(
                f"Attention: the query has shape {list(query.shape)}, expected [{rows}, {self.query_size}] or "
                f"[{rows}, T, {self.query_size}], as the memory has {rows} rows"
            )
        scores = self._scores(query, memory.keys)
        unread = ~memory.readable[:, None]
        # a finite lowest score, and weights masked after it: a softmax over nothing is NaN
        weights = scores.masked_fill(unread, torch.finfo(scores.dtype).min / 2).softmax(-1).masked_fill(unread, 0.0)
        return weights @ memory.values, weights

    def _keys(self, values: Tensor) -> Tensor:
        if self.joint is not None:
            return nn.functional.linear(values, self.joint.weight[:, self.query_size :])
        return values if self.key is None else self.key(values)

    def _scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, query_size] and [B, S, A] → [B, T, S]."""
        if self.energy is None:
            if self.scaled:
                query = query / math.sqrt(self.query_size)
            return query @ keys.transpose(1, 2)
        if self.joint is not None:
            query = nn.functional.linear(query, self.joint.weight[:, : self.query_size])
        elif self.query is not None:
            query = self.query(query)
        scores: Tensor = self.energy(torch.tanh(query[:, :, None] + keys[:, None]))
        return scores[..., 0]

    def extra_repr(self) -> str:
        return f"{self.kind!r}, {self.query_size}, {self.key_size}, attention_size={self.attention_size}"


def _multiple(queries: int, rows: int) -> bool:
    return queries % rows == 0 if rows else queries == 0
