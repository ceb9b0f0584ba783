"""Characters as symbols: one a code point, lossless but for those never seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.symbols.kind import UNREADABLE, Encoder, Ids, Unseen, as_text, folded, smallest_dtype
from recurra.data.vocabulary import PAD_ID, UNK_ID, Vocabulary

CODE_POINTS = 0x110000


@dataclass(frozen=True, eq=False)
class CharacterSymbols:
    """Code points by id; newlines and spaces are symbols like the others.

    Args:
        vocabulary: of single characters; its padding is the symbol that a text begins from.
        lowercase: whether case is folded.
    """

    vocabulary: Vocabulary
    lowercase: bool = False
    unit: str = field(default="char", init=False)
    names: tuple[str, ...] = field(init=False, repr=False)
    dtype: np.dtype[Any] = field(init=False, repr=False)
    _id_of: NDArray[Any] = field(init=False, repr=False)  # by code point, the last for all beyond
    _texts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = self.vocabulary.ids
        dtype = smallest_dtype(len(self.vocabulary))
        table = np.full(max(map(ord, known), default=0) + 2, UNK_ID, dtype)
        for character, i in known.items():
            table[ord(character)] = i
        object.__setattr__(self, "names", ("<begin>", "<unk>", *known))
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "_id_of", table)
        object.__setattr__(self, "_texts", ("", UNREADABLE, *known))

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def begin_id(self) -> int:
        """Read first by a fresh state."""
        return PAD_ID

    @property
    def unk_id(self) -> int:
        """What a character never seen is read as."""
        return UNK_ID

    @property
    def silent_ids(self) -> tuple[int, ...]:
        """Ids that are no character."""
        return PAD_ID, UNK_ID

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

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "kind": "symbols",
            "unit": self.unit,
            "lowercase": self.lowercase,
            "vocabulary": self.vocabulary.to_json(),
        }

    @property
    def tokenizer_json(self) -> None:
        """Only BPE has one."""
        return None


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
