"""The least of a gated recurrent unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import LinearCell

UNREAD = "the hidden state is read by no gate, so there is nothing to drop from"


class MinGRUCell(LinearCell):
    """The minGRU of Feng et al. (2024), "Were RNNs all we needed?".

        z  = σ(W_z·x + b_z)
        n  = W_n·x + b_n
        h' = (1 − z) ∘ h + z ∘ n,    y = h'

    No gate reads h, so the step is linear in it and a scan runs all steps at once. z lets the new value in, as in the
    paper (a GRU's keeps the old one). This is the paper's plain form; its form in logarithms cannot hold a state of
    zero or below.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state.

    Shapes:
        x [B, input_size], hidden [B, hidden_size], y [B, hidden_size]; weight_ih [2·H, I] and bias_ih [2·H] in the
        order z, n.
    """

    gates = ("z", "n")
    writing_gate = "z"
    refused: ClassVar[Mapping[str, str]] = {"recurrent_dropout": UNREAD, "weight_dropout": UNREAD}

    def __init__(self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size, device=device, dtype=dtype))
        self.bias_ih = nn.Parameter(torch.zeros(2 * hidden_size, device=device, dtype=dtype))
        for gate in self.weight_ih.detach().chunk(2):
            nn.init.xavier_uniform_(gate)  # Glorot and Bengio, 2010

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [..., I] → 1 − z and z ∘ n, each [..., H]."""
        z, n = F.linear(x, self.weight_ih, self.bias_ih).chunk(2, -1)
        z = z.sigmoid()
        return 1 - z, z * n
