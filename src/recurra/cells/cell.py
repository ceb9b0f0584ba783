"""What a recurrence is: one step, and the state before the first."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ShapeError
from recurra.state import State


class Cell(nn.Module, ABC):
    """One step of a recurrence. Whoever writes `initial_state` and `step` has a layer, a stack and a stream.

    The law: running `step` over a sequence is what every engine computes, whole, in chunks or packed. A cell keeps
    nothing: the state goes in and comes out, and neither it nor x is written to.

    Attributes:
        input_size: features of x.
        output_size: features of y.
    """

    input_size: int
    output_size: int

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step: a NamedTuple of tensors [B, …]."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x [B, input_size] and a state → y [B, output_size] and the next state, shaped as the one given."""


class ProjectedCell(Cell):
    """A cell whose step splits in two: `step(x, state) == advance(project(x), state)`.

    The projection knows nothing of time, so the loop computes it for all steps in one matrix product.
    `advance` takes a dropout mask for the hidden state where the matrix product reads it (Gal and Ghahramani, 2016).
    """

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """x [..., input_size] → [..., P]."""

    @abstractmethod
    def advance(self, projected: Tensor, state: State, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """One step from a projection [B, P]; mask [B, hidden_size] multiplies the hidden state read by the gates."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x [B, input_size] and a state → y [B, output_size] and the next state."""
        return self.advance(self.project(x), state)


class GatedCell(ProjectedCell):
    """A cell with torch's four parameters, in torch's names and order of gates.

    weight_ih [G·H, I], weight_hh [G·H, H], bias_ih and bias_hh [G·H], where G gates are stacked in the order of
    `gates`. Both biases are kept, as torch, cuDNN and oneDNN have them, so that weights go over unchanged.

    Args:
        input_size: features of x (I).
        hidden_size: features of the hidden state (H), also of y.

    Attributes:
        gates: names of the gates, in the order of the rows.
        remember_gate: the gate that keeps the old state when it is open, if the cell has one.
    """

    gates: ClassVar[tuple[str, ...]]
    remember_gate: ClassVar[str | None] = None

    def __init__(self, input_size: int, hidden_size: int, *, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise ShapeError(
                f"{type(self).__name__}: input_size is {input_size} and hidden_size {hidden_size}; "
                "both must be 1 or more"
            )
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        rows = len(self.gates) * hidden_size
        make = {"device": device, "dtype": dtype}
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size, **make))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size, **make))
        self.bias_ih = nn.Parameter(torch.empty(rows, **make))
        self.bias_hh = nn.Parameter(torch.empty(rows, **make))
        bound = 1 / math.sqrt(hidden_size)  # torch's own; Recurrent has a better one
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, x: Tensor) -> Tensor:
        """x [..., I] → W_ih·x + b_ih [..., G·H]."""
        return F.linear(x, self.weight_ih, self.bias_ih)

    def recur(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """hidden [B, H] → W_hh·(hidden ∘ mask) + b_hh [B, G·H]."""
        return F.linear(hidden if mask is None else hidden * mask, self.weight_hh, self.bias_hh)

    def zeros(self, batch_size: int) -> Tensor:
        """[B, H] of zeros, on the weights' device and in their dtype."""
        return self.weight_hh.new_zeros(batch_size, self.hidden_size)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"
