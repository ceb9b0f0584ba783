"""TextFeatures: texts as token ids, with character n-grams beside them where asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.augmentation import Augment
from recurra.data.encoded import Encoded, chosen_max_length, damaged, fault, stored
from recurra.data.ngrams import ngram_ids
from recurra.data.table import Place
from recurra.data.text import (
    KEPT_CHARACTERS,
    KEPT_STRETCHES,
    BpeTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    tokens_of,
)
from recurra.data.vocabulary import RESERVED, Vocabulary
from recurra.errors import DataError, RunError, SettingsError
from recurra.sequence import Sequence
from recurra.settings.groups import TextSettings

MOST_NGRAMS = 40  # of one word: a word of 14 letters has 41
UNITS = ("word", "char", "bpe")


class TextValues(NamedTuple):
    """A batch of texts with character n-grams; 0 is padding in both.

    Args:
        token: [B, T] int64, token ids.
        ngrams: [B, T, P] int64, rows of the n-gram table; P is the most that a word of the batch has.
    """

    token: Tensor
    ngrams: Tensor


class EncodedText(NamedTuple):
    """One text: its token ids [T]; with n-grams, those of all words in a row [S], and how many each word has [T]."""

    token: NDArray[np.int64]
    ngrams: NDArray[np.int64] | None
    counts: NDArray[np.int64] | None


class _IdsOf(dict[str, tuple[int, ...]]):
    """Stretch without spaces → the ids of its tokens, found once: what prediction spends most of its own time on."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def __missing__(self, stretch: str) -> tuple[int, ...]:
        ids = tuple(self.vocabulary.encode(tokens_of(stretch)).tolist())
        if len(stretch) <= KEPT_CHARACTERS:
            if len(self) >= KEPT_STRETCHES:
                self.clear()
            self[stretch] = ids
        return ids


