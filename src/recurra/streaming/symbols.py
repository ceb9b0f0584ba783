"""Symbols of a live text: each piece may end inside a word, a merge or a character."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.symbols import Ids, Symbols
from recurra.errors import DataError
from recurra.sequence import Sequence

HELD = 4 * 4096
"""The most bytes that wait for what follows: a word's longest."""


class SymbolStreamState(NamedTuple):
    """What has come and is not yet settled: held [1, HELD] uint8, its first `length` [1] int64 bytes."""

    held: Tensor
    length: Tensor


class SymbolPreprocessing:
    """Text in pieces → the ids of its symbols, those of the whole text however it is cut.

    Args:
        symbols: of the run.
    """

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._by_name = {name: i for i, name in enumerate(symbols.names) if i not in symbols.silent_ids}

    def initial_state(self) -> SymbolStreamState:
        """No text."""
        return _stored(b"")

    def step(self, x: Any, state: SymbolStreamState) -> tuple[Tensor, SymbolStreamState]:
        """One symbol, by its name as answers give it, or as the text that it is.

        Raises:
            DataError: it is none, or several.
        """
        if not isinstance(x, str):
            raise DataError(f"step takes one symbol as str, and this is {type(x).__name__}; push takes pieces of text")
        if x in self._by_name:
            return torch.tensor([self._by_name[x]]), state
        ids = self._symbols.encode(x)
        if len(ids) != 1:
            raise DataError(f"step: {x[:40]!r} is {len(ids)} symbols, and one is expected; push takes pieces of text")
        return _tensor(ids), state

    def run(self, chunk: Any, state: SymbolStreamState) -> tuple[Sequence | None, SymbolStreamState]:
        """A piece of text → the symbols that are settled.

        Args:
            chunk: str, or bytes of UTF-8 that may be cut inside a character.

        Raises:
            DataError: it is neither.
        """
        if not isinstance(chunk, str | bytes):
            raise DataError(f"push takes a piece of text as str or bytes, and this is {type(chunk).__name__}")
        encoder = self._symbols.encoder(_tail(state))
        ids = encoder.feed(chunk)
        return _sequence(ids), _stored(encoder.tail)

    def rest(self, state: SymbolStreamState) -> tuple[Sequence | None, SymbolStreamState]:
        """The symbols of what waits, as if the text ended here."""
        if not int(state.length):
            return None, state
        return _sequence(self._symbols.encoder(_tail(state)).finish()), _stored(b"")


def _sequence(ids: Ids) -> Sequence | None:
    return Sequence(_tensor(ids)[None], torch.tensor([len(ids)])) if len(ids) else None


def _tensor(ids: Ids) -> Tensor:
    return torch.from_numpy(ids.astype(np.int64))


def _tail(state: SymbolStreamState) -> bytes:
    return state.held[0, : int(state.length)].numpy().tobytes()


def _stored(tail: bytes) -> SymbolStreamState:
    if len(tail) > HELD:
        raise DataError(f"{len(tail)} bytes of text have come without the end of a word, and a live text holds {HELD}")
    held = np.zeros((1, HELD), np.uint8)
    held[0, : len(tail)] = np.frombuffer(tail, np.uint8)
    return SymbolStreamState(torch.from_numpy(held), torch.tensor([len(tail)]))
