"""A live series in one call of the native kernels a step: numbers as they come in, outputs out."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from recurra.engines.native import Layer, Plan, Readout
from recurra.engines.native.check import check_tensors
from recurra.sequence import Sequence
from recurra.state import State, leaves, map_state

Parts = tuple[list[Layer], Readout]


class QuickSeries:
    """One series' state in memory, what steps it, and the answer made of the outputs.

    Args:
        parts: of the model as it is now; None where the native kernels cannot run it.
        training: whether the model is in training mode.
        answer: outputs → the answer.

    Raises:
        SettingsError, ShapeError: as `Plan`.
    """

    def __init__(
        self, parts: Callable[[], Parts | None], training: Callable[[], bool], answer: Callable[[list[float]], Any]
    ) -> None:
        self._parts, self._training, self._answer = parts, training, answer
        found = parts()
        assert found is not None
        plan = self._plan = Plan(*found, rows=1)
        self._state = plan.new_state(1)
        self._raw = np.zeros(plan.input_size)
        self._size = plan.input_size
        number = ctypes.c_float if plan.dtype is torch.float32 else ctypes.c_double
        self._outputs = (number * plan.output_size)()
        self._step = plan.step_scaled
        pointers = (self._state.data_ptr(), self._raw.ctypes.data, ctypes.addressof(self._outputs))
        self._at, self._places = plan.at, tuple(map(ctypes.c_void_p, pointers))

    def fits(self) -> bool:
        """Whether the model is as it was."""
        found = self._parts()
        return found is not None and self._plan.of(*found)

    def step(self, x: Any) -> Any:
        """The answer after a vector [D], or a number where D is 1; None, and nothing done, where it is none of these,
        is not finite, or where the model has changed.
        """
        if isinstance(x, str | bytes) or self._training() or not self._plan.current():
            return None
        array = np.asarray(x)
        if array.dtype.kind not in "iuf" or array.size != self._size or array.ndim > 1:
            return None
        self._raw[:] = array
        state, raw, outputs = self._places
        if not self._step(self._at, state, raw, outputs):
            return None
        return self._answer(self._outputs[:])

    def run(self, x: Sequence) -> Any:
        """The answer after steps that are standardised already, [1, T, D] with T ≥ 1; None, and nothing done, where the
        model has changed.
        """
        if self._training() or not self._plan.current():
            return None
        values = x.values.contiguous()
        check_tensors("stream, push", self._plan.dtype, {"steps": (values, (1, values.shape[1], self._size))})
        outputs = torch.empty(values.shape[1], len(self._outputs), dtype=self._plan.dtype)
        places = (self._state.data_ptr(), values.data_ptr(), outputs.data_ptr())
        self._plan.step_along(self._at, 1, values.shape[1], *places)
        return self._answer(outputs[-1].tolist())

    def write(self, state: State) -> None:
        """Go on from a state of the model."""
        self._plan.write(self._state, [leaf for _, leaf in leaves(state)])

    def state(self, like: State) -> State:
        """A copy of the state in the structure of another."""
        found = iter(self._plan.read(self._state))
        return map_state(lambda _: next(found), like)
