"""A live sequence through one layer: the state is in the session, never on the module.

Layers that the native kernels know go through `QuickSteps`, whose rows then hold the newest state; everything else, and
whatever is not as the last step was, goes through the layer's own steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, get_args

import torch
from torch import Tensor, nn

from recurra.engines.native import Layer
from recurra.errors import InputError, ShapeError
from recurra.nn.quick_steps import PUSHED, STEPPED, QuickSteps, narrowed, open_quick
from recurra.settings.names import StreamWeights, check_name
from recurra.state import State, batch_size, check_state, owned
from recurra.state_file import load_state, save_state, weights_digest


class Steps(Protocol):
    """What a session asks of a layer, whichever kind it is: arguments are checked, gradients are off.

    Attributes:
        name: of the layer, for messages.
        input_size: features of x.
    """

    name: str
    input_size: int

    @property
    def module(self) -> nn.Module:
        """The layer."""

    def check(self) -> None:
        """Refuse a layer that cannot go step by step, or whose dropouts would act.

        Raises:
            NotStreamable, InputError
        """

    def native(self) -> list[Layer] | None:
        """The layers as the native kernels take them, weights as they are now; None where they cannot."""

    def noisy(self) -> bool:
        """Whether a dropout acts in training."""

    def like(self) -> Tensor:
        """A weight: inputs have its dtype and device."""

    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x [B, input_size] and a state → y [B, output_size] and the next state."""

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x [B, T, input_size], T ≥ 1, and a state → outputs [B, T, output_size] and the state after the last step."""


class LayerSession:
    """A live sequence, or a batch of them in step, through one layer.

    Later training is seen: the native kernels' copy of the weights is made anew as soon as torch has counted a write to
    them; a write through `.data`, which it does not count, or another parameter in one's place, after `reset`. All runs
    in inference mode, and as in evaluation; a layer in training mode whose dropouts would act is refused. The layer's
    hooks are not called.

    Args:
        steps: the layer.
        state: to begin from: another session's `state`, or the path of one that a session saved; None: the layer's
            initial state.
        weights: "exact", or "int8": weights of 8 bits with a scale a row, made of those of the layer, smaller and
            quicker and less exact; states fit either.

    Example:
        >>> session = LSTM(64, 64).stream()
        >>> y = session.step(torch.randn(64))  # one sequence: [64]; several in step: [B, 64]
        >>> outputs = session.push(torch.randn(10, 64))  # ten more steps
    """

    def __init__(self, steps: Steps, state: State | str | Path | None = None, weights: StreamWeights = "exact") -> None:
        steps.check()
        check_name("weights", weights, get_args(StreamWeights))
        self._steps, self._weights = steps, weights
        if weights == "int8":
            narrowed(steps.native(), steps.name)
        if isinstance(state, str | Path):
            digest = weights_digest(steps.module)
            state = load_state(state, like=steps.initial_state(1), weights=digest, name=f"this {steps.name}")
        self._state = state
        self._quick: QuickSteps | None = None
        self._held = False  # its rows hold the newest state; `_state` is a copy of it, or None
        self._batch_size = batch_size(state) if isinstance(state, tuple) else None
        if state is not None:
            check_state(state, steps.initial_state(self._batch_size or 0), f"{steps.name}.stream")

    @property
    def state(self) -> State | None:
        """The state after the last step, batch first; None before the first one, unless the session began from one."""
        if self._state is None and self._held and self._quick is not None:
            with torch.inference_mode():
                self._state = self._quick.state(self._steps.initial_state(self._quick.rows))
        return self._state

    def step(self, x: Tensor) -> Tensor:
        """One time step.

        Args:
            x: [input_size], or [B, input_size] for a batch of sequences in step.

        Returns:
            y [output_size], or [B, output_size].

        Raises:
            ShapeError: x does not fit the layer, or has another batch size than before.
            InputError: the layer is in training and its dropouts would act.
        """
        if self._held and self._quick is not None:
            y = self._quick.step(x)
            if y is not None:
                self._state = None
                return y
        one, given = x.dim() == 1, x
        with torch.inference_mode():
            x, state = self._enter(x, 1, "step", "[{D}] or [B, {D}]")
            quick = self._hold(state, x.shape[0], STEPPED)
            if quick is None:
                y, self._state = self._steps.step(x, state)
                self._held, y = False, y[0] if one else y
            else:
                y, self._state = quick.read(given), None
        self._batch_size = x.shape[0]
        return y

    def push(self, chunk: Tensor) -> Tensor:
        """Several time steps: the same numbers as one `step` each.

        Args:
            chunk: [T, input_size], or [B, T, input_size]; T may be 0.

        Returns:
            outputs [T, output_size], or [B, T, output_size].

        Raises:
            ShapeError, InputError: as `step`.
        """
        one = chunk.dim() == 2
        with torch.inference_mode():
            x, state = self._enter(chunk, 2, "push", "[T, {D}] or [B, T, {D}]")
            if x.shape[1] == 0:  # one step made and thrown away says how wide an output is
                y, _ = self._steps.step(x.new_zeros(x.shape[0], x.shape[2]), state)
                outputs, self._state = y[:, None][:, :0], state
            elif (quick := self._hold(state, x.shape[0], PUSHED)) is not None:
                outputs, self._state = quick.push(x), None
            else:
                outputs, state = self._steps.run(x, state)
                self._state, self._held = owned(state), False
        self._batch_size = x.shape[0]
        return outputs[0] if one else outputs

    def reset(self) -> None:
        """Begin a new sequence, from the layer's initial state; its batch size may be another."""
        self._state, self._batch_size = None, None
        self._quick, self._held = None, False

    def fork(self) -> LayerSession:
        """A second session that goes on from here; neither changes the other."""
        other = LayerSession(self._steps, self.state, self._weights)  # no step writes into a state that was given out
        other._batch_size = self._batch_size
        return other

    def save(self, path: str | Path) -> None:
        """Keep the state in a file: `layer.stream(path)` goes on from it, in another process too.

        Args:
            path: of the file, safetensors by its kind; one of that name is replaced.

        Raises:
            InputError: no step was made yet, or the folder does not exist.
            WorkError: the disk is full or fails.
        """
        if self.state is None:
            raise InputError(f"{self._steps.name} session, save: there is no state yet; make a step first")
        save_state(path, self.state, weights=weights_digest(self._steps.module))

    def _enter(self, x: Tensor, unbatched: int, where: str, expected: str) -> tuple[Tensor, State]:
        """x with a batch dimension, and the state before it."""
        steps = self._steps
        steps.check()
        like = steps.like()
        if x.dim() not in (unbatched, unbatched + 1) or x.shape[-1] != steps.input_size:
            raise ShapeError(
                f"{steps.name} session, {where}: x has shape {list(x.shape)}, "
                f"expected {expected.format(D=steps.input_size)}"
            )
        if x.dtype != like.dtype or x.device != like.device:
            raise ShapeError(
                f"{steps.name} session, {where}: x is {x.dtype} on {x.device}, expected {like.dtype} on {like.device}, "
                "as the weights are"
            )
        if x.dim() == unbatched:
            x = x[None]
        if self._batch_size is not None and x.shape[0] != self._batch_size:
            raise ShapeError(
                f"{steps.name} session, {where}: x has a batch of {x.shape[0]}, and this session began with "
                f"{self._batch_size}; call reset() to begin anew, or open a session for each"
            )
        return x, steps.initial_state(x.shape[0]) if self.state is None else self.state

    def _hold(self, state: State, rows: int, most: int) -> QuickSteps | None:
        """What steps natively from here, the state in its rows; None where nothing can, or there are too many rows."""
        layers = self._steps.native()
        if self._weights == "int8":
            layers = narrowed(layers, self._steps.name)
        elif rows > most:
            return None
        if self._quick is None or layers is None or not self._quick.of(layers, rows):
            self._quick, self._held = open_quick(layers, self._steps.module, self._steps.noisy(), rows), False
        if self._quick is not None and not self._held:
            self._quick.write(state)
            self._held = True
        return self._quick

    def __getstate__(self) -> dict[str, Any]:
        """For copies: memory that is written to is not shared."""
        return {**self.__dict__, "_state": self.state, "_quick": None, "_held": False}
