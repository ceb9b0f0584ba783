"""Words as symbols: what stands between spaces, with the newline as a symbol of its own (the way of WikiText)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.data.symbols.kind import Encoder, Ids, Unseen, as_text, folded, smallest_dtype
from recurra.data.vocabulary import PAD_ID, UNK_ID, Vocabulary

EOS = "<eos>"
UNK = "<unk>"
LONGEST_WORD = 4096  # characters; a longer stretch is cut, so that a text without spaces needs no endless memory
WORD = re.compile(rf"\n|\S{{1,{LONGEST_WORD}}}")


@dataclass(frozen=True, eq=False)
class WordSymbols:
    """Words by id. A text may hold <unk> and <eos> itself: they are the unknown word and the end of a line.

    Args:
        vocabulary: of words, <eos> among them; its padding is the symbol that a text begins from.
        lowercase: whether case is folded.
    """

    vocabulary: Vocabulary
    lowercase: bool = False
    unit: str = field(default="word", init=False)
    names: tuple[str, ...] = field(init=False, repr=False)
    _ids: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = self.vocabulary.ids
        object.__setattr__(self, "names", ("<begin>", UNK, *known))
        object.__setattr__(self, "_ids", {**known, "\n": known[EOS]})

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def begin_id(self) -> int:
        """Read first by a fresh state."""
        return PAD_ID

    @property
    def unk_id(self) -> int:
        """What a word never seen is read as."""
        return UNK_ID

    @property
    def silent_ids(self) -> tuple[int, ...]:
        """Ids that are no word."""
        return PAD_ID, UNK_ID

    @property
    def newline_ids(self) -> tuple[int, ...]:
        """The newline's."""
        return (self._ids[EOS],)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of every id of a text."""
        return smallest_dtype(len(self.vocabulary))

    def encode(self, text: str | bytes) -> Ids:
        """[N] ids, one a word and one a newline."""
        ids = self._ids
        return np.array([ids.get(word, UNK_ID) for word in words_of(as_text(text), self.lowercase)], self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        """The words with a space between two of a line."""
        return self.decoder().feed(ids)

    def encoder(self, tail: bytes = b"") -> Encoder:
        """For a text that comes in pieces: a word is held until a space ends it."""
        return Encoder(self, tail)

    def decoder(self, tail: bytes = b"") -> WordDecoder:
        """For ids that come one after the other."""
        return WordDecoder(self, tail)

    def unseen(self, text: str) -> tuple[Unseen, ...]:
        """Words that are read as unknown, but for <unk> itself."""
        return tuple(
            Unseen(found[0], found.start())
            for found in WORD.finditer(text)
            if (folded(found[0]) if self.lowercase else found[0]) not in self._ids and found[0] != UNK
        )

    def settled(self, text: str) -> int:
        """All but the last word, which may go on."""
        return settled_words(text)

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


class WordDecoder:
    """Ids → words, a space before each that follows another on its line.

    Args:
        symbols: of the model.
        tail: of the decoder that this one goes on from.
    """

    def __init__(self, symbols: WordSymbols, tail: bytes = b"") -> None:
        self._symbols = symbols
        self._inside = tail == b" "

    def feed(self, ids: Iterable[int]) -> str:
        """Their text."""
        text = []
        newline, begin, names = self._symbols.newline_ids[0], self._symbols.begin_id, self._symbols.names
        for i in ids:
            if i == newline:
                text.append("\n")
            elif i != begin:
                text.append(f" {names[i]}" if self._inside else names[i])
            self._inside = i not in (newline, begin)
        return "".join(text)

    def finish(self) -> str:
        """Nothing, and the next word begins a text."""
        self._inside = False
        return ""

    @property
    def tail(self) -> bytes:
        """A space where the next word needs one."""
        return b" " if self._inside else b""


def words_of(text: str, lowercase: bool) -> list[str]:
    """The words and newlines of a text."""
    found: list[str] = WORD.findall(text)
    return [folded(word) for word in found] if lowercase else found


def settled_words(text: str) -> int:
    """How many characters of a text are whole words and spaces, whatever follows."""
    last = len(text.rsplit(maxsplit=1)[-1]) if text and not text[-1].isspace() else 0
    return len(text) - last % LONGEST_WORD
