"""Characters as symbols: one a code point, lossless but for those never seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.symbols.from_vocabulary import VocabularySymbols
from recurra.data.symbols.kind import UNREADABLE, Encoder, Ids, Unseen, as_text, folded
from recurra.data.vocabulary import UNK_ID

CODE_POINTS = 0x110000


@dataclass(frozen=True, eq=False)
class CharacterSymbols(VocabularySymbols):
    """Code points by id; newlines and spaces are symbols like the others.

    Args:
        vocabulary: of single characters; its padding is the symbol that a text begins from.
        lowercase: whether case is folded.
    """

    unit: str = field(default="char", init=False)
    _id_of: NDArray[Any] = field(init=False, repr=False)  # by code point, the last for all beyond
    _texts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.vocabulary.ids
        table = np.full(max(map(ord, known), default=0) + 2, UNK_ID, self.dtype)
        for character, i in known.items():
            table[ord(character)] = i
        object.__setattr__(self, "_id_of", table)
        object.__setattr__(self, "_texts", ("", UNREADABLE, *known))

    @property
    def newline_ids(self) -> tuple[int, ...]:
        """The newline's, where there is one."""
        return (self.vocabulary.ids["\n"],) if "\n" in self.vocabulary.ids else ()

    def encode(self, text: str | bytes) -> Ids:
        """[N] ids, one a character."""
        text = as_text(text)
        codes = code_points(folded(text) if self.lowercase else text)
        return self._id_of.take(codes, mode="clip")

    def decode(self, ids: Iterable[int]) -> str:
        """The characters; U+FFFD for the unknown one."""
        return "".join([self._texts[i] for i in ids])

    def encoder(self, tail: bytes = b"") -> Encoder:
        """For a text that comes in pieces."""
        return Encoder(self, tail)

    def decoder(self, tail: bytes = b"") -> CharacterDecoder:
        """For ids that come one after the other."""
        return CharacterDecoder(self)

    def unseen(self, text: str) -> tuple[Unseen, ...]:
        """Characters that are read as unknown."""
        known = self.vocabulary.ids
        # İ is two characters in lower case, so a place is that of the text as it was given
        return tuple(
            Unseen(character, i)
            for i, character in enumerate(text)
            if not all(one in known for one in (folded(character) if self.lowercase else character))
        )

    def settled(self, text: str) -> int:
        """Every character is."""
        return len(text)


class CharacterDecoder:
    """Ids → characters; nothing is ever held."""

    def __init__(self, symbols: CharacterSymbols) -> None:
        self._symbols = symbols

    def feed(self, ids: Iterable[int]) -> str:
        """Their characters."""
        return self._symbols.decode(ids)

    def finish(self) -> str:
        """Nothing."""
        return ""

    @property
    def tail(self) -> bytes:
        """Nothing."""
        return b""


def code_points(text: str) -> NDArray[np.uint8] | NDArray[np.uint32]:
    """[N] code points of a text, lone surrogates included."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
