"""Layers stepped live at their least cost: weights packed once, the state in place, nothing allocated by a step."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell, ElmanCell, ElmanState, GatedCell, GRUCell, GRUState, LSTMCell, LSTMState
from recurra.engines.native.check import check_tensors
from recurra.engines.native.layers import Layer
from recurra.engines.native.plan import Plan, why_no_plan
from recurra.errors import SettingsError
from recurra.state import State

STATES: dict[str, type[Any]] = {"rnn_tanh": ElmanState, "rnn_relu": ElmanState, "gru": GRUState, "lstm": LSTMState}
"""The state of each kind of layer."""

PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def layer_of(cell: Cell, dilation: int = 1, residual: bool = False) -> Layer | None:
    """A cell as a native layer, its weights as they are now; None where there is no kernel for it.

    Subclasses may compute something else, and a weight that is computed anew at each call cannot be packed.
    """
    kinds: dict[type[Cell], str] = {GRUCell: "gru", LSTMCell: "lstm"}
    kind = f"rnn_{cell.nonlinearity}" if type(cell) is ElmanCell else kinds.get(type(cell))
    if kind is None or not all(name in cell._parameters for name in PARAMETERS):
        return None
    assert isinstance(cell, GatedCell)
    return Layer(kind, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh, dilation, residual)


class Stepper:
    """A GRU, LSTM or plain recurrent cell stepped in C++.

    The weights are copied, so later training is not seen, and there are no gradients. One thread at a time steps it.

    Args:
        cell: exactly a GRUCell, LSTMCell or ElmanCell, float32 or float64 on the CPU.
        batch_size: sequences in step.

    Raises:
        SettingsError: the native kernels cannot run this cell here.

    Example:
        >>> stepper = Stepper(LSTMCell(64, 64))
        >>> y = stepper.step(torch.randn(1, 64))  # [1, 64]
    """

    def __init__(self, cell: Cell, batch_size: int = 1) -> None:
        layer = layer_of(cell)
        reason = (
            f"there is no native kernel for a step of {type(cell).__name__}" if layer is None else why_no_plan([layer])
        )
        if layer is None or reason is not None:
            raise SettingsError(f"Stepper: {reason}; step the cell itself")
        if batch_size < 1:
            raise SettingsError(f"Stepper: batch_size is {batch_size}, expected 1 or more")
        plan = self._plan = Plan([layer], rows=batch_size)
        self._kind, self._dtype = STATES[layer.kind], plan.dtype
        self._rows, self._shape = plan.new_state(batch_size), torch.Size((batch_size, plan.input_size))
        self._outputs = [self._rows.new_zeros(batch_size, plan.output_size) for _ in range(2)]
        self._step, self._at, self._count = plan.step_rows, plan.at, ctypes.c_int64(batch_size)
        self._state = ctypes.c_void_p(self._rows.data_ptr())
        self._into = [ctypes.c_void_p(output.data_ptr()) for output in self._outputs]
        self._turn = 0

    @property
    def state(self) -> State:
        """A copy of the state after the last step: leaves [batch_size, H]."""
        return self._kind(*self._plan.read(self._rows))

    @state.setter
    def state(self, state: State) -> None:
        if type(state) is not self._kind:
            raise SettingsError(f"Stepper: the state is a {type(state).__name__}, expected {self._kind.__name__}")
        shape = (len(self._rows), self._outputs[0].shape[1])
        given = {name: (leaf, shape) for name, leaf in state._asdict().items()}
        check_tensors("Stepper, state", self._dtype, given)
        self._plan.write(self._rows, state)

    def reset(self) -> None:
        """Begin again from a state of zeros."""
        self._rows.zero_()

    def step(self, x: Tensor) -> Tensor:
        """One time step.

        Args:
            x: [batch_size, input_size], without gaps.

        Returns:
            y [batch_size, H]; its memory is written again two steps later: clone what is to be kept.

        Raises:
            ShapeError: x does not fit.
        """
        if x.shape != self._shape or x.dtype is not self._dtype or not x.is_cpu or not x.is_contiguous() or x.is_neg():
            check_tensors("Stepper, step", self._dtype, {"x": (x, tuple(self._shape))})
        # Two outputs take turns, as x may be the last one.
        turn = self._turn = 1 - self._turn
        self._step(self._at, self._count, None, self._state, x.data_ptr(), self._into[turn])
        return self._outputs[turn]
