"""Thousands of live sequences through one layer stack: those that are ready go a step together."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from recurra.engines.native import why_no_plan
from recurra.engines.native.pool import Ids, Rows, places_of
from recurra.errors import InputError, SettingsError, ShapeError
from recurra.nn.quick_steps import narrowed
from recurra.nn.recurrent import Recurrent
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.settings.names import StreamWeights, check_name
from recurra.state import State, check_state, leaves, map_state, select


class Pool:
    """Live sequences by number, their states in one memory.

    Layers that the native kernels know are stepped by them, in place; others by their own steps. As in a session,
    everything runs as in evaluation, without gradients, and later training that torch counts is seen. One thread at a
    time uses a pool.

    Args:
        layer: the stack, in one direction.
        sessions: how many sequences; their numbers go from 0.
        weights: "exact", or "int8": of 8 bits with a scale a row, quicker and less exact.

    Raises:
        NotStreamable: the layers are bidirectional.
        SettingsError: sessions below 1, or weights of 8 bits cannot be had.

    Example:
        >>> pool = Pool(Recurrent("gru", 64, 64), 1000)
        >>> y = pool.step([3, 14, 15], torch.randn(3, 64))  # [3, 64]
    """

    def __init__(self, layer: Recurrent, sessions: int, *, weights: StreamWeights = "exact") -> None:
        if sessions < 1:
            raise SettingsError(f"Pool: {sessions} sessions, expected 1 or more")
        check_name("weights", weights, get_args(StreamWeights))
        self._steps, self.sessions, self._weights = RecurrentSteps(layer), sessions, weights
        self._steps.check()
        self._rows: Rows | None = None  # the states, where the native kernels step
        self._state: State = None  # and where they do not
        self._open(layer.initial_state(sessions))

    def step(self, ids: Ids, x: Tensor) -> Tensor:
        """One time step of some sequences.

        Args:
            ids: [N] of the sequences that go on, in any order, none twice.
            x: [N, input_size].

        Returns:
            y [N, output_size].

        Raises:
            ShapeError: x does not fit, or ids name a sequence that is not there, or one twice.
            InputError: the layer is in training and its dropouts would act.
        """
        self._steps.check()
        rows = self._rows
        if rows is not None and not rows.plan.current():
            self._open(self.state(range(self.sessions)))
            rows = self._rows
        if rows is not None:
            return rows.step(ids, x)
        places = torch.from_numpy(places_of(ids, self.sessions))
        like = self._steps.like()
        if x.shape != (len(places), self._steps.input_size) or x.dtype != like.dtype or x.device != like.device:
            raise ShapeError(
                f"Pool.step: x is {x.dtype} {list(x.shape)} on {x.device}, "
                f"expected {like.dtype} {[len(places), self._steps.input_size]} on {like.device}"
            )
        with torch.inference_mode():
            y, moved = self._steps.step(x, select(self._state, places))
            self._put(places, moved)
        return y

    def state(self, ids: Ids) -> State:
        """A copy of the states of some sequences, a batch in the order of ids; `layer.stream(state)` goes on from it.

        Raises:
            ShapeError: ids name a sequence that is not there, or one twice.
        """
        places = torch.from_numpy(places_of(ids, self.sessions))
        with torch.inference_mode():
            if self._rows is None:
                return select(self._state, places)
            found = iter(self._rows.plan.read(self._rows.state[places]))
            return map_state(lambda _: next(found), self._steps.initial_state(len(places)))

    def put(self, ids: Ids, state: State) -> None:
        """Let some sequences go on from a state, of as many rows.

        Raises:
            ShapeError: the state is not one of the layer, or has another number of rows than ids.
        """
        places = torch.from_numpy(places_of(ids, self.sessions))
        check_state(state, self._steps.initial_state(len(places)), "Pool.put")
        with torch.inference_mode():
            if self._rows is None:
                self._put(places, state)
                return
            rows = self._rows.plan.new_state(len(places))
            self._rows.plan.write(rows, [leaf for _, leaf in leaves(state)])
            self._rows.state[places] = rows

    def reset(self, ids: Ids) -> None:
        """Begin anew with some sequences, from the layer's initial state.

        Raises:
            ShapeError: ids name a sequence that is not there, or one twice.
        """
        self.put(ids, self._steps.initial_state(len(places_of(ids, self.sessions))))

    def _open(self, state: State) -> None:
        """Hold these states, with the weights as they are now."""
        layers = self._steps.native()
        if self._weights == "int8":
            layers = narrowed(layers, "Pool")
        if layers is None or why_no_plan(layers) is not None:
            self._rows, self._state = None, map_state(lambda leaf: leaf.detach().clone(), state)
            return
        self._rows, self._state = Rows(layers, self.sessions), None
        with torch.inference_mode():
            self._rows.plan.write(self._rows.state, [leaf for _, leaf in leaves(state)])

    def _put(self, places: Tensor, state: State) -> None:
        map_state(lambda own, new: own.index_copy_(0, places.to(own.device), new), self._state, state)

    def __getstate__(self) -> None:
        raise InputError("Pool: it cannot be copied; take `state` of its sequences into another")
