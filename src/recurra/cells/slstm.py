"""Long short-term memory with exponential gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.cells.cell import GatedCell
from recurra.errors import ShapeError


class SLSTMState(NamedTuple):
    """hidden, cell, normalizer and stabilizer, each [B, H]; normalizer ≥ 0, and where it is 0 the cell is 0 too."""

    hidden: Tensor
    cell: Tensor
    normalizer: Tensor
    stabilizer: Tensor


class SLSTMCell(GatedCell):
    """The sLSTM of Beck et al. (2024), "xLSTM: extended long short-term memory", equations 8 to 17.

        i, f, g, o = W·x + U·h + b       four sums
        m' = max(log σ(f) + m, i)
        i', f' = exp(i − m'), exp(log σ(f) + m − m')
        c' = f' ∘ c + i' ∘ tanh(g)
        n' = f' ∘ n + i'
        h' = σ(o) ∘ c' / n',    y = h'

    The input gate is exponential, so a later input can outweigh all that came before; n sums the weights, and c / n is
    a weighted mean of what was written. m keeps every exponent at 0 or below, and changes no value. The forget gate is
    the paper's sigmoid. Where nothing was written yet (n = 0) m' = i, so that a first weight, however small, counts in
    full.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state.
        num_heads: the hidden state is cut into so many heads, and each gate reads its own head alone; divides
            hidden_size.

    Shapes:
        x [B, input_size], every part of the state [B, hidden_size], y [B, hidden_size]; weight_ih [4·H, I], weight_hh
        [4·H, H / num_heads], bias_ih and bias_hh [4·H].

    Raises:
        ShapeError: num_heads does not divide hidden_size.
    """

    gates = ("i", "f", "g", "o")
    remember_gate = "f"
    writing_gate = "i"
    refused: ClassVar[Mapping[str, str]] = {
        "zoneout": "cell, normalizer and stabilizer are one number in three parts, and keeping one of them changes it",
        "learned_state": "a normalizer that is learned can fall to 0 or below, where the step divides by it",
    }

    def __init__(
        self, input_size: int, hidden_size: int, num_heads: int = 1, *, device: Any = None, dtype: Any = None
    ) -> None:
        if num_heads < 1 or hidden_size % num_heads:
            raise ShapeError(
                f"{type(self).__name__}: num_heads is {num_heads} and hidden_size {hidden_size}; give a divisor of it"
            )
        super().__init__(input_size, hidden_size, read_size=hidden_size // num_heads, device=device, dtype=dtype)
        self.num_heads, self.block_size = num_heads, hidden_size // num_heads

    def initial_state(self, batch_size: int) -> SLSTMState:
        """Zeros: nothing was written."""
        zeros = self.zeros(batch_size)
        return SLSTMState(zeros, zeros, zeros, zeros)

    def recur(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """hidden [B, H] → U·(hidden ∘ mask) + b_hh [B, 4·H], each head by its own blocks of U."""
        if self.num_heads == 1:
            return super().recur(hidden, mask)
        size = self.block_size
        heads = (hidden if mask is None else hidden * mask).reshape(-1, self.num_heads, size)
        blocks = self.weight_hh.reshape(len(self.gates), self.num_heads, size, size)
        return torch.einsum("gnij,bnj->bgni", blocks, heads).flatten(1) + self.bias_hh

    def advance(self, projected: Tensor, state: SLSTMState, mask: Tensor | None = None) -> tuple[Tensor, SLSTMState]:
        """One step from the projected input [B, 4·H]."""
        i, f, g, o = (projected + self.recur(state.hidden, mask)).chunk(4, -1)
        kept = F.logsigmoid(f) + state.stabilizer
        stabilizer = torch.where(state.normalizer == 0, i, torch.maximum(kept, i))
        write = (i - stabilizer).exp()
        keep = (kept - stabilizer).clamp(max=0).exp()  # beyond 0 only where nothing was written yet
        cell = keep * state.cell + write * g.tanh()
        normalizer = keep * state.normalizer + write
        hidden = o.sigmoid() * cell / normalizer
        return hidden, SLSTMState(hidden, cell, normalizer, stabilizer)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, num_heads={self.num_heads}"