@dataclass(frozen=True)
class TextFeatures:
    """Texts into padded batches of token ids.

    Args:
        unit: "word", "char" or "bpe".
        tokenizer: text → tokens.
        vocabulary: token → id.
        lowercase: whether the tokenizer folds case.
        char_ngrams: whether n-grams stand beside the tokens.
        ngram_buckets: rows of their table.
        max_length: most tokens of a text; what is beyond is cut.
    """

    unit: str
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    lowercase: bool
    char_ngrams: bool
    ngram_buckets: int
    max_length: int
    _ids_of: _IdsOf | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words_alone = isinstance(self.tokenizer, WordTokenizer) and not self.char_ngrams
        object.__setattr__(self, "_ids_of", _IdsOf(self.vocabulary) if words_alone else None)

    @classmethod
    def fit(cls, texts: Rows[str], settings: TextSettings, max_length: int) -> TextFeatures:
        """Learn tokens and lengths from training texts.

        Args:
            texts: training texts; checked by `check_text`.
            settings: unit, case, vocabulary and n-grams.
            max_length: most tokens of a text; 0: the 99.9th percentile of these, within 1 and 4096.

        Raises:
            DataError: there is no text.
            SettingsError: no token is frequent enough, or BPE has no room for the bytes.
        """
        if not texts:
            raise DataError("there are no training texts")
        tokenizer = _learned_tokenizer(texts, settings)
        counter: Counter[str] = Counter()
        lengths = []
        for text in texts:
            tokens = tokenizer.tokenize(text)
            counter.update(tokens)
            lengths.append(len(tokens))
        if isinstance(tokenizer, BpeTokenizer):
            vocabulary = _bpe_vocabulary(tokenizer)
        else:
            vocabulary = Vocabulary.build(counter, settings.vocabulary_size, settings.min_count)
            if len(vocabulary) == len(RESERVED) and counter:
                raise SettingsError(
                    f"min_count: no token occurs {settings.min_count} times in the training texts; lower it"
                )
        return cls(
            settings.unit,
            tokenizer,
            vocabulary,
            settings.lowercase,
            settings.char_ngrams,
            settings.ngram_buckets,
            chosen_max_length(lengths, max_length),
        )

    def encode(
        self,
        text: Any,
        *,
        place: Place | None = None,
        augment: Augment | None = None,
        rng: np.random.Generator | None = None,
    ) -> Encoded:
        """One text as numbers; an empty one has length 0.

        A token dropped by augmentation keeps its n-grams, as a word that training never saw has them too.

        Args:
            text: the text.
            place: where it stands, for messages.
            augment: how to blur it (training only), with the chance that `rng` gives.

        Raises:
            DataError: it is no text.
        """
        text = check_text(text, place)
        if augment is None and self._ids_of is not None:
            stretches = (text.lower() if self.lowercase else text).split()
            known = list(chain.from_iterable(map(self._ids_of.__getitem__, stretches)))
            token = np.array(known[: self.max_length], dtype=np.int64)
            return Encoded(EncodedText(token, None, None), len(token), len(known) - len(token))
        if augment is not None:
            if rng is None:
                raise TypeError("TextFeatures.encode: augment needs rng, the generator its chance comes from")
            text = augment.blur(text, rng)
        tokens = self.tokenizer.tokenize(text)
        cut = max(0, len(tokens) - self.max_length)
        return self.encode_tokens(tokens[: self.max_length], augment, rng)._replace(cut=cut)

    def encode_tokens(
        self, tokens: list[str], augment: Augment | None = None, rng: np.random.Generator | None = None
    ) -> Encoded:
        """Tokens as the tokenizer gives them, as numbers; none of them is cut."""
        ids = self.vocabulary.encode(tokens)
        if augment is not None and rng is not None:
            ids = augment.drop(ids, rng)
        if not self.char_ngrams:
            return Encoded(EncodedText(ids, None, None), len(tokens), 0)
        words = [_word_ngrams(token[:MOST_NGRAMS], self.ngram_buckets) for token in tokens]
        counts = np.array([len(word) for word in words], dtype=np.int64)
        return Encoded(EncodedText(ids, _joined(words), counts), len(tokens), 0)

    def collate(self, inputs: Rows[Encoded]) -> Sequence:
        """Pad to the longest: values are token ids [B, T], or TextValues with n-grams."""
        lengths = np.array([encoded.length for encoded in inputs], dtype=np.int64)
        steps = int(lengths.max(initial=0))
        valid = np.arange(steps) < lengths[:, None]
        token = np.zeros((len(inputs), steps), np.int64)
        token[valid] = _joined([encoded.values.token for encoded in inputs])
        if not self.char_ngrams:
            return Sequence(torch.from_numpy(token), torch.from_numpy(lengths))
        counts = _joined([encoded.values.counts for encoded in inputs])
        of_words = np.zeros((len(counts), int(counts.max(initial=0))), np.int64)
        of_words[np.arange(of_words.shape[1]) < counts[:, None]] = _joined([e.values.ngrams for e in inputs])
        ngrams = np.zeros((len(inputs), steps, of_words.shape[1]), np.int64)
        ngrams[valid] = of_words
        return Sequence(TextValues(torch.from_numpy(token), torch.from_numpy(ngrams)), torch.from_numpy(lengths))

    @property
    def kind(self) -> Literal["text"]:
        """What an input is."""
        return "text"

    @property
    def tokenizer_json(self) -> str | None:
        """What a BPE tokenizer has learned, stored beside the rest; None for the other units."""
        return self.tokenizer.to_json() if isinstance(self.tokenizer, BpeTokenizer) else None

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads, `tokenizer_json` apart."""
        return {
            "kind": "text",
            "unit": self.unit,
            "lowercase": self.lowercase,
            "char_ngrams": self.char_ngrams,
            "ngram_buckets": self.ngram_buckets,
            "max_length": self.max_length,
            "vocabulary": self.vocabulary.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any, tokenizer_json: str | None = None) -> TextFeatures:
        """Features as a run stored them.

        Raises:
            RunError: a field is missing or of another kind, or the tokenizer and the vocabulary do not agree.
        """
        unit, lowercase = stored(data, "unit", str), stored(data, "lowercase", bool)
        char_ngrams, buckets = stored(data, "char_ngrams", bool), stored(data, "ngram_buckets", int)
        max_length = stored(data, "max_length", int)
        vocabulary = Vocabulary.from_json(stored(data, "vocabulary", list))
        if unit not in UNITS:
            raise damaged("unit", f"one of {', '.join(UNITS)}")
        if max_length < 1 or (char_ngrams and buckets < 2):
            raise damaged("max_length" if max_length < 1 else "ngram_buckets", "large enough")
        tokenizer: Tokenizer
        if unit == "bpe":
            if tokenizer_json is None:
                raise RunError("tokenizer: it is missing, and the run's unit is bpe; copy the whole run again")
            tokenizer = BpeTokenizer.from_json(tokenizer_json, lowercase)
            if _bpe_vocabulary(tokenizer) != vocabulary:
                raise RunError("tokenizer: it does not fit the vocabulary; they come from different runs")
        else:
            tokenizer = _plain_tokenizer(unit, lowercase)
        return cls(unit, tokenizer, vocabulary, lowercase, char_ngrams, buckets, max_length)


def check_text(value: Any, place: Place | None = None) -> str:
    """A value that is a text.

    Raises:
        DataError: it is missing or of another kind.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise fault(place, 'the input is missing; a text is expected, "" where it is empty')
    raise fault(place, f"the input is {type(value).__name__}; a text is expected")


def _learned_tokenizer(texts: Rows[str], settings: TextSettings) -> Tokenizer:
    if settings.unit == "bpe":
        return BpeTokenizer.train(texts, settings.vocabulary_size, settings.min_count, settings.lowercase)
    return _plain_tokenizer(settings.unit, settings.lowercase)


def _plain_tokenizer(unit: str, lowercase: bool) -> Tokenizer:
    return WordTokenizer(lowercase) if unit == "word" else CharTokenizer(lowercase)


def _bpe_vocabulary(tokenizer: BpeTokenizer) -> Vocabulary:
    return Vocabulary(RESERVED + tuple(token for token in tokenizer.tokens() if token not in RESERVED))


@lru_cache(maxsize=65536)
def _word_ngrams(word: str, buckets: int) -> NDArray[np.int64]:
    ids = np.array(ngram_ids(word, buckets)[:MOST_NGRAMS], dtype=np.int64)
    ids.flags.writeable = False  # shared by all who ask for this word
    return ids


def _joined(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
