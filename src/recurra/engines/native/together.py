"""How chains are run: alone, or the two directions of a layer at once.

A chain is a cell along time, as two functions. `forward(record, projected input, room for what is kept or None, leaves
of the state, weights)` writes the outputs to `record.outputs` and returns the leaves at the end; `backward(record,
gradient of the outputs, gradients of the ends, which it may write to)` returns the gradients of the projected input, of
the leaves and of the weights. What they do in Python stands around one call of the library, at which each stops:
`yield Call(…)`. So two chains can be stopped at their calls, and the library does both together.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator, Sequence
from functools import cache
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
    """What surrounds a chain, and what its forward leaves for its backward.

    rows: the arrangement. outputs: [N, H], at first room for them. overwrites: whether backward may write over what
    forward kept. needed: of each of the chain's tensors, the projected input first, whether its gradient is asked for.
    saved: what forward did save.
    """

    def __init__(self, rows: Arrangement, outputs: Tensor, overwrites: bool = False) -> None:
        self.rows, self.outputs, self.overwrites = rows, outputs, overwrites
        self.needed: Sequence[bool] = ()
        self.saved: Sequence[Any] = ()

    def save(self, *tensors: Tensor | None) -> None:
        """Leave tensors."""
        self.saved = tensors

    def written_over(self, kept: Tensor) -> Tensor:
        """Where gradients shaped as something kept may go."""
        return kept if self.overwrites else torch.empty_like(kept)

    def of_read(self, index: int, gradients: Tensor, hidden: Tensor) -> Tensor | None:
        """The gradient of the weights that read the hidden state, `needed[index]`; see `Arrangement.onto_read`."""
        return self.rows.onto_read(gradients, hidden, self.outputs) if self.needed[index] else None


Results: TypeAlias = tuple[Any, ...]
Steps: TypeAlias = Generator[Call, None, Results]


def alone(steps: Steps) -> Results:
    """A chain from its beginning to its end."""
    one = next(steps)
    one.sequences.threads = torch.get_num_threads()
    one.function(load().level, one.sequences, one.weights, _pointers(one.places))
    return _end(steps)


def at_once(several: Sequence[Steps]) -> list[Results]:
    """Begin all chains, call the library once for all, and end them. They share the threads."""
    if len(several) == 1:
        return [alone(several[0])]
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


@cache
def _array(count: int) -> Any:
    """The type of so many pointers."""
    return ctypes.c_void_p * count


def _pointers(places: Sequence[Tensor | None]) -> Any:
    return _array(len(places))(*[None if one is None else one.data_ptr() for one in places])


def _end(one: Steps) -> Results:
    try:
        next(one)
    except StopIteration as end:
        results: Results = end.value
        return results
    raise RuntimeError("a chain stopped twice; it calls the library once")
