"""Long short-term memory."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from recurra.cells.cell import GatedCell


class LSTMState(NamedTuple):
    """hidden [B, H], cell [B, H]"""

    hidden: Tensor
    cell: Tensor


class LSTMCell(GatedCell):
    """The LSTM of Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000), as torch has it.

        i, f, o = σ(W_i·x + U_i·h + b_i), σ(W_f·x + U_f·h + b_f), σ(W_o·x + U_o·h + b_o)
        g       = tanh(W_g·x + U_g·h + b_g)
        c'      = f ∘ c + i ∘ g
        h'      = o ∘ tanh(c'),    y = h'

    The rows of the weights are the gates i, f, g, o; each gate has two biases, b = b_ih + b_hh.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state and of the cell.

    Shapes:
        x [B, input_size], hidden and cell [B, hidden_size], y [B, hidden_size].
    """

    gates = ("i", "f", "g", "o")
    remember_gate = "f"
    writing_gate = "i"

    def initial_state(self, batch_size: int) -> LSTMState:
        """A hidden state and a cell of zeros."""
        return LSTMState(self.zeros(batch_size), self.zeros(batch_size))

    def advance(self, projected: Tensor, state: LSTMState, mask: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        """One step from the projected input [B, 4·H]."""
        i, f, g, o = (projected + self.recur(state.hidden, mask)).chunk(4, -1)
        cell = f.sigmoid() * state.cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden, LSTMState(hidden, cell)
