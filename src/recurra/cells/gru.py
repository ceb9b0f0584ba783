"""The gated recurrent unit."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from recurra.cells.cell import GatedCell


class GRUState(NamedTuple):
    """hidden [B, H]"""

    hidden: Tensor


class GRUCell(GatedCell):
    """The GRU of Cho et al. (2014), "Learning phrase representations", in torch's form.

        r, z = σ(W_r·x + b_r + U_r·h + c_r), σ(W_z·x + b_z + U_z·h + c_z)
        n    = tanh(W_n·x + b_n + r ∘ (U_n·h + c_n))
        h'   = (1 − z) ∘ n + z ∘ h,    y = h'

    Two points differ from the paper, as in torch, cuDNN and oneDNN: the reset gate acts after the matrix product
    (the paper: U_n·(r ∘ h)), and z keeps the old state (the paper's z does too; many texts exchange z and 1 − z).

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state.

    Shapes:
        x [B, input_size], hidden [B, hidden_size], y [B, hidden_size].
    """

    gates = ("r", "z", "n")
    remember_gate = "z"

    def initial_state(self, batch_size: int) -> GRUState:
        """A hidden state of zeros."""
        return GRUState(self.zeros(batch_size))

    def advance(self, projected: Tensor, state: GRUState, mask: Tensor | None = None) -> tuple[Tensor, GRUState]:
        """One step from the projected input [B, 3·H]."""
        input_r, input_z, input_n = projected.chunk(3, -1)
        hidden_r, hidden_z, hidden_n = self.recur(state.hidden, mask).chunk(3, -1)
        r = (input_r + hidden_r).sigmoid()
        z = (input_z + hidden_z).sigmoid()
        n = (input_n + r * hidden_n).tanh()
        hidden = n + z * (state.hidden - n)
        return hidden, GRUState(hidden)
