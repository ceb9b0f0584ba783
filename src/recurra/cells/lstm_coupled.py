"""Long short-term memory whose input gate is what the forget gate leaves."""

from __future__ import annotations

from torch import Tensor

from recurra.cells.cell import GatedCell
from recurra.cells.lstm import LSTMState


class CoupledLSTMCell(GatedCell):
    """The LSTM with coupled input and forget gates (CIFG) of Greff et al. (2017), "LSTM: a search space odyssey".

        f, o = σ(W_f·x + U_f·h + b_f), σ(W_o·x + U_o·h + b_o)
        g    = tanh(W_g·x + U_g·h + b_g)
        c'   = f ∘ c + (1 − f) ∘ g
        h'   = o ∘ tanh(c'),    y = h'

    Three quarters of an LSTM's parameters, and a cell that stays within [−1, 1] if it begins there. The paper's
    variant has peepholes, which are left out.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state and of the cell.

    Shapes:
        x [B, input_size], hidden and cell [B, hidden_size], y [B, hidden_size]; weight_ih [3·H, I], weight_hh
        [3·H, H], in the order f, g, o.
    """

    gates = ("f", "g", "o")
    remember_gate = "f"

    def initial_state(self, batch_size: int) -> LSTMState:
        """A hidden state and a cell of zeros."""
        return LSTMState(self.zeros(batch_size), self.zeros(batch_size))

    def advance(self, projected: Tensor, state: LSTMState, mask: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        """One step from the projected input [B, 3·H]."""
        f, g, o = (projected + self.recur(state.hidden, mask)).chunk(3, -1)
        g = g.tanh()
        cell = g + f.sigmoid() * (state.cell - g)
        hidden = o.sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)
