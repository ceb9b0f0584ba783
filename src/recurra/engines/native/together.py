"""Chains that do not depend on each other, run at once: the two directions of a layer.

What a chain does in Python stands around its call of the library, and is written as one function that stops there:
`yield Call(…)`. So two chains can be stopped at their calls, and the library does both together.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.library import LibraryCall, Sequences, load


class Call(NamedTuple):
    """A call of the library that is to be made.

    function: the chain's. sequences: as it reads them; threads are given when it is made. weights: multiplications a
    row and step. places: what its pointers point to, in the order of its parameters.
    """

    function: Callable[..., Any]
    sequences: Sequences
    weights: int
    places: Sequence[Tensor | None]


class Record:
    """What a chain takes for autograd's context where it is not torch that calls it."""

    rows: Arrangement
    needs_input_grad: Sequence[bool]
    saved_tensors: Sequence[Tensor | None] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        self.saved_tensors = tensors


Results: TypeAlias = tuple[Tensor | None, ...]
Steps: TypeAlias = Generator[Call, None, Results]


class Chained:
    """A chain's function as torch calls it, alone.

    Args:
        body: the function, which stops once, where it wants the library to be called.
    """

    def __init__(self, body: Callable[..., Steps]) -> None:
        self.body = body

    def __call__(self, ctx: Any, *arguments: Any) -> Results:
        steps = self.body(ctx, *arguments)
        one = next(steps)
        one.sequences.threads = torch.get_num_threads()
        one.function(load().level, one.sequences, one.weights, _pointers(one.places))
        return _end(steps)


def at_once(several: Sequence[Steps]) -> list[Results]:
    """Begin all chains, call the library once for all, and end them. They share the threads."""
    calls = [next(one) for one in several]
    library, threads = load(), torch.get_num_threads()
    pointers = [_pointers(one.places) for one in calls]  # must live until the library has returned
    array = (LibraryCall * len(calls))()
    for place, one, at in zip(array, calls, pointers, strict=True):
        one.sequences.threads = -(-threads // len(calls))
        place.chain = ctypes.cast(one.function, ctypes.c_void_p).value  # type: ignore[arg-type]
        place.level, place.weights = library.level, one.weights
        place.sequences, place.places = ctypes.addressof(one.sequences), ctypes.addressof(at)
    library.functions.recurra_together(array, len(calls), threads)
    return [_end(one) for one in several]


def _pointers(places: Sequence[Tensor | None]) -> Any:
    return (ctypes.c_void_p * len(places))(*[None if one is None else one.data_ptr() for one in places])


def _end(one: Steps) -> Results:
    try:
        next(one)
    except StopIteration as end:
        results: Results = end.value
        return results
    raise RuntimeError("a chain stopped twice; it calls the library once")
