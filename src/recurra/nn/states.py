"""The states of layer stacks."""

from __future__ import annotations

from typing import NamedTuple

from recurra.state import State


class RecurrentState(NamedTuple):
    """One state a layer: the cell's own, or a BidirectionalState."""

    layers: tuple[State, ...]


class BidirectionalState(NamedTuple):
    """The two states of a layer that reads both ways."""

    forward: State
    backward: State
