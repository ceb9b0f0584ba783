"""One step by torch's own cell functions: a call into C++ instead of a dozen from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import _VF, Tensor

from recurra.cells import Cell, ElmanState, GatedCell, GRUState, LSTMState
from recurra.engines.fused import mode_of, why_not
from recurra.state import State

STATES: dict[str, type[Any]] = {"RNN_TANH": ElmanState, "RNN_RELU": ElmanState, "LSTM": LSTMState, "GRU": GRUState}
"""The state of each of torch's kernels, by torch's name of it."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "RNN_TANH": _VF.rnn_tanh_cell,
    "RNN_RELU": _VF.rnn_relu_cell,
    "LSTM": _VF.lstm_cell,
    "GRU": _VF.gru_cell,
}


def single(mode: str, x: Tensor, state: State, weights: Sequence[Tensor | None]) -> tuple[Tensor, State]:
    """One step.

    Args:
        mode: torch's name of the kernel.
        x: [B, input_size].
        state: of the type in STATES, leaves [B, hidden_size].
        weights: weight_ih, weight_hh, bias_ih, bias_hh; the biases may be left out, or None.

    Returns:
        y [B, hidden_size] and the next state.
    """
    if mode == "LSTM":
        hidden, cell = _FUNCTIONS[mode](x, tuple(state), *weights)
        return hidden, LSTMState(hidden, cell)
    hidden = _FUNCTIONS[mode](x, state.hidden, *weights)
    return hidden, STATES[mode](hidden)


def single_cell(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """`cell.step`, by torch's function where it has one for this cell."""
    if why_not(cell) is not None or not isinstance(cell, GatedCell):
        return cell.step(x, state)
    return single(mode_of(cell), x, state, (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh))
