"""Long short-term memory with a smaller hidden state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import GatedCell
from recurra.cells.lstm import LSTMState
from recurra.errors import ShapeError


class ProjectedLSTMCell(GatedCell):
    """The LSTMP of Sak, Senior and Beaufays (2014), "Long short-term memory recurrent neural network architectures".

        i, f, o = σ(W_i·x + U_i·h + b_i), σ(W_f·x + U_f·h + b_f), σ(W_o·x + U_o·h + b_o)
        g       = tanh(W_g·x + U_g·h + b_g)
        c'      = f ∘ c + i ∘ g
        h'      = W_hr·(o ∘ tanh(c')),    y = h'

    A large cell beside a small hidden state: the gates and the layer above read P numbers instead of H. As
    `torch.nn.LSTM(proj_size=P)`; the paper's peepholes and second, unread projection are left out, as there.

    Args:
        input_size: features of x.
        hidden_size: features of the cell (H).
        projection_size: features of the hidden state and of y (P), below hidden_size; None: half of it.

    Shapes:
        x [B, input_size], hidden [B, P], cell [B, hidden_size], y [B, P]; weight_ih [4·H, I], weight_hh [4·H, P],
        weight_hr [P, H].
    """

    gates = ("i", "f", "g", "o")
    remember_gate = "f"
    writing_gate = "i"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        projection_size: int | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        size = max(hidden_size // 2, 1) if projection_size is None else projection_size
        if not 1 <= size < max(hidden_size, 2):
            raise ShapeError(
                f"{type(self).__name__}: projection_size is {size} and hidden_size {hidden_size}; give 1 or more, and "
                "less than hidden_size"
            )
        super().__init__(input_size, hidden_size, read_size=size, device=device, dtype=dtype)
        self.output_size = size
        self.weight_hr = nn.Parameter(torch.empty(size, hidden_size, device=device, dtype=dtype))
        nn.init.uniform_(self.weight_hr, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int) -> LSTMState:
        """A hidden state and a cell of zeros."""
        return LSTMState(self.weight_hh.new_zeros(batch_size, self.output_size), self.zeros(batch_size))

    def advance(self, projected: Tensor, state: LSTMState, mask: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        """One step from the projected input [B, 4·H]; the mask is [B, P]."""
        i, f, g, o = (projected + self.recur(state.hidden, mask)).chunk(4, -1)
        cell = f.sigmoid() * state.cell + i.sigmoid() * g.tanh()
        hidden = F.linear(o.sigmoid() * cell.tanh(), self.weight_hr)
        return hidden, LSTMState(hidden, cell)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, projection_size={self.output_size}"
