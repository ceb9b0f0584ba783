"""A text's ids, written as it is read: in memory, or on disk where they are many."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurra.data.corpus.counting import Counter, Counts
from recurra.data.corpus.source import Piece
from recurra.data.symbols import Ids, Symbols
from recurra.files import ScratchFile

MOST_IN_MEMORY = 64 << 20  # bytes of ids of one text


@dataclass(frozen=True, eq=False)
class Text:
    """A text as ids.

    Args:
        ids: [N], not to be written to. Each is a target once, so a loss summed over all N is that of the whole text.
        counts: its characters, bytes, words and lines.
        occurrences: [V] int64, how often each symbol occurs.
    """

    ids: Ids
    counts: Counts
    occurrences: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class TextWriter:
    """A text in pieces → its ids.

    Args:
        symbols: of the model.
        folder: on whose disk many ids are kept; None: where the system keeps temporary files.
        most_in_memory: bytes of ids; beyond, they are kept on disk.
    """

    symbols: Symbols
    folder: Path | None = None
    most_in_memory: int = MOST_IN_MEMORY
    _parts: list[Ids] = field(default_factory=list, init=False)
    _bytes: int = field(default=0, init=False)
    _scratch: ScratchFile | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._encoder = self.symbols.encoder()
        self._counter = Counter()
        self._occurrences = np.zeros(len(self.symbols), np.int64)

    def add(self, piece: Piece) -> None:
        """Encode one more piece.

        Raises:
            WorkError: the disk is full or fails.
        """
        self._counter.add(piece)
        self._append(self._encoder.feed(piece))

    def finish(self) -> Text:
        """The text.

        Raises:
            WorkError: the disk is full or fails.
        """
        self._append(self._encoder.finish())
        if self._scratch is None:
            ids = np.concatenate([np.zeros(0, self.symbols.dtype), *self._parts])
            ids.flags.writeable = False
        else:
            self._spill(self._scratch)
            ids = np.frombuffer(self._scratch.map(), self.symbols.dtype)
        return Text(ids, self._counter.counts, self._occurrences)

    def _append(self, ids: Ids) -> None:
        self._occurrences += np.bincount(ids, minlength=len(self._occurrences))
        self._parts.append(ids)
        self._bytes += ids.nbytes
        if self._bytes > self.most_in_memory:
            self._scratch = self._scratch or ScratchFile(self.folder)
            self._spill(self._scratch)

    def _spill(self, scratch: ScratchFile) -> None:
        for part in self._parts:
            scratch.append(part.data)
        self._parts.clear()
        self._bytes = 0
