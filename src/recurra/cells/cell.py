"""What a recurrence is: one step, and the state before the first."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

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
        gates: names of the gates whose rows are stacked in `weight_ih` and its bias, if the cell has any.
        remember_gate: the gate that keeps the old state when it is open, if the cell has one.
        writing_gate: the gate that lets the new value in when it is open, if the cell has one.
        refused: options of a layer that have no meaning for this cell, each with the reason, such as
            {"zoneout": "its state is one whole"}.
    """

    input_size: int
    output_size: int
    gates: ClassVar[tuple[str, ...]] = ()
    remember_gate: ClassVar[str | None] = None
    writing_gate: ClassVar[str | None] = None
    refused: ClassVar[Mapping[str, str]] = {}

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
        read_size: features of the hidden state that a gate reads; None: all.

    Attributes:
        block_size: rows of `weight_hh` that read the same part of the hidden state: a gate's, or those of one head.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        read_size: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_sizes(self, input_size, hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.block_size = hidden_size
        rows = len(self.gates) * hidden_size
        make = {"device": device, "dtype": dtype}
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size, **make))
        self.weight_hh = nn.Parameter(torch.empty(rows, read_size or hidden_size, **make))
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


class LinearState(NamedTuple):
    """hidden [B, H]"""

    hidden: Tensor


class LinearCell(Cell):
    """A cell that is linear in its state: h' = a ∘ h + b and y = h', where a and b depend on x alone.

    Whoever writes `coefficients` has a cell that a scan runs along time, many steps at once. Call the constructor with
    the sizes first: it sets `input_size`, `hidden_size` and `output_size`.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_sizes(self, input_size, hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size

    @abstractmethod
    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [..., input_size] → a and b, each [..., H]; a within [−1, 1], or states grow without bound."""

    def initial_state(self, batch_size: int) -> LinearState:
        """A hidden state of zeros."""
        return LinearState(next(self.parameters()).new_zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: LinearState) -> tuple[Tensor, LinearState]:
        """x [B, input_size] and a state → y [B, H] and the next state."""
        a, b = self.coefficients(x)
        hidden = a * state.hidden + b
        return hidden, LinearState(hidden)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


def check_sizes(cell: nn.Module, input_size: int, hidden_size: int) -> None:
    """Refuse sizes below 1.

    Raises:
        ShapeError: naming the cell.
    """
    if input_size < 1 or hidden_size < 1:
        raise ShapeError(
            f"{type(cell).__name__}: input_size is {input_size} and hidden_size {hidden_size}; both must be 1 or more"
        )
