"""A recurrent network whose units read none but themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.cell import ProjectedCell, check_sizes
from recurra.errors import SettingsError

GROWTH = 2.0  # Li et al., 2018, section 3.1: what a unit may grow by over the whole memory
ALONE = "would cut a unit's whole memory for the sequence, and push the other units beyond their bound"


class IndRNNState(NamedTuple):
    """hidden [B, H]"""

    hidden: Tensor


class IndRNNCell(ProjectedCell):
    """The independently recurrent network of Li et al. (2018), "Independently recurrent neural network (IndRNN)".

        h' = max(0, W_ih·x + b_ih + u ∘ h),    y = h'

    Each unit has one recurrent weight, held within ±2^(1/T) where it is used, so that over T steps nothing grows more
    than twofold; they begin uniform between 0 and that bound. Units meet in the layer above: stack two or more.

    Args:
        input_size: features of x.
        hidden_size: features of the hidden state.
        memory_length: steps that a memory should last (T); None: as long as one likes, a bound of 1.

    Shapes:
        x [B, input_size], hidden [B, hidden_size], y [B, hidden_size]; weight_ih [H, I], weight_hh [H], bias_ih [H].

    Raises:
        SettingsError: memory_length is below 1.
    """

    refused: ClassVar[Mapping[str, str]] = {"recurrent_dropout": ALONE, "weight_dropout": ALONE}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        memory_length: int | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_sizes(self, input_size, hidden_size)
        if memory_length is not None and memory_length < 1:
            raise SettingsError(f"{type(self).__name__}: memory_length is {memory_length}, expected 1 step or more")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.bound = 1.0 if memory_length is None else GROWTH ** (1 / memory_length)
        make = {"device": device, "dtype": dtype}
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size, **make))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, **make))
        self.bias_ih = nn.Parameter(torch.zeros(hidden_size, **make))
        nn.init.kaiming_uniform_(self.weight_ih, nonlinearity="relu")  # He et al., 2015
        nn.init.uniform_(self.weight_hh, 0.0, self.bound)

    def initial_state(self, batch_size: int) -> IndRNNState:
        """A hidden state of zeros."""
        return IndRNNState(self.bias_ih.new_zeros(batch_size, self.hidden_size))

    def project(self, x: Tensor) -> Tensor:
        """x [..., I] → W_ih·x + b_ih [..., H]."""
        return F.linear(x, self.weight_ih, self.bias_ih)

    def advance(self, projected: Tensor, state: IndRNNState, mask: Tensor | None = None) -> tuple[Tensor, IndRNNState]:
        """One step from the projected input [B, H]."""
        hidden = state.hidden if mask is None else state.hidden * mask
        hidden = torch.relu(projected + self.weight_hh.clamp(-self.bound, self.bound) * hidden)
        return hidden, IndRNNState(hidden)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"
