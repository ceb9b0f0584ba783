"""State: a tree of NamedTuples of tensors, batch first, that goes into a recurrence and comes out of it.

A leaf is a tensor whose first dimension is the batch. Repeated layers are plain tuples, every other node is a
NamedTuple. Nothing here keeps or changes a state: each function returns a new tree of the same structure.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from recurra.errors import ShapeError

State = Any  # a tensor or a (named) tuple of states; a recursive alias says no more to a type checker
T = TypeVar("T")


class Leaf(NamedTuple):
    """One tensor of a state. path: its name, `layers.0.cell`; shape: with the batch; dtype: as in "float32"."""

    path: str
    shape: tuple[int, ...]
    dtype: str


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


def describe(state: State) -> list[Leaf]:
    """What a state holds, leaf by leaf: to look at, and to compare."""
    return [Leaf(path, tuple(leaf.shape), dtype_name(leaf)) for path, leaf in leaves(state)]


def dtype_name(leaf: Tensor) -> str:
    """`torch.float32` → "float32"."""
    return str(leaf.dtype).removeprefix("torch.")


def select(state: T, rows: Tensor) -> T:
    """Rows of a state, in the order given; rows is [N] int64, or [B] bool."""
    return map_state(lambda leaf: leaf[rows.to(leaf.device)], state)


def merge(states: list[T]) -> T:
    """Several states, one after the other along the batch."""
    return map_state(lambda *parts: torch.cat(parts), *states)


def choose(mask: Tensor, when_true: T, when_false: T) -> T:
    """Row by row from one state or the other; mask is [B] bool."""
    return map_state(lambda yes, no: torch.where(mask.view(-1, *[1] * (yes.dim() - 1)), yes, no), when_true, when_false)


def reset(state: T, rows: Tensor, initial: T) -> T:
    """Rows put back to an initial state; the others stay as they are.

    Args:
        state: of B rows.
        rows: [N] int64, or [B] bool.
        initial: of the same structure, of B rows, or of one row for all.

    Raises:
        ShapeError: the structures differ, or a row is none of the state's.
    """
    batch, given = batch_size(state), batch_size(initial)
    if batch is None or given is None:  # nothing to put back, if the structures are the same
        return map_state(lambda _, old: old, initial, state)
    if given not in (1, batch):
        raise ShapeError(f"reset: the initial state has {given} rows, expected {batch}, or 1 for all")
    like = map_state(lambda leaf: torch.empty(given, *leaf.shape[1:], dtype=leaf.dtype, device="meta"), state)
    check_state(initial, like, "reset, initial")
    if rows.dtype == torch.bool and rows.shape != (batch,):
        raise ShapeError(f"reset: rows are bool of shape {list(rows.shape)}, expected [{batch}], one a row")
    if rows.dtype != torch.bool and rows.numel() and not 0 <= int(rows.min()) <= int(rows.max()) < batch:
        raise ShapeError(f"reset: rows are {rows.tolist()}, expected numbers from 0 to {batch - 1}, the state's rows")
    mask = torch.zeros(batch, dtype=torch.bool)
    mask[rows.cpu()] = True

    def of_leaf(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(mask.to(old.device).view(-1, *[1] * (old.dim() - 1)), new, old)

    return map_state(of_leaf, initial, state)


def owned(state: T) -> T:
    """The same values, each leaf contiguous and in memory of its own.

    A view would keep the whole chunk alive that it was cut from; and the last bits of a product may hang on where its
    factors lie in memory, which a state read from a file does not share.
    """

    return cast(T, _owned(state))


def _owned(state: State) -> State:
    if isinstance(state, Tensor):
        size = state.numel() * state.element_size()
        if state.is_contiguous() and state.untyped_storage().nbytes() == size:
            return state
        return state.clone(memory_format=torch.contiguous_format)
    parts = [_owned(part) for part in state]
    if all(map(operator.is_, parts, state)):  # as after most steps: no tree is built anew
        return state
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def batch_size(state: State) -> int | None:
    """Rows of a state: the first dimension that all its leaves share; None where it has no leaf.

    Raises:
        ShapeError: a leaf has no dimension, or another number of rows than the first.
    """
    rows: int | None = None
    for path, leaf in leaves(state):
        if not leaf.dim() or (rows is not None and leaf.shape[0] != rows):
            expected = "a batch first" if rows is None else f"{rows} rows as the leaves before it"
            raise ShapeError(f"state.{path} has shape {list(leaf.shape)}, expected {expected}")
        rows = leaf.shape[0]
    return rows


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
