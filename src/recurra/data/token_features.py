"""TokenFeatures: lists of tokens as numbers: each token its word, its characters, its affixes and its shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.encoded import Encoded, fault, stored
from recurra.data.table import Place
from recurra.data.vocabulary import UNK_ID, Vocabulary
from recurra.errors import DataError, SettingsError
from recurra.sequence import Sequence

PREFIXES, SUFFIXES = (1, 2, 3), (1, 2, 3, 4)  # lengths of affixes, in characters
AFFIXES = len(PREFIXES) + len(SUFFIXES)
RARE_PART = 3  # occurrences below which an affix or a shape counts as unknown
MOST_CHARACTERS = 32  # of one token: its first and last 16; a longer one is a link or noise
KEPT_TOKENS = 1 << 16  # different tokens whose numbers are kept: the same ones come again and again
LONGEST_KEPT = 64
DIGIT = re.compile(r"\d")

Ids = NDArray[np.int64]


class TokenValues(NamedTuple):
    """A batch of token lists; 0 is padding in all.

    Args:
        token: [B, T] int64, words.
        shape: [B, T] int64, patterns of upper case, lower case and digits.
        affixes: [B, T, A] int64, beginnings and ends.
        characters: [B, T, C] int64; C is the most that a token of the batch has, 0 where there are none.
    """

    token: Tensor
    shape: Tensor
    affixes: Tensor
    characters: Tensor


class EncodedTokens(NamedTuple):
    """One list: words [T], shapes [T], affixes [T, A], the characters of all in a row [S] and how many each has [T]."""

    token: Ids
    shape: Ids
    affixes: Ids
    characters: Ids
    counts: Ids


class _Parts(NamedTuple):
    """The numbers of one token."""

    token: int
    shape: int
    affixes: tuple[int, ...]
    characters: tuple[int, ...]


@dataclass(frozen=True)
class TokenFeatures:
    """Lists of tokens into padded batches.

    Args:
        words, characters, affixes, shapes: what each is numbered by.
        lowercase: whether words and affixes are looked up without their case (shapes and characters keep it).
        use_characters: whether characters stand beside the words.
    """

    words: Vocabulary
    characters: Vocabulary
    affixes: Vocabulary
    shapes: Vocabulary
    lowercase: bool
    use_characters: bool
    _known: dict[str, _Parts] = field(init=False, repr=False, compare=False, default_factory=dict)

    @classmethod
    def fit(
        cls,
        inputs: Rows[Any],
        *,
        vocabulary_size: int,
        min_count: int = 1,
        lowercase: bool = True,
        use_characters: bool = True,
        place: Callable[[int], Place] | None = None,
    ) -> TokenFeatures:
        """Learn words, characters, affixes and shapes from training inputs.

        Args:
            inputs: lists of tokens.
            vocabulary_size: most words kept, the most frequent first.
            min_count: occurrences below which a word counts as unknown.
            lowercase: look words and affixes up without their case.
            use_characters: give the characters too.
            place: where a row stands, by its index.

        Raises:
            DataError: an input is no list of texts, or there is none.
            SettingsError: no word is frequent enough.
        """
        lists = [check_tokens(value, place(row) if place else None) for row, value in enumerate(inputs)]
        if not any(lists):
            raise DataError("there are no training tokens")
        counts = Counter(chain.from_iterable(lists))
        words: Counter[str] = Counter()
        affixes: Counter[str] = Counter()
        shapes: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for token, count in counts.items():
            words[word_of(token, lowercase)] += count
            shapes[shape_of(token)] += count
            for affix in affixes_of(word_of(token, lowercase)):
                affixes[affix] += count
            for character in _ends(token):
                characters[character] += count
        del affixes[""]
        vocabulary = Vocabulary.build(words, vocabulary_size, min_count)
        if not vocabulary.ids:
            raise SettingsError(f"min_count: no word occurs {min_count} times in the training data; lower it")
        return cls(
            vocabulary,
            Vocabulary.build(characters if use_characters else {}, len(characters)),
            Vocabulary.build(affixes, len(affixes), RARE_PART),
            Vocabulary.build(shapes, len(shapes), RARE_PART),
            lowercase,
            use_characters,
        )

    def encode(self, value: Any, *, place: Place | None = None) -> Encoded:
        """One list of tokens (or a text, cut at blanks) as numbers; an empty one has length 0.

        Raises:
            DataError: it is neither.
        """
        parts = [self._parts(token) for token in tokens_of(value, place)]
        length = len(parts)
        return Encoded(
            EncodedTokens(
                np.array([one.token for one in parts], np.int64),
                np.array([one.shape for one in parts], np.int64),
                np.array([one.affixes for one in parts], np.int64).reshape(length, AFFIXES),
                np.fromiter(chain.from_iterable(one.characters for one in parts), np.int64),
                np.array([len(one.characters) for one in parts], np.int64),
            ),
            length,
            0,
        )

    def collate(self, inputs: Rows[Encoded]) -> Sequence:
        """Pad to the longest: TokenValues."""
        lengths = np.array([encoded.length for encoded in inputs], dtype=np.int64)
        steps = int(lengths.max(initial=0))
        valid = np.arange(steps) < lengths[:, None]
        lists: list[EncodedTokens] = [encoded.values for encoded in inputs]
        token, shape = np.zeros(valid.shape, np.int64), np.zeros(valid.shape, np.int64)
        affixes = np.zeros((*valid.shape, AFFIXES), np.int64)
        if lists:
            token[valid] = np.concatenate([one.token for one in lists])
            shape[valid] = np.concatenate([one.shape for one in lists])
            affixes[valid] = np.concatenate([one.affixes for one in lists])
        counts = np.concatenate([one.counts for one in lists]) if lists else np.zeros(0, np.int64)
        of_tokens = np.zeros((len(counts), int(counts.max(initial=0))), np.int64)
        if lists:
            of_tokens[np.arange(of_tokens.shape[1]) < counts[:, None]] = np.concatenate(
                [one.characters for one in lists]
            )
        characters = np.zeros((*valid.shape, of_tokens.shape[1]), np.int64)
        characters[valid] = of_tokens
        values = TokenValues(*map(torch.from_numpy, (token, shape, affixes, characters)))
        return Sequence(values, torch.from_numpy(lengths))

    def knows(self, token: str) -> bool:
        """Whether training has seen the word."""
        return word_of(token, self.lowercase) in self.words.ids

    @property
    def kind(self) -> Literal["tokens"]:
        """What an input is."""
        return "tokens"

    @property
    def tokenizer_json(self) -> str | None:
        """None: the tokens come as they are."""
        return None

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "kind": "tokens",
            "lowercase": self.lowercase,
            "use_characters": self.use_characters,
            "words": self.words.to_json(),
            "characters": self.characters.to_json(),
            "affixes": self.affixes.to_json(),
            "shapes": self.shapes.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> TokenFeatures:
        """Features as a run stored them.

        Raises:
            RunError: a field is missing or of another kind.
        """
        lowercase, use_characters = stored(data, "lowercase", bool), stored(data, "use_characters", bool)
        words, characters, affixes, shapes = (
            Vocabulary.from_json(stored(data, name, list)) for name in ("words", "characters", "affixes", "shapes")
        )
        return cls(words, characters, affixes, shapes, lowercase, use_characters)

    def _parts(self, token: str) -> _Parts:
        known = self._known.get(token)
        if known is not None:
            return known
        word = word_of(token, self.lowercase)
        found = _Parts(
            self.words.ids.get(word, UNK_ID),
            self.shapes.ids.get(shape_of(token), UNK_ID),
            tuple(self.affixes.ids.get(affix, UNK_ID) if affix else 0 for affix in affixes_of(word)),
            tuple(self.characters.encode(_ends(token)).tolist()) if self.use_characters else (),
        )
        if len(token) <= LONGEST_KEPT:
            if len(self._known) >= KEPT_TOKENS:
                self._known.clear()
            self._known[token] = found
        return found


def pieces(encoded: Encoded, most: int) -> list[Encoded]:
    """A list in pieces of at most so many tokens; one of no tokens is one piece."""
    if encoded.length <= most:
        return [encoded]
    values: EncodedTokens = encoded.values
    ends = np.concatenate([[0], values.counts.cumsum()])
    found = []
    for start in range(0, encoded.length, most):
        stop = min(start + most, encoded.length)
        part = EncodedTokens(
            values.token[start:stop],
            values.shape[start:stop],
            values.affixes[start:stop],
            values.characters[ends[start] : ends[stop]],
            values.counts[start:stop],
        )
        found.append(Encoded(part, stop - start, 0))
    return found


def tokens_of(value: Any, place: Place | None = None) -> list[str]:
    """The tokens of an input: a list of texts as it is, a text cut at blanks.

    Raises:
        DataError: it is neither.
    """
    return value.split() if isinstance(value, str) else check_tokens(value, place)


def check_tokens(value: Any, place: Place | None = None) -> list[str]:
    """A value that is a list of texts, none of them empty.

    Raises:
        DataError: it is missing or of another kind; with the token.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        received = "missing" if value is None else type(value).__name__
        raise fault(place, f"the input is {received}; a list of tokens is expected, [] where it is empty")
    for at, token in enumerate(value, 1):
        if not isinstance(token, str):
            raise fault(
                place, f"token {at} is {'missing' if token is None else type(token).__name__}; a text is expected"
            )
        if not token:
            raise fault(place, f"token {at} is empty; give it a text, or leave it out")
    return list(value)


def word_of(token: str, lowercase: bool) -> str:
    """What a token is looked up as: without its case, and every digit a 0, so that numbers share their words."""
    return DIGIT.sub("0", token.lower() if lowercase else token)


def shape_of(token: str) -> str:
    """The pattern of a token: X for upper case, x for lower case, d for digits, runs of more than two cut to two."""
    found: list[str] = []
    for character in token[:LONGEST_KEPT]:
        kind = "X" if character.isupper() else "x" if character.isalpha() else "d" if character.isdigit() else character
        if found[-2:] != [kind, kind]:
            found.append(kind)
    return "".join(found)


def affixes_of(word: str) -> list[str]:
    """Beginnings as `^un` and ends as `ing$`; empty where the word is shorter."""
    beginnings = [f"^{word[:length]}" if len(word) >= length else "" for length in PREFIXES]
    return beginnings + [f"{word[-length:]}$" if len(word) >= length else "" for length in SUFFIXES]


def _ends(token: str) -> Iterable[str]:
    half = MOST_CHARACTERS // 2
    return token if len(token) <= MOST_CHARACTERS else token[:half] + token[-half:]
