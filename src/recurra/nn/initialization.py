"""How the weights of a cell begin."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from recurra.cells import Cell, GatedCell
from recurra.errors import SettingsError
from recurra.settings.names import Initialization

FORGET_BIAS = 1.0  # Jozefowicz et al., 2015, "An empirical exploration of recurrent network architectures"


def initialize(cell: Cell, how: Initialization = "orthogonal", chrono_length: int | None = None) -> None:
    """Set the weights of a cell in place.

    - "orthogonal": each gate's recurrent matrix orthogonal (Saxe et al., 2014), each gate's input matrix uniform
      after Glorot and Bengio (2010), biases 0, a forget gate's bias 1; a projection orthogonal, peepholes 0.
    - "chrono": the same, and the gate that keeps the state has bias log U(1, chrono_length − 1), the gate that lets the
      new value in the negative of it, so that memories last up to that many steps (Tallec and Ollivier, 2018).
    - "torch": uniform in ±1/√H, as torch.nn has it; gains of a normalisation stay 1.

    A cell without torch's parameters keeps what its own constructor set; chrono sets the biases of its gates all the
    same, if it has any.

    Raises:
        SettingsError: chrono without a length of 3 or more, or for a cell without a gate that keeps the state.
    """
    if how not in ("orthogonal", "chrono", "torch"):
        raise SettingsError(f"initialization: {how!r} is none of orthogonal, chrono, torch")
    if (how == "chrono") != (chrono_length is not None):
        raise SettingsError("chrono_length: give it with initialization 'chrono', and only there")
    with torch.no_grad():
        if isinstance(cell, GatedCell):
            _as_torch(cell) if how == "torch" else _orthogonal(cell)
        if chrono_length is not None:
            _chrono(cell, chrono_length)


def _as_torch(cell: GatedCell) -> None:
    bound = cell.hidden_size**-0.5
    for name, parameter in cell.named_parameters():
        if not name.startswith("gain"):
            nn.init.uniform_(parameter, -bound, bound)


def _orthogonal(cell: GatedCell) -> None:
    for name, parameter in cell.named_parameters():
        if name == "weight_ih":
            for gate in parameter.chunk(len(cell.gates)):
                nn.init.xavier_uniform_(gate)
        elif name == "weight_hh":
            for block in torch.split(parameter, cell.block_size):
                nn.init.orthogonal_(block)
        elif name.startswith("weight") and parameter.dim() == 2:
            nn.init.orthogonal_(parameter)
        elif not name.startswith("gain"):
            nn.init.zeros_(parameter)
    if cell.remember_gate == "f":
        _bias(cell, "f").fill_(FORGET_BIAS)


def _chrono(cell: Cell, length: int) -> None:
    gates = (cell.remember_gate, cell.writing_gate)
    if gates == (None, None):
        raise SettingsError(
            f"initialization: 'chrono' needs a gate that keeps the state; {type(cell).__name__} has none"
        )
    if length < 3:
        raise SettingsError(f"chrono_length: {length} is below 3, the shortest memory it can be drawn for")
    first = _bias(cell, next(gate for gate in gates if gate is not None))
    bias = torch.empty_like(first).uniform_(1, length - 1).log()
    for gate, values in zip(gates, (bias, -bias), strict=True):
        if gate is not None:
            _bias(cell, gate).copy_(values)


def _bias(cell: Cell, gate: str) -> torch.Tensor:
    """The rows of a gate in `bias_ih`."""
    bias = cast(torch.Tensor, cell.bias_ih)
    return bias.chunk(len(cell.gates))[cell.gates.index(gate)]
