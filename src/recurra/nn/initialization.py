"""How the weights of a cell begin."""

from __future__ import annotations

import torch
from torch import nn

from recurra.cells import Cell, GatedCell, LSTMCell
from recurra.errors import SettingsError
from recurra.settings.names import Initialization

FORGET_BIAS = 1.0  # Jozefowicz et al., 2015, "An empirical exploration of recurrent network architectures"


def initialize(cell: Cell, how: Initialization = "orthogonal", chrono_length: int | None = None) -> None:
    """Set the weights of a cell in place.

    - "orthogonal": each gate's recurrent matrix orthogonal (Saxe et al., 2014), each gate's input matrix uniform
      after Glorot and Bengio (2010), biases 0, an LSTM's forget bias 1.
    - "chrono": the same, and the gate that keeps the state has bias log U(1, chrono_length − 1), an LSTM's input gate
      the negative of it, so that memories last up to that many steps (Tallec and Ollivier, 2018).
    - "torch": uniform in ±1/√H, as torch.nn has it.

    A cell without torch's parameters keeps what its own constructor set.

    Raises:
        SettingsError: chrono without a length of 3 or more, or for a cell without a gate that keeps the state.
    """
    if how not in ("orthogonal", "chrono", "torch"):
        raise SettingsError(f"initialization: {how!r} is none of orthogonal, chrono, torch")
    if (how == "chrono") != (chrono_length is not None):
        raise SettingsError("chrono_length: give it with initialization 'chrono', and only there")
    if not isinstance(cell, GatedCell):
        if how == "chrono":
            raise SettingsError(f"initialization: 'chrono' sets gates, and {type(cell).__name__} has none")
        return
    size = cell.hidden_size
    with torch.no_grad():
        if how == "torch":
            for parameter in cell.parameters():
                nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)
            return
        for begin in range(0, cell.weight_hh.shape[0], size):
            nn.init.orthogonal_(cell.weight_hh[begin : begin + size])
            nn.init.xavier_uniform_(cell.weight_ih[begin : begin + size])
        nn.init.zeros_(cell.bias_ih)
        nn.init.zeros_(cell.bias_hh)
        if isinstance(cell, LSTMCell):
            _gate(cell, "f").fill_(FORGET_BIAS)
        if how == "chrono":
            assert chrono_length is not None
            _chrono(cell, chrono_length)


def _chrono(cell: GatedCell, length: int) -> None:
    if cell.remember_gate is None:
        raise SettingsError(
            f"initialization: 'chrono' needs a gate that keeps the state; {type(cell).__name__} has none"
        )
    if length < 3:
        raise SettingsError(f"chrono_length: {length} is below 3, the shortest memory it can be drawn for")
    bias = torch.empty_like(_gate(cell, cell.remember_gate)).uniform_(1, length - 1).log()
    _gate(cell, cell.remember_gate).copy_(bias)
    if "i" in cell.gates:
        _gate(cell, "i").copy_(-bias)


def _gate(cell: GatedCell, name: str) -> torch.Tensor:
    begin = cell.gates.index(name) * cell.hidden_size
    return cell.bias_ih[begin : begin + cell.hidden_size]
