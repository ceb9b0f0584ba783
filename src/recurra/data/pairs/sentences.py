"""Sentences as ids with a beginning, an end and padding: characters, words or BPE tokens, and back to text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.encoded import damaged, stored
from recurra.data.pairs.words import bare, joined, words_of
from recurra.data.symbols.bpe import parts_of
from recurra.data.symbols.kind import UNREADABLE, folded
from recurra.data.symbols.raw_bytes import name_of
from recurra.data.text import BpeTokenizer, bytes_of_token
from recurra.errors import DataError, RunError, SettingsError

PAD_ID, UNK_ID, BEGIN_ID, END_ID = range(4)
RESERVED = ("<pad>", "<unk>", "<begin>", "<end>")
UNITS = ("bpe", "word", "char")
LEAST_COUNT = {
    "bpe": 2,
    "word": 2,
    "char": 1,
}  # where the settings do not say; a word seen once teaches the unknown one

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SentenceSymbols:
    """The tokens of one side, by id: padding, unknown, beginning, end, then those of texts.

    Args:
        unit: "bpe", "word" or "char".
        tokens: of texts, as the unit spells them; of BPE those of the tokenizer in its order.
        lowercase: whether case is folded.
        tokenizer: of BPE, learned from text whose case is folded already.
    """

    unit: str
    tokens: tuple[str, ...]
    lowercase: bool = False
    tokenizer: BpeTokenizer | None = None
    names: tuple[str, ...] = field(init=False, repr=False)
    """How each id is shown: words without their mark."""
    _ids: dict[str, int] = field(init=False, repr=False)
    _bytes: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        contents = tuple(map(bytes_of_token, self.tokens)) if self.unit == "bpe" else ()
        shown = map(name_of, contents) if self.unit == "bpe" else map(bare, self.tokens)
        object.__setattr__(self, "names", (*RESERVED, *shown))
        object.__setattr__(self, "_ids", {token: i for i, token in enumerate(self.tokens, len(RESERVED))})
        object.__setattr__(self, "_bytes", contents)

    def __len__(self) -> int:
        return len(RESERVED) + len(self.tokens)

    def encode(self, text: str) -> Ids:
        """[N + 1] ids of any text, the end behind them; a token never seen is UNK_ID (no BPE token is)."""
        if self.tokenizer is not None:
            found = chain.from_iterable(self.tokenizer.ids(part) for part in parts_of(self._folded(text)))
            return np.array([*(i + len(RESERVED) for i in found), END_ID], np.int64)
        return np.array([*(self._ids.get(piece, UNK_ID) for piece in self._pieces(text)), END_ID], np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text up to the end: of BPE and characters sign by sign, of words with a space where none was joined.

        Unknown is "<unk>" among words, and U+FFFD among characters.
        """
        return self.text_of(self.pieces_of(ids))

    def pieces_of(self, ids: Iterable[int]) -> list[str]:
        """The tokens up to the end, as the unit spells them; beginning and padding are passed over."""
        unknown = RESERVED[UNK_ID] if self.unit == "word" else UNREADABLE
        found = []
        for i in ids:
            if i == END_ID:
                break
            if i == UNK_ID:
                found.append(unknown)
            elif i >= len(RESERVED):
                found.append(self.tokens[i - len(RESERVED)])
        return found

    def text_of(self, pieces: Sequence[str]) -> str:
        """The text of tokens in the unit's spelling; BPE's U+FFFD, which is no token, stays one."""
        if self.unit == "word":
            return joined(pieces)
        if self.unit == "char":
            return "".join(pieces)
        content = [b"\xef\xbf\xbd" if piece == UNREADABLE else bytes_of_token(piece) for piece in pieces]
        return b"".join(content).decode("utf-8", "replace")

    def surfaces(self, text: str) -> list[str]:
        """Of each token of a text, the end apart, what a copy of it is: the word that it is in; a character itself.

        Words keep their case, and their mark where they stand against the one before.
        """
        if self.unit == "char":
            return list(text) if len(self._folded(text)) == len(text) else list(self._folded(text))
        if self.unit == "word":
            return words_of(text)
        found: list[str] = []
        for part in parts_of(self._folded(text)):
            pieces = iter(self._tokenizer.tokenize(part))
            for stretch in self._tokenizer.stretches(part):  # no token goes beyond one
                word, left = self.text_of([stretch]).strip(), len(stretch)
                while left:
                    left -= len(next(pieces))
                    found.append(word)
        return found

    def labels(self, text: str) -> list[str]:
        """How the tokens of a text are shown, its end among them: by their names, and unknown ones as they stand."""
        ids = self.encode(text).tolist()
        own = self.surfaces(text) if UNK_ID in ids else []
        return [bare(own[at]) if i == UNK_ID else self.names[i] for at, i in enumerate(ids)]

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads, `tokenizer_json` apart."""
        tokens = {} if self.unit == "bpe" else {"tokens": list(self.tokens)}
        return {"unit": self.unit, "lowercase": self.lowercase, **tokens}

    @property
    def tokenizer_json(self) -> str | None:
        """What BPE has learned, in the library's own JSON; None for other units."""
        return None if self.tokenizer is None else self.tokenizer.to_json()

    @classmethod
    def from_json(cls, data: Any, tokenizer_json: str | None) -> SentenceSymbols:
        """Symbols as a run stored them.

        Raises:
            RunError: a field is missing or of another kind, or the tokenizer is missing or damaged.
        """
        unit, lowercase = stored(data, "unit", str), stored(data, "lowercase", bool)
        if unit not in UNITS:
            raise damaged("unit", f"one of {', '.join(UNITS)}")
        if unit == "bpe":
            if tokenizer_json is None:
                raise RunError("tokenizer: it is missing, and the run's unit is bpe; copy the whole run again")
            return _of_bpe(BpeTokenizer.from_json(tokenizer_json, lowercase=False), lowercase)
        tokens = stored(data, "tokens", list)
        if not all(isinstance(token, str) and token for token in tokens) or len(set(tokens)) != len(tokens):
            raise damaged("tokens", "a list of unique texts")
        if unit == "char" and any(len(token) != 1 for token in tokens):
            raise damaged("tokens", "a list of single characters")
        return cls(unit, tuple(tokens), lowercase)

    @property
    def _tokenizer(self) -> BpeTokenizer:
        assert self.tokenizer is not None  # the unit is bpe
        return self.tokenizer

    def _folded(self, text: str) -> str:
        return folded(text) if self.lowercase else text

    def _pieces(self, text: str) -> list[str]:
        text = self._folded(text)
        return words_of(text) if self.unit == "word" else list(text)


