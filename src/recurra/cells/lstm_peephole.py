"""Long short-term memory whose gates see the cell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells.cell import GatedCell
from recurra.cells.lstm import LSTMState


class PeepholeLSTMCell(GatedCell):
    """The LSTM of Gers and Schmidhuber (2000), "Recurrent nets that time and count".

        i, f = σ(W_i·x + U_i·h + p_i ∘ c + b_i), σ(W_f·x + U_f·h + p_f ∘ c + b_f)
        g    = tanh(W_g·x + U_g·h + b_g)
        c'   = f ∘ c + i ∘ g
        o    = σ(W_o·x + U_o·h + p_o ∘ c' + b_o)
        h'   = o ∘ tanh(c'),    y = h'

    Each gate reads its own unit of the cell, also when the output gate is shut; the output gate reads the new one.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state and of the cell.

    Shapes:
        x [B, input_size], hidden and cell [B, hidden_size], y [B, hidden_size]; weight_ih [4·H, I], weight_hh
        [4·H, H], bias_ih and bias_hh [4·H], weight_cell [3·H]: p_i, p_f and p_o.
    """

    gates = ("i", "f", "g", "o")
    remember_gate = "f"
    writing_gate = "i"

    def __init__(self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_cell = nn.Parameter(torch.empty(3 * hidden_size, device=device, dtype=dtype))
        nn.init.uniform_(self.weight_cell, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int) -> LSTMState:
        """A hidden state and a cell of zeros."""
        return LSTMState(self.zeros(batch_size), self.zeros(batch_size))

    def advance(self, projected: Tensor, state: LSTMState, mask: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        """One step from the projected input [B, 4·H]."""
        i, f, g, o = (projected + self.recur(state.hidden, mask)).chunk(4, -1)
        peep_i, peep_f, peep_o = self.weight_cell.chunk(3)
        i, f = (i + peep_i * state.cell).sigmoid(), (f + peep_f * state.cell).sigmoid()
        cell = f * state.cell + i * g.tanh()
        hidden = (o + peep_o * cell).sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)
