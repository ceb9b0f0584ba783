"""The least of a long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import LinearCell
from recurra.cells.mingru import UNREAD


class MinLSTMCell(LinearCell):
    """The minLSTM of Feng et al. (2024), "Were RNNs all we needed?".

        i, f = σ(W_i·x + b_i), σ(W_f·x + b_f)
        g    = W_g·x + b_g
        h'   = f / (f + i) ∘ h + i / (f + i) ∘ g,    y = h'

    No gate reads h, so the step is linear in it and a scan runs all steps at once. What is kept is computed as
    f / (f + i) = σ(log f − log i), which holds where both gates are shut.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state.

    Shapes:
        x [B, input_size], hidden [B, hidden_size], y [B, hidden_size]; weight_ih [3·H, I] and bias_ih [3·H] in the
        order i, f, g.
    """

    gates = ("i", "f", "g")
    remember_gate = "f"
    writing_gate = "i"
    refused: ClassVar[Mapping[str, str]] = {"recurrent_dropout": UNREAD, "weight_dropout": UNREAD}

    def __init__(self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size, device=device, dtype=dtype))
        self.bias_ih = nn.Parameter(torch.zeros(3 * hidden_size, device=device, dtype=dtype))
        for gate in self.weight_ih.detach().chunk(3):
            nn.init.xavier_uniform_(gate)  # Glorot and Bengio, 2010

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [..., I] → the share kept, and the share written times the new value, each [..., H]."""
        i, f, g = F.linear(x, self.weight_ih, self.bias_ih).chunk(3, -1)
        kept = (F.logsigmoid(f) - F.logsigmoid(i)).sigmoid()
        return kept, (1 - kept) * g
