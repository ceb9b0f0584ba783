"""No recurrence at all: the layer to compare a memory with, and the right one where there is one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import Cell, check_sizes


class FeedforwardState(NamedTuple):
    """Nothing is remembered."""


class FeedforwardCell(Cell):
    """A hidden layer applied to each step alone: y = max(0, W·x + b).

    For one to one (a single step) this is the model to use: at T = 1 the gradient of a recurrent cell's weight_hh is
    exactly zero. Over longer sequences it shows what order and memory bring.

    Args:
        input_size: features of x.
        hidden_size: features of y.

    Shapes:
        x [B, input_size], y [B, hidden_size].
    """

    refused: ClassVar[Mapping[str, str]] = {"dilation": "it has no state to carry"}

    def __init__(self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_sizes(self, input_size, hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.weight = nn.Parameter(torch.empty(hidden_size, input_size, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(hidden_size, device=device, dtype=dtype))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")  # He et al., 2015

    def initial_state(self, batch_size: int) -> FeedforwardState:
        """An empty state."""
        return FeedforwardState()

    def step(self, x: Tensor, state: FeedforwardState) -> tuple[Tensor, FeedforwardState]:
        """x [B, input_size] → y [B, hidden_size]."""
        return torch.relu(F.linear(x, self.weight, self.bias)), state
