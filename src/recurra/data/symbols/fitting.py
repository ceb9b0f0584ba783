"""Symbols learned from a text that comes in pieces: the memory is the vocabulary's, not the text's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from recurra.data.symbols.bpe import BpeSymbols, parts_of, settled_stretches
from recurra.data.symbols.characters import CODE_POINTS, CharacterSymbols, code_points
from recurra.data.symbols.from_vocabulary import UNK
from recurra.data.symbols.kind import Symbols, folded
from recurra.data.symbols.raw_bytes import ByteSymbols
from recurra.data.symbols.words import EOS, WordSymbols, settled_words, words_of
from recurra.data.text import BpeTokenizer
from recurra.data.vocabulary import RESERVED, Vocabulary
from recurra.errors import DataError, SettingsError

UNITS = ("char", "byte", "bpe", "word")
MOST_COUNTED = 4_000_000  # different words in memory; beyond, the rarest are forgotten
LEAST_WORD_COUNT = 2  # so that there is an unknown word to learn from, in a text that has none of its own


def fit_symbols(
    pieces: Iterable[str], unit: str, *, vocabulary_size: int, min_count: int | None = None, lowercase: bool = False
) -> Symbols:
    """Learn the symbols of a training text.

    Args:
        pieces: the text, cut anywhere. Bytes need none, and read none.
        unit: "char", "byte", "bpe" or "word".
        vocabulary_size: most symbols; for BPE the 256 bytes among them. Beginning, unknown and <eos> are not counted.
        min_count: occurrences below which a symbol is left out. None: 1; 2 for BPE's pairs, and for the words of a text
            that has no <unk> of its own, since the unknown word is then learned from those that occur once.
        lowercase: whether case is folded.

    Raises:
        DataError: the text is empty.
        SettingsError: no symbol is frequent enough, BPE has no room for the bytes, case is folded of bytes, or the unit
            is none.
    """
    if unit not in UNITS:
        raise SettingsError(f"unit: {unit!r} is not known; one of {', '.join(UNITS)} is")
    if unit == "byte":
        if lowercase:
            raise SettingsError("lowercase: bytes have no case; leave it out, or give another unit")
        return ByteSymbols()
    if unit == "bpe":
        least = LEAST_WORD_COUNT if min_count is None else min_count
        stretches = (folded(stretch) if lowercase else stretch for stretch in _stretches(pieces))
        return BpeSymbols(BpeTokenizer.train(stretches, vocabulary_size, least, lowercase=False), lowercase)
    if unit == "char":
        characters = _counted_characters(pieces, lowercase)
        return CharacterSymbols(_vocabulary(characters, vocabulary_size, min_count or 1), lowercase)
    words = _counted_words(pieces, lowercase)
    newlines = words.pop(EOS, 0)
    if min_count is None:
        enough = UNK in words or not any(count >= LEAST_WORD_COUNT for count in words.values())
        min_count = 1 if enough else LEAST_WORD_COUNT
    if not words and newlines:
        return WordSymbols(Vocabulary((*RESERVED, EOS)), lowercase)
    known = _vocabulary(words, vocabulary_size, min_count)
    return WordSymbols(Vocabulary((*RESERVED, EOS, *known.ids)), lowercase)


def _vocabulary(counted: Counter[str], size: int, min_count: int) -> Vocabulary:
    if not counted:
        raise DataError("the training text is empty")
    vocabulary = Vocabulary.build(counted, size, min_count)
    if len(vocabulary) == len(RESERVED):
        raise SettingsError(f"min_count: no symbol occurs {min_count} times in the training text; lower it")
    return vocabulary


def _counted_characters(pieces: Iterable[str], lowercase: bool) -> Counter[str]:
    counts: NDArray[np.int64] = np.zeros(CODE_POINTS, np.int64)
    for piece in pieces:
        found = np.bincount(code_points(folded(piece) if lowercase else piece))
        counts[: len(found)] += found
    return Counter({chr(code): int(counts[code]) for code in np.flatnonzero(counts)})


def _counted_words(pieces: Iterable[str], lowercase: bool) -> Counter[str]:
    counter: Counter[str] = Counter()
    forgotten = 0
    for part in _settled(pieces, settled_words):
        counter.update(words_of(part, lowercase))
        while len(counter) > MOST_COUNTED:
            forgotten += 1  # a word met again after this has lost at most so many occurrences
            counter = Counter({word: count for word, count in counter.items() if count > forgotten})
    return counter


def _stretches(pieces: Iterable[str]) -> Iterator[str]:
    """The text for the BPE trainer, which keeps hundreds of what it is given in memory."""
    for part in _settled(pieces, settled_stretches):
        yield from parts_of(part)


def _settled(pieces: Iterable[str], settled: Callable[[str], int]) -> Iterator[str]:
    """The same text, cut where no symbol is cut."""
    held = ""
    for piece in pieces:
        text = held + piece
        end = settled(text)
        held = text[end:]
        yield text[:end]
    yield held
