"""BPE tokens as symbols: any text can be written, and is given back byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import numpy as np

from recurra.data.symbols.kind import Encoder, Ids, Unseen, as_text, folded, smallest_dtype
from recurra.data.symbols.raw_bytes import BytesDecoder, name_of
from recurra.data.text import BpeTokenizer, bytes_of_token

LONGEST_STRETCH = 4096  # characters; beyond, a text is cut, so that one without spaces needs no endless memory
STRETCH = re.compile(r"(?<!\s)[ \n]")  # where no token goes across: a space or newline after a sign


@dataclass(frozen=True, eq=False)
class BpeSymbols:
    """Tokens of byte-level BPE by id; one more stands for the beginning of a text.

    Args:
        tokenizer: learned from the training text, of text whose case is folded already.
        lowercase: whether case is folded.
    """

    tokenizer: BpeTokenizer
    lowercase: bool = False
    unit: str = field(default="bpe", init=False)
    names: tuple[str, ...] = field(init=False, repr=False)
    newline_ids: tuple[int, ...] = field(init=False, repr=False)
    _bytes: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        contents = [bytes_of_token(token) for token in self.tokenizer.tokens()]
        newlines = tuple(i for i, content in enumerate(contents) if content.endswith(b"\n"))
        object.__setattr__(self, "names", (*map(name_of, contents), "<begin>"))
        object.__setattr__(self, "newline_ids", newlines)
        object.__setattr__(self, "_bytes", (*contents, b""))

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def begin_id(self) -> int:
        """Read first by a fresh state."""
        return len(self._bytes) - 1

    @property
    def unk_id(self) -> None:
        """There is none: every byte is a token."""
        return None

    @property
    def silent_ids(self) -> tuple[int, ...]:
        """The id that is no token."""
        return (self.begin_id,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of every id of a text."""
        return smallest_dtype(len(self._bytes) - 1)

    def encode(self, text: str | bytes) -> Ids:
        """[N] ids, one a token."""
        parts = parts_of(as_text(text))
        ids = [self.tokenizer.ids(folded(part) if self.lowercase else part) for part in parts]
        return np.array(list(chain.from_iterable(ids)), self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        """The text that the tokens' bytes are; U+FFFD where they are none."""
        decoder = self.decoder()
        return decoder.feed(ids) + decoder.finish()

    def encoder(self, tail: bytes = b"") -> Encoder:
        """For a text that comes in pieces: what may still grow into another token is held."""
        return Encoder(self, tail)

    def decoder(self, tail: bytes = b"") -> BytesDecoder:
        """For ids that come one after the other."""
        return BytesDecoder(self._bytes, tail)

    def unseen(self, text: str) -> tuple[Unseen, ...]:
        """Nothing."""
        return ()

    def settled(self, text: str) -> int:
        """All up to the last stretch, which may go on."""
        return settled_stretches(text)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads, `tokenizer_json` apart."""
        return {"kind": "symbols", "unit": self.unit, "lowercase": self.lowercase}

    @property
    def tokenizer_json(self) -> str:
        """What BPE has learned, in the library's own JSON."""
        return self.tokenizer.to_json()


def parts_of(text: str) -> list[str]:
    """A text cut where a stretch is too long; most are whole."""
    starts = [*_starts(text), len(text)] if len(text) > LONGEST_STRETCH else []
    cuts = [
        cut
        for start, following in pairwise(starts)
        for cut in range(start + LONGEST_STRETCH, following, LONGEST_STRETCH)
    ]
    return [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]


def settled_stretches(text: str) -> int:
    """How many characters of a text are whole stretches, whatever follows."""
    last = _starts(text)[-1]
    return last + (len(text) - last) // LONGEST_STRETCH * LONGEST_STRETCH


def _starts(text: str) -> list[int]:
    """Where stretches begin, in order; the text's beginning is one."""
    return [0, *(found.start() for found in STRETCH.finditer(text, 1))]
