"""A `Recurrent` step by step, for a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.engines import select_engine
from recurra.engines.native import Layer, layer_of
from recurra.engines.single import single_cell
from recurra.errors import InputError
from recurra.nn.dilation import oldest, pushed
from recurra.nn.door import Entered
from recurra.nn.quick_steps import STEPPED, QuickMoves, open_moves
from recurra.nn.states import RecurrentState
from recurra.state import State, owned

if TYPE_CHECKING:
    from recurra.nn.recurrent import Recurrent


class RecurrentSteps:
    """The layers of a `Recurrent` in one direction, as in evaluation."""

    def __init__(self, layer: Recurrent) -> None:
        self.module = self.layer = layer
        self.name, self.input_size = type(layer).__name__, layer.input_size
        self._stack = [directions[0] for directions in layer.stack()]
        self._silence = layer.silence()
        self._moves: QuickMoves | None = None
        self._tried = False  # to make `_moves`

    def check(self) -> None:
        """Refuse two directions, and dropouts in training."""
        self.layer.check_streamable()
        if self.layer.training and self.layer.noisy():
            raise InputError(
                f"{self.name}: it is in training mode and its dropouts would act; call eval() first, a session runs as "
                "in evaluation (layer.step takes noise)"
            )

    def native(self) -> list[Layer] | None:
        """The layers as the native kernels take them; None where one has no kernel or another engine is asked for."""
        found = []
        for number, one in enumerate(self._stack):
            layer = layer_of(one.cell, one.dilation, self.layer.residual and number > 0)
            if layer is None or one.zoneout or self.layer.engine not in ("auto", "native"):
                return None
            found.append(layer)
        return found

    def noisy(self) -> bool:
        """Whether a dropout acts in training."""
        return self.layer.noisy()

    def like(self) -> Tensor:
        """A weight."""
        return next(self.layer.parameters())

    def initial_state(self, batch_size: int) -> State:
        """The layer's own: zeros, or what was learned."""
        return self.layer.initial_state(batch_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: the native kernels', or torch's cell function where it has one, or the cell's own step."""
        moves = self._native_moves() if x.shape[0] <= STEPPED and not torch.is_grad_enabled() else None
        if moves is not None and x.shape[0]:
            return moves.step(x, state)
        final = []
        for number, (one, begin) in enumerate(zip(self._stack, state.layers, strict=True)):
            read = begin if one.dilation == 1 else oldest(begin)
            if one.zoneout or select_engine(self.layer.engine, one.cell) == "loop":
                above, end = one.move(x, read, self._silence.layers[number].directions[0])
                end = owned(end)  # a cell may give views of what it computed; torch's functions do not
            else:
                above, end = single_cell(one.cell, x, read)
            if one.dilation > 1:
                end = pushed(begin, end)
            x = x + above if self.layer.residual and number else above
            final.append(end)
        return x, RecurrentState(tuple(final))

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Many steps by the layer's engine."""
        return self.layer.run(Entered(x, None, None, lambda outputs: outputs), state, self._silence)

    def _native_moves(self) -> QuickMoves | None:
        """Of the weights as they are now; None where the native kernels cannot."""
        if not self._tried or (self._moves is not None and not self._moves.current()):
            self._moves, self._tried = open_moves(self.native()), True
        return self._moves
