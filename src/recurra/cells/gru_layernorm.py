"""The gated recurrent unit with layer normalisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import GatedCell
from recurra.cells.gru import GRUState
from recurra.cells.normalization import check_normalized


class LayerNormGRUCell(GatedCell):
    """The GRU of Ba, Kiros and Hinton (2016), "Layer normalization", supplementary material, in torch's form.

        r, z = σ(N_rz(W_rz·x) + N_rz(U_rz·h))       with a gain and a bias in each N
        n    = tanh(N_n(W_n·x) + r ∘ N_n(U_n·h))
        h'   = (1 − z) ∘ n + z ∘ h,    y = h'

    N takes a vector to mean 0 and variance 1: the 2·H sums of r and z together, and the H of n, as the paper has it.
    z keeps the old state, as in torch; in the paper it lets the new one in.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state; 2 or more.

    Shapes:
        x [B, input_size], hidden [B, hidden_size], y [B, hidden_size]; weight_ih [3·H, I], weight_hh [3·H, H],
        bias_ih, bias_hh, gain_ih and gain_hh [3·H].
    """

    gates = ("r", "z", "n")
    remember_gate = "z"

    def __init__(self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None) -> None:
        check_normalized(self, hidden_size)
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.gain_ih = nn.Parameter(torch.ones(3 * hidden_size, device=device, dtype=dtype))
        self.gain_hh = nn.Parameter(torch.ones(3 * hidden_size, device=device, dtype=dtype))

    def initial_state(self, batch_size: int) -> GRUState:
        """A hidden state of zeros."""
        return GRUState(self.zeros(batch_size))

    def project(self, x: Tensor) -> Tensor:
        """x [..., I] → the normalised sums of the input [..., 3·H]."""
        return self._normalized(F.linear(x, self.weight_ih), self.gain_ih, self.bias_ih)

    def recur(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """hidden [B, H] → the normalised sums of the hidden state [B, 3·H]."""
        total = F.linear(hidden if mask is None else hidden * mask, self.weight_hh)
        return self._normalized(total, self.gain_hh, self.bias_hh)

    def advance(self, projected: Tensor, state: GRUState, mask: Tensor | None = None) -> tuple[Tensor, GRUState]:
        """One step from the projected input [B, 3·H]."""
        input_r, input_z, input_n = projected.chunk(3, -1)
        hidden_r, hidden_z, hidden_n = self.recur(state.hidden, mask).chunk(3, -1)
        r = (input_r + hidden_r).sigmoid()
        z = (input_z + hidden_z).sigmoid()
        n = (input_n + r * hidden_n).tanh()
        hidden = n + z * (state.hidden - n)
        return hidden, GRUState(hidden)

    def _normalized(self, total: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        split = 2 * self.hidden_size
        parts = [[one[..., :split], one[..., split:]] for one in (total, gain, bias)]
        return torch.cat([F.layer_norm(part, g.shape, g, b) for part, g, b in zip(*parts, strict=True)], -1)
