"""Tokenizers: a text as a list of tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from recurra.errors import RunError, SettingsError
from recurra.optional import require

BYTES = 256
KEPT_CHARACTERS = 32  # a longer stretch is hardly met again
KEPT_STRETCHES = 65536
SURROGATES = re.compile("[\ud800-\udfff]")

# accents and vowel signs that Python's \w leaves out, though they stand inside words
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03"
    "\u0a3c-\u0a4d\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd\u0c00-\u0c04"
    "\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d\u0dca-\u0ddf\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3\u1ab0-\u1ace\u1dc0-\u1dff"
    "\u200c\u200d\u20d0-\u20f0\ufe20-\ufe2f"
)
_LETTER = rf"[\w{_MARKS}]"
_TOKEN = re.compile(
    r"['’](?:s|re|ve|ll|d|m)\b"  # the clitics of text that comes split: it 's
    rf"|{_LETTER}+(?:['’-]{_LETTER}+|(?<=\d)[.,]\d{_LETTER}*)*"  # don't, well-made, 1,000.5
    r"|[^\w\s]",  # any other sign, alone
    re.IGNORECASE,
)
_SETTLED = re.compile(rf"(?s:.*)[^\w{_MARKS}'’.,-]")  # a space, or a sign that is never part of a word


class Tokenizer(Protocol):
    """A text as a list of tokens."""

    def tokenize(self, text: str) -> list[str]:
        """The tokens, in order; none for an empty text."""

    def settled(self, text: str) -> int:
        """Characters at the beginning of a lowercased text whose tokens no continuation changes.

        For a text that comes in pieces: `tokenize(text[:n]) + tokenize(text[n:] + more) == tokenize(text + more)`.
        """


@dataclass(frozen=True)
class WordTokenizer:
    """Words and numbers, apostrophes, hyphens and decimal points inside them kept; every other sign alone.

    Scripts written without spaces come out as whole stretches: use characters or BPE for them.
    """

    lowercase: bool = True

    def tokenize(self, text: str) -> list[str]:
        """`"Don't panic: 3.14!"` → `don't`, `panic`, `:`, `3.14`, `!`"""
        text = text.lower() if self.lowercase else text
        # no token holds a space, so a text is split stretch by stretch, and most stretches have been seen before
        return list(chain.from_iterable(map(_TOKENS_OF.__getitem__, text.split())))

    def settled(self, text: str) -> int:
        """Up to the last space, or the last sign that stands alone whatever is beside it."""
        found = _SETTLED.match(text)
        return found.end() if found else 0


class _TokensOf(dict[str, tuple[str, ...]]):
    """Stretch without spaces → its tokens, found once: looking one up costs a tenth of finding it again."""

    def __missing__(self, stretch: str) -> tuple[str, ...]:
        tokens = tuple(_TOKEN.findall(stretch))
        if len(stretch) <= KEPT_CHARACTERS:
            if len(self) >= KEPT_STRETCHES:
                self.clear()
            self[stretch] = tokens
        return tokens


_TOKENS_OF = _TokensOf()


def tokens_of(stretch: str) -> tuple[str, ...]:
    """The words and signs of a stretch without spaces."""
    return _TOKENS_OF[stretch]


@dataclass(frozen=True)
class CharTokenizer:
    """One token a code point."""

    lowercase: bool = True

    def tokenize(self, text: str) -> list[str]:
        """`"No."` → `n`, `o`, `.`"""
        return list(text.lower() if self.lowercase else text)

    def settled(self, text: str) -> int:
        """All of them."""
        return len(text)


class BpeTokenizer:
    """Byte-level byte-pair encoding (Sennrich et al., 2016; bytes as in GPT-2), by the library tokenizers.

    Any text can be written in its tokens. A lone surrogate, which has no bytes, is read as U+FFFD.

    Args:
        vocabulary: token → id, from 0 without gaps.
        merges: pairs of tokens, in the order they are joined.
    """

    def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]], lowercase: bool) -> None:
        library = require("tokenizers")
        self.lowercase = lowercase
        self._tokenizer = _byte_level(library, library.models.BPE(vocab=vocabulary, merges=merges))

    @classmethod
    def train(cls, texts: Iterable[str], size: int, min_count: int, lowercase: bool) -> BpeTokenizer:
        """Learn merges from texts; the same texts give the same tokens.

        Args:
            texts: training texts.
            size: most tokens, the 256 bytes included.
            min_count: occurrences below which a pair is not merged.

        Raises:
            SettingsError: there is no room for the 256 bytes.
        """
        if size < BYTES:
            raise SettingsError(f"vocabulary_size: {size} is below {BYTES}; BPE starts from the {BYTES} bytes")
        library = require("tokenizers")
        trained = _byte_level(library, library.models.BPE())
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=min_count,
            show_progress=False,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[],
        )
        trained.train_from_iterator((_cleaned(text, lowercase) for text in texts), trainer)
        return cls.from_json(trained.to_str(), lowercase)

    def tokenize(self, text: str) -> list[str]:
        """Tokens in the library's spelling of bytes: a space is Ġ."""
        return list(self._tokenizer.encode(_cleaned(text, self.lowercase)).tokens)

    def settled(self, text: str) -> int:
        """All but the last two stretches that merges stay within: a letter after a `'` may yet become `'re`."""
        stretches = self._tokenizer.pre_tokenizer.pre_tokenize_str(SURROGATES.sub("\ufffd", text))
        return int(stretches[-2][1][0]) if len(stretches) > 1 else 0

    def ids(self, text: str) -> list[int]:
        """The library's own ids of the tokens, from 0."""
        return list(self._tokenizer.encode(_cleaned(text, self.lowercase)).ids)

    def tokens(self) -> list[str]:
        """All tokens, by id."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    def merges(self) -> list[tuple[str, str]]:
        """The pairs that are joined, the first learned first."""
        return [_pair(merge) for merge in json.loads(self.to_json())["model"]["merges"]]

    def stretches(self, text: str) -> list[str]:
        """What merges stay within, in the library's spelling of bytes: words with the blank before them, signs."""
        cleaned = _cleaned(text, self.lowercase)
        return [stretch for stretch, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(cleaned)]

    def to_json(self) -> str:
        """The library's own JSON, which other tools read too."""
        return str(self._tokenizer.to_str())

    @classmethod
    def from_json(cls, text: str, lowercase: bool) -> BpeTokenizer:
        """A tokenizer as a run stored it; only the tokens and merges are taken from the text.

        Raises:
            RunError: it is not a byte-level BPE tokenizer, or is damaged.
        """
        try:
            model = json.loads(text)["model"]
            vocabulary, merges = model["vocab"], [_pair(merge) for merge in model["merges"]]
            kind = model["type"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise _damaged("no tokens and merges can be read") from error
        _check_bpe(kind, vocabulary, merges)
        try:
            return cls(vocabulary, merges, lowercase)
        except Exception as error:  # the library raises bare exceptions
            raise _damaged(str(error)) from error


def bytes_of_token(token: str) -> bytes:
    """The bytes that a token stands for, in the library's spelling: bytes that are no visible sign are moved up."""
    return bytes([_BYTE_OF[sign] for sign in token])


def _spelling_of_bytes() -> dict[str, int]:
    """GPT-2's sign → byte (Radford et al., 2019): visible signs of Latin-1 as they are, the others from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(BYTES) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(0x100 + i): byte for i, byte in enumerate(moved)}


_BYTE_OF = _spelling_of_bytes()


def _byte_level(library: Any, model: Any) -> Any:
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    return tokenizer


def _cleaned(text: str, lowercase: bool) -> str:
    return SURROGATES.sub("\ufffd", text.lower() if lowercase else text)


def _pair(merge: Any) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    if not (isinstance(first, str) and isinstance(second, str)):
        raise TypeError("a merge joins two tokens")
    return first, second


def _check_bpe(kind: Any, vocabulary: Any, merges: list[tuple[str, str]]) -> None:
    """Refuse all that would make the library fail later, in a way that Python cannot answer."""
    if kind != "BPE":
        raise _damaged(f"its model is {kind!r}, expected 'BPE'")
    if not isinstance(vocabulary, dict) or sorted(map(repr, vocabulary.values())) != sorted(
        map(repr, range(len(vocabulary)))
    ):
        raise _damaged("its token ids are not 0, 1, 2, …")
    for first, second in merges:
        if not {first, second, first + second} <= vocabulary.keys():
            raise _damaged(f"it merges {first!r} and {second!r}, which are not all tokens")
    if any(SURROGATES.search(token) for token in vocabulary):
        raise _damaged("a token is no text")
    alphabet = set(require("tokenizers").pre_tokenizers.ByteLevel.alphabet())
    if not alphabet <= vocabulary.keys():
        raise _damaged("not every byte is a token")


def _damaged(reason: str) -> RunError:
    return RunError(f"tokenizer: {reason}; the run is damaged, copy it again or train it again")
