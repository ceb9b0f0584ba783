"""A batch of live sequences stepped by the native kernels: the state in rows of memory, one call a step."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.engines.native import Layer, Plan, why_no_plan
from recurra.errors import SettingsError
from recurra.state import State, leaves, map_state

STEPPED = 64
"""The most rows that are stepped here: of more the matrix products of torch, on several threads, are quicker."""

PUSHED = 16
"""The same of a chunk: there torch's products take all its steps at once."""

TOGETHER = 256  # outputs whose memory is taken at once
LARGE = 1024  # bytes of an output from which on each has memory of its own


class QuickSteps:
    """The rows and what steps them.

    Args:
        layers: the stack.
        module: that they belong to.
        noisy: its dropouts act in training.
        rows: live sequences in step.
    """

    def __init__(self, layers: Sequence[Layer], module: nn.Module, noisy: bool, rows: int) -> None:
        plan = self._plan = Plan(layers, rows=rows)
        self._module, self._noisy, self.rows = module, noisy, rows
        self._state, self._dtype = plan.new_state(rows), plan.dtype
        self._step, self._at, self._count = plan.step_rows, plan.at, ctypes.c_int64(rows)
        self._place = ctypes.c_void_p(self._state.data_ptr())
        self._bytes = rows * plan.output_size * self._state.element_size()
        self._shape = torch.Size((rows, plan.input_size))
        self._outputs, self._next, self._left = self._state, 0, 0

    def of(self, layers: Sequence[Layer], rows: int) -> bool:
        """Whether it steps so many rows through these layers as they are now."""
        return rows == self.rows and self._plan.of(layers)

    def step(self, x: Tensor) -> Tensor | None:
        """One step; None, and nothing done, where x is not what the last step read, or the weights have changed.

        Args:
            x: as it came to `read`.
        """
        if (
            x.shape != self._shape
            or x.dtype is not self._dtype
            or not x.is_cpu
            or not x.is_contiguous()
            or x.is_neg()
            or (self._noisy and self._module.training)
            or not self._plan.current()
        ):
            return None
        at = x.data_ptr()
        if not at:
            return None
        if not self._left:
            self._take()
        left = self._left = self._left - 1
        self._step(self._at, self._count, None, self._place, at, self._next)
        self._next += self._bytes
        return self._outputs[TOGETHER - 1 - left]

    def read(self, x: Tensor) -> Tensor:
        """One step of any tensor [input_size] or [B, input_size] that fits; its form is that of the steps to come."""
        x = x.contiguous().resolve_neg()
        self._shape, self._left = x.shape, 0
        y = self.step(x)
        assert y is not None
        return y

    def push(self, x: Tensor) -> Tensor:
        """Many steps: x [B, T, input_size] → outputs [B, T, output_size]."""
        x = x.contiguous().resolve_neg()
        outputs = x.new_empty(*x.shape[:2], self._plan.output_size)
        self._plan.step_along(self._at, *x.shape[:2], self._place, x.data_ptr(), outputs.data_ptr())
        return outputs

    def write(self, state: State) -> None:
        """Go on from a state, of the structure and shapes that the layers have."""
        self._plan.write(self._state, [leaf for _, leaf in leaves(state)])

    def state(self, like: State) -> State:
        """A copy of the state in the structure of another."""
        found = iter(self._plan.read(self._state))
        return map_state(lambda _: next(found), like)

    @torch.inference_mode()
    def _take(self) -> None:
        """Memory for outputs to come: what a step gives is the caller's, and is never written again."""
        count = 1 if self._bytes > LARGE else TOGETHER
        shape = (*self._shape[:-1], self._plan.output_size)
        whole = torch.empty(count, *shape, dtype=self._dtype)
        self._next, self._left = whole.data_ptr(), count
        self._outputs = whole if count == TOGETHER else whole.expand(TOGETHER, *shape)


class QuickMoves:
    """Single steps of layers whose state is given and returned: nothing of a sequence is held here.

    Any number of sequences and threads may share one; what a step gives is the caller's.

    Args:
        layers: the stack.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._plan, self._lock = Plan(layers), threading.Lock()

    def current(self) -> bool:
        """Whether nothing has been written to the weights, as far as torch counts it."""
        return self._plan.current()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x [B, input_size] and the layers' state → y [B, output_size] and the next state."""
        plan, x, rows = self._plan, x.contiguous().resolve_neg(), self._plan.new_state(x.shape[0])
        plan.write(rows, [leaf for _, leaf in leaves(state)])
        y = x.new_empty(x.shape[0], plan.output_size)
        with self._lock:  # the plan has one space to compute in
            plan.step_rows(plan.at, len(x), None, rows.data_ptr(), x.data_ptr(), y.data_ptr())
        found = iter(plan.read(rows))
        return y, map_state(lambda _: next(found), state)

    def __reduce__(self) -> tuple[Any, ...]:
        return QuickMoves, (self._plan.layers,)


def open_moves(layers: Sequence[Layer] | None) -> QuickMoves | None:
    """What moves these layers; None where the native kernels cannot."""
    return QuickMoves(layers) if layers and why_no_plan(layers) is None else None


def open_quick(layers: Sequence[Layer] | None, module: nn.Module, noisy: bool, rows: int) -> QuickSteps | None:
    """What steps these layers; None where the native kernels cannot."""
    if not layers or rows < 1 or why_no_plan(layers) is not None:
        return None
    return QuickSteps(layers, module, noisy, rows)


def narrowed(layers: Sequence[Layer] | None, name: str) -> list[Layer]:
    """The layers with weights of 8 bits.

    Raises:
        SettingsError: the native kernels cannot run these.
    """
    reason = "it has a layer that the native kernels do not know, or another engine" if not layers else None
    if layers:
        reason = why_no_plan(layers)
        if reason is None and layers[0].weight_hh.dtype != torch.float32:
            reason = f"they are made of torch.float32, and its weights are {layers[0].weight_hh.dtype}"
    if not layers or reason is not None:
        raise SettingsError(f"{name}, stream: weights 'int8' cannot be had: {reason}; give weights='exact'")
    return [layer._replace(narrow=True) for layer in layers]
