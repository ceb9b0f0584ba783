"""One layer stepped live at its least cost: weights packed once, the state in place, nothing allocated by a step."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from recurra.cells import Cell, GatedCell, GRUCell, GRUState, LSTMCell, LSTMState
from recurra.engines.native.check import check_tensors
from recurra.engines.native.engine import why_not
from recurra.engines.native.library import Step, load
from recurra.errors import SettingsError
from recurra.state import State


class Stepper:
    """A GRU or LSTM cell stepped in C++.

    The weights are copied, so later training is not seen, and there are no gradients. One thread at a time steps it.

    Args:
        cell: exactly a GRUCell or LSTMCell, float32 or float64 on the CPU.
        batch_size: sequences in step.

    Raises:
        SettingsError: the native kernels cannot run this cell here.

    Example:
        >>> stepper = Stepper(LSTMCell(64, 64))
        >>> y = stepper.step(torch.randn(1, 64))  # [1, 64]
    """

    def __init__(self, cell: Cell, batch_size: int = 1) -> None:
        known = type(cell) in (GRUCell, LSTMCell)
        reason = why_not(cell) if known else f"there is no native kernel for a step of {type(cell).__name__}"
        if reason is not None:
            raise SettingsError(f"Stepper: {reason}; step the cell itself")
        if batch_size < 1:
            raise SettingsError(f"Stepper: batch_size is {batch_size}, expected 1 or more")
        assert isinstance(cell, GatedCell)
        library = load()
        gates, like = len(cell.gates), cell.weight_hh.detach()
        self._kind: type[LSTMState] | type[GRUState] = LSTMState if gates == 4 else GRUState
        self._weights = [_packed(weight.detach(), bias.detach(), gates) for weight, bias in _parts(cell)]
        self._leaves = [like.new_zeros(batch_size, cell.hidden_size) for _ in self._kind._fields]
        self._outputs = [like.new_zeros(batch_size, cell.hidden_size) for _ in range(2)]
        self._shape, self._dtype = torch.Size((batch_size, cell.input_size)), like.dtype
        places = [leaf.data_ptr() for leaf in (*self._weights, *self._leaves)]
        self._box = Step(gates, batch_size, cell.input_size, cell.hidden_size, *places)
        self._step = library.function("step", like.dtype)
        self._level, self._at = ctypes.c_int(library.level), ctypes.c_void_p(ctypes.addressof(self._box))
        self._into = [ctypes.c_void_p(output.data_ptr()) for output in self._outputs]
        self._turn = 0

    @property
    def state(self) -> State:
        """A copy of the state after the last step: leaves [batch_size, H]."""
        return self._kind(*(leaf.clone() for leaf in self._leaves))

    @state.setter
    def state(self, state: State) -> None:
        if type(state) is not self._kind:
            raise SettingsError(f"Stepper: the state is a {type(state).__name__}, expected {self._kind.__name__}")
        pairs = list(zip(self._kind._fields, state, self._leaves, strict=True))
        given = {name: (leaf, tuple(own.shape)) for name, leaf, own in pairs}
        check_tensors("Stepper, state", self._dtype, given)
        for _, leaf, own in pairs:
            own.copy_(leaf.detach())

    def reset(self) -> None:
        """Begin again from a state of zeros."""
        for leaf in self._leaves:
            leaf.zero_()

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
        self._step(self._level, self._at, x.data_ptr(), self._into[turn])
        return self._outputs[turn]


def _parts(cell: GatedCell) -> list[tuple[Tensor, Tensor]]:
    return [(cell.weight_ih, cell.bias_ih), (cell.weight_hh, cell.bias_hh)]


def _packed(weight: Tensor, bias: Tensor, gates: int) -> Tensor:
    """[gates · H, K] as the kernels read it."""
    library = load()
    weight, bias = weight.contiguous(), bias.contiguous()
    size, columns = weight.shape[0] // gates, weight.shape[1]
    given = {"weight": (weight, (gates * size, columns)), "bias": (bias, (gates * size,))}
    check_tensors("Stepper", weight.dtype, given)
    lanes = library.lanes(weight.dtype)
    packed = weight.new_empty(-(-size // lanes) * lanes * gates * (columns + 1))
    library.function("pack_gates", weight.dtype)(
        library.level, weight.data_ptr(), bias.data_ptr(), gates, size, columns, packed.data_ptr()
    )
    return packed
