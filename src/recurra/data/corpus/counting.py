"""What a text consists of, counted piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recurra.data.corpus.source import Piece, newlines_of


class Counts(NamedTuple):
    """What a text consists of.

    Args:
        characters: code points.
        bytes: of the text in UTF-8; of the file itself where bytes are the symbols.
        words: stretches without white space.
        lines: an unfinished last one included.
    """

    characters: int
    bytes: int
    words: int
    lines: int


@dataclass
class Counter:
    """Counts of the pieces so far: however the text is cut, they are those of the whole."""

    characters: int = 0
    bytes: int = 0
    words: int = 0
    newlines: int = 0
    _inside_word: bool = False
    _inside_line: bool = False

    def add(self, piece: Piece) -> None:
        """Count one more piece."""
        if not piece:
            return
        self.words += len(piece.split()) - (self._inside_word and not piece[:1].isspace())
        self._inside_word = not piece[-1:].isspace()
        self.newlines += newlines_of(piece)
        self._inside_line = piece[-1:] not in ("\n", b"\n")
        if isinstance(piece, str):
            self.characters += len(piece)
            self.bytes += len(piece.encode("utf-8", "surrogatepass"))
        else:
            # a byte that goes on with a character of UTF-8 begins with the bits 10
            self.characters += int(np.count_nonzero(np.frombuffer(piece, np.uint8) & 0xC0 != 0x80))
            self.bytes += len(piece)

    @property
    def counts(self) -> Counts:
        """Of all pieces so far."""
        return Counts(self.characters, self.bytes, self.words, self.newlines + self._inside_line)
