"""The plain recurrent network."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from recurra.cells.cell import GatedCell
from recurra.errors import SettingsError


class ElmanState(NamedTuple):
    """hidden [B, H]"""

    hidden: Tensor


class ElmanCell(GatedCell):
    """The simple recurrent network of Elman (1990), "Finding structure in time", in torch's form.

        h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh)        or max(0, ·) with nonlinearity "relu"
        y  = h'

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state.
        nonlinearity: "tanh" or "relu"; with relu the state grows without bound where W_hh's spectral norm exceeds 1.

    Shapes:
        x [B, input_size], hidden [B, hidden_size], y [B, hidden_size].
    """

    gates = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise SettingsError(f"ElmanCell: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity

    def initial_state(self, batch_size: int) -> ElmanState:
        """A hidden state of zeros."""
        return ElmanState(self.zeros(batch_size))

    def advance(self, projected: Tensor, state: ElmanState, mask: Tensor | None = None) -> tuple[Tensor, ElmanState]:
        """One step from the projected input [B, H]."""
        total = projected + self.recur(state.hidden, mask)
        hidden = torch.tanh(total) if self.nonlinearity == "tanh" else torch.relu(total)
        return hidden, ElmanState(hidden)
