"""Words as symbols: what stands between spaces, with the newline as a symbol of its own (the way of WikiText)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from recurra.data.symbols.from_vocabulary import UNK, VocabularySymbols
from recurra.data.symbols.kind import Encoder, Ids, Unseen, as_text, folded
from recurra.data.vocabulary import UNK_ID

EOS = "<eos>"
LONGEST_WORD = 4096  # characters; a longer stretch is cut, so that a text without spaces needs no endless memory
WORD = re.compile(rf"\n|\S{{1,{LONGEST_WORD}}}")


@dataclass(frozen=True, eq=False)
class WordSymbols(VocabularySymbols):
    """Words by id. A text may hold <unk> and <eos> itself: they are the unknown word and the end of a line.

    Args:
        vocabulary: of words, <eos> among them; its padding is the symbol that a text begins from.
        lowercase: whether case is folded.
    """

    unit: str = field(default="word", init=False)

    @property
    def newline_ids(self) -> tuple[int, ...]:
        """The newline's."""
        return (self.vocabulary.ids[EOS],)

    def encode(self, text: str | bytes) -> Ids:
        """[N] ids, one a word and one a newline."""
        words = words_of(as_text(text), self.lowercase)
        return np.fromiter(map(self.vocabulary.ids.get, words, repeat(UNK_ID)), self.dtype, len(words))

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
            if (folded(found[0]) if self.lowercase else found[0]) not in self.vocabulary.ids
            and found[0] not in ("\n", UNK)
        )

    def settled(self, text: str) -> int:
        """All but the last word, which may go on."""
        return settled_words(text)


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
    """The words of a text, <eos> for each newline."""
    words = text.replace("\n", f" {EOS} ").split()
    half = LONGEST_WORD // 2  # a longer word fills one of these halves, and to look for a space in each is quick
    may_be_long = any(text.find(" ", i, i + half) < 0 for i in range(0, len(text) - half + 1, half))
    if may_be_long and max(map(len, words), default=0) > LONGEST_WORD:
        words = [EOS if word == "\n" else word for word in WORD.findall(text)]
    return [folded(word) for word in words] if lowercase else words


def settled_words(text: str) -> int:
    """How many characters of a text are whole words and spaces, whatever follows."""
    last = len(text.rsplit(maxsplit=1)[-1]) if text and not text[-1].isspace() else 0
    return len(text) - last % LONGEST_WORD
