"""State: a tree of NamedTuples of tensors, batch first, that goes into a recurrence and comes out of it.

A leaf is a tensor whose first dimension is the batch. Repeated layers are plain tuples, every other node is a
NamedTuple. Nothing here keeps or changes a state: each function returns a new tree of the same structure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from recurra.errors import ShapeError

State = Any  # a tensor or a (named) tuple of states; a recursive alias says no more to a type checker
T = TypeVar("T")


def map_state(function: Callable[..., Any], *states: T) -> T:
    """Apply a function leaf by leaf to states of one structure.

    Raises:
        ShapeError: the structures differ.
    """
    first = states[0]
    if isinstance(first, Tensor):
        return function(*states)  # type: ignore[no-any-return]
    if not isinstance(first, tuple):
        raise ShapeError(f"state: a {type(first).__name__} stands where a tensor or a (named) tuple is expected")
    for other in states[1:]:
        if type(other) is not type(first) or len(other) != len(first):  # type: ignore[arg-type]
            raise ShapeError(f"state: {_outline(other)} does not have the structure {_outline(first)}")
    children = [map_state(function, *parts) for parts in zip(*states, strict=True)]
    return type(first)(*children) if hasattr(first, "_fields") else tuple(children)  # type: ignore[return-value]


def leaves(state: State, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor with its name by path: `layers.0.cell`."""
    if isinstance(state, Tensor):
        yield path, state
        return
    names = getattr(state, "_fields", None) or range(len(state))
    for name, part in zip(names, state, strict=True):
        yield from leaves(part, f"{path}.{name}" if path else str(name))


def select(state: T, rows: Tensor) -> T:
    """Rows of a state, in the order given; rows is [N] int64, or [B] bool."""
    return map_state(lambda leaf: leaf[rows.to(leaf.device)], state)


def merge(states: list[T]) -> T:
    """Several states, one after the other along the batch."""
    return map_state(lambda *parts: torch.cat(parts), *states)


def choose(mask: Tensor, when_true: T, when_false: T) -> T:
    """Row by row from one state or the other; mask is [B] bool."""
    return map_state(lambda yes, no: torch.where(mask.view(-1, *[1] * (yes.dim() - 1)), yes, no), when_true, when_false)


def detach(state: T) -> T:
    """The same values, cut from the graph that made them (between windows of truncated BPTT)."""
    return map_state(Tensor.detach, state)


def check_state(given: State, expected: State, where: str) -> None:
    """Refuse a state whose structure, shapes or dtypes are not those expected.

    Raises:
        ShapeError: naming the leaf, what it is and what it should be.
    """

    def compare(one: State, other: State, path: str) -> None:
        if isinstance(other, Tensor):
            if not isinstance(one, Tensor):
                raise ShapeError(f"{where}: state{path} is a {type(one).__name__}, expected a tensor")
            if one.shape != other.shape:
                raise ShapeError(
                    f"{where}: state{path} has shape {list(one.shape)}, expected {list(other.shape)}. "
                    "Does it come from another model, or another batch size?"
                )
            if one.dtype != other.dtype:
                raise ShapeError(f"{where}: state{path} is {one.dtype}, expected {other.dtype}")
            return
        if type(one) is not type(other) or len(one) != len(other):
            raise ShapeError(
                f"{where}: state{path} is {_outline(one)}, expected {_outline(other)}. Does it come from another model?"
            )
        names = getattr(other, "_fields", None) or range(len(other))
        for name, part, model in zip(names, one, other, strict=True):
            compare(part, model, f"{path}.{name}")

    compare(given, expected, "")


def _outline(state: Any) -> str:
    if isinstance(state, tuple):
        fields = getattr(state, "_fields", None)
        inside = ", ".join(fields) if fields else f"{len(state)} parts"
        return f"{type(state).__name__}({inside})"
    return f"a {type(state).__name__}"