def fit_sentences(
    texts: Iterable[str], unit: str, *, vocabulary_size: int, min_count: int = 0, lowercase: bool = False
) -> SentenceSymbols:
    """Learn the tokens of training texts; the same texts give the same tokens.

    Args:
        texts: of one side, or of both where they have one vocabulary.
        unit: "bpe", "word" or "char".
        vocabulary_size: most tokens, the most frequent first; of BPE the 256 bytes among them.
        min_count: occurrences below which a token is unknown, for BPE a pair is not merged; 0: 2 for BPE and for words
            (where some word occurs twice), else 1.
        lowercase: whether case is folded.

    Raises:
        DataError: there is nothing in the texts.
        SettingsError: no token is frequent enough, BPE has no room for the bytes, or the unit is none.
    """
    if unit not in UNITS:
        raise SettingsError(f"unit: {unit!r} is not known; one of {', '.join(UNITS)} is")
    least = min_count or LEAST_COUNT[unit]
    own = (folded(text) for text in texts) if lowercase else texts
    if unit == "bpe":
        parts = chain.from_iterable(map(parts_of, own))
        return _of_bpe(BpeTokenizer.train(parts, vocabulary_size, least, lowercase=False), lowercase)
    cut = words_of if unit == "word" else list
    counts: Counter[str] = Counter(piece for text in own for piece in cut(text))
    if not counts:
        raise DataError("there is no token in the training texts")
    if not min_count and max(counts.values()) < least:
        least = 1
    kept = sorted((-count, token) for token, count in counts.items() if count >= least)
    if not kept:
        raise SettingsError(f"min_count: no token occurs {min_count} times in the training texts; lower it")
    return SentenceSymbols(unit, tuple(token for _, token in kept[:vocabulary_size]), lowercase)


def _of_bpe(tokenizer: BpeTokenizer, lowercase: bool) -> SentenceSymbols:
    return SentenceSymbols("bpe", tuple(tokenizer.tokens()), lowercase, tokenizer)
