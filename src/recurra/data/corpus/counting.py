"""What a text consists of, counted piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recurra.data.corpus.source import Piece


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
        if isinstance(piece, str):
            self.characters += len(piece)
            self.bytes += len(piece.encode("utf-8", "surrogatepass"))
            self.newlines += piece.count("\n")
            self._inside_line = piece[-1] != "\n"
        else:
            # a byte that goes on with a character of UTF-8 begins with the bits 10
            self.characters += int(np.count_nonzero(np.frombuffer(piece, np.uint8) & 0xC0 != 0x80))
            self.bytes += len(piece)
            self.newlines += piece.count(b"\n")
            self._inside_line = piece[-1:] != b"\n"

    @property
    def counts(self) -> Counts:
        """Of all pieces so far."""
        return Counts(self.characters, self.bytes, self.words, self.newlines + self._inside_line)
