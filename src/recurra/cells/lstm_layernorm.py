"""Long short-term memory with layer normalisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import GatedCell
from recurra.cells.lstm import LSTMState
from recurra.cells.normalization import check_normalized


class LayerNormLSTMCell(GatedCell):
    """The LSTM of Ba, Kiros and Hinton (2016), "Layer normalization", equations 20 to 22.

        a       = α_ih ∘ N(W·x) + b_ih + α_hh ∘ N(U·h) + b_hh      four gates i, f, g, o stacked
        c'      = σ(a_f) ∘ c + σ(a_i) ∘ tanh(a_g)
        h'      = σ(a_o) ∘ tanh(α_c ∘ N(c') + b_c),    y = h'

    N takes a vector to mean 0 and variance 1: all 4·H sums of the gates together, as the paper has it. The paper's
    β₁, β₂ and b are one sum; b_ih and b_hh stand for it, as in torch.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state and of the cell; 2 or more.

    Shapes:
        x [B, input_size], hidden and cell [B, hidden_size], y [B, hidden_size]; weight_ih [4·H, I], weight_hh
        [4·H, H], bias_ih, bias_hh, gain_ih and gain_hh [4·H], gain_cell and bias_cell [H].
    """

    gates = ("i", "f", "g", "o")
    remember_gate = "f"
    writing_gate = "i"

    def __init__(self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None) -> None:
        check_normalized(self, hidden_size)
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        make = {"device": device, "dtype": dtype}
        self.gain_ih = nn.Parameter(torch.ones(4 * hidden_size, **make))
        self.gain_hh = nn.Parameter(torch.ones(4 * hidden_size, **make))
        self.gain_cell = nn.Parameter(torch.ones(hidden_size, **make))
        self.bias_cell = nn.Parameter(torch.zeros(hidden_size, **make))

    def initial_state(self, batch_size: int) -> LSTMState:
        """A hidden state and a cell of zeros."""
        return LSTMState(self.zeros(batch_size), self.zeros(batch_size))

    def project(self, x: Tensor) -> Tensor:
        """x [..., I] → α_ih ∘ N(W·x) + b_ih [..., 4·H]."""
        return F.layer_norm(F.linear(x, self.weight_ih), self.gain_ih.shape, self.gain_ih, self.bias_ih)

    def recur(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """hidden [B, H] → α_hh ∘ N(U·(hidden ∘ mask)) + b_hh [B, 4·H]."""
        total = F.linear(hidden if mask is None else hidden * mask, self.weight_hh)
        return F.layer_norm(total, self.gain_hh.shape, self.gain_hh, self.bias_hh)

    def advance(self, projected: Tensor, state: LSTMState, mask: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        """One step from the projected input [B, 4·H]."""
        i, f, g, o = (projected + self.recur(state.hidden, mask)).chunk(4, -1)
        cell = f.sigmoid() * state.cell + i.sigmoid() * g.tanh()
        seen = F.layer_norm(cell, self.gain_cell.shape, self.gain_cell, self.bias_cell)
        hidden = o.sigmoid() * seen.tanh()
        return hidden, LSTMState(hidden, cell)
