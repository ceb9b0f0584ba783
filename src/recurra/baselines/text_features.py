"""Texts as TF-IDF of word and character n-grams: what linear models are strongest on.

Words 1–2 and characters 1–5 inside words, each block with 1 + log of the count, smoothed inverse document frequency and
rows of length one: scikit-learn's `TfidfVectorizer(sublinear_tf=True)` for `word` and `char_wb` side by side, with the
vocabulary and weights as plain values. Wang and Manning, "Baselines and Bigrams", 2012, is the case for such features.

Where most texts are a single word (names), words are left out: the characters say it better (+2 points of macro-F1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.optional import require

NGRAMS: dict[str, tuple[int, int]] = {"word": (1, 2), "char_wb": (1, 5)}
WORD = r"(?u)\b\w+\b"  # words of one letter too
MANY_TEXTS = 1000  # from here on characters of one text only are left out: as accurate, and half of the features
MAX_CHARACTERS = 20_000  # read of one text
CHUNK = 1024  # texts whose n-grams are in memory at once when answering

Analyzer = Literal["word", "char_wb"]


@dataclass(frozen=True, eq=False)
class NgramBlock:
    """The n-grams of one kind.

    Args:
        analyzer: `word`, or `char_wb` for characters inside words, a blank at either end.
        ngrams: [F] in ascending order.
        idf: [F] float32, ln((1 + texts) / (1 + texts with the n-gram)) + 1.
    """

    analyzer: Analyzer
    ngrams: tuple[str, ...]
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, analyzer: Analyzer, texts: Sequence[str], most: int) -> tuple[NgramBlock, Any]:
        """The n-grams of the training texts, at most so many: those of most texts, equal ones in their order.

        Args:
            analyzer: as above.
            texts: of training, cut.
            most: features kept.

        Returns:
            The block, and its [N, F] of these texts.
        """
        counter = _counter(analyzer)
        try:
            counts = counter.fit_transform(texts)
        except ValueError:  # no text has a single n-gram
            return cls(analyzer, (), np.zeros(0, np.float32)), require("scipy.sparse").csr_array((len(texts), 0))
        ngrams = counter.get_feature_names_out()
        found = np.bincount(counts.indices, minlength=len(ngrams))
        kept = np.flatnonzero(found >= (2 if analyzer == "char_wb" and len(texts) >= MANY_TEXTS else 1))
        kept = np.sort(kept[np.argsort(-found[kept], kind="stable")[:most]])
        idf = np.log((1 + len(texts)) / (1 + found[kept])) + 1
        block = cls(analyzer, tuple(map(str, ngrams[kept])), idf.astype(np.float32))
        return block, block.weigh(counts[:, kept])

    def weigh(self, counts: Any) -> Any:
        """[N, F] float32 of n-grams counted, sparse: rows of length one; a text without a known n-gram is zeros."""
        matrix = counts.astype(np.float32)
        matrix.sort_indices()
        matrix.data = (np.log(matrix.data) + 1) * self.idf[matrix.indices]
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        squares = np.bincount(rows, weights=matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[0])
        matrix.data = (matrix.data / np.sqrt(squares)[rows]).astype(np.float32)
        return matrix


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Texts into sparse rows of TF-IDF.

    Args:
        blocks: words, then characters.
    """

    blocks: tuple[NgramBlock, ...]

    @classmethod
    def fit(cls, texts: Sequence[str], most: int) -> tuple[TextFeatures, Any]:
        """Learn the n-grams and their weights.

        Args:
            texts: of training.
            most: features kept in all; half of them, at most, of words.

        Returns:
            The features, and the [N, F] of these texts.
        """
        cut = [text[:MAX_CHARACTERS] for text in texts]
        several_words = 2 * sum(len(text.split()) > 1 for text in cut) > len(cut)
        words, of_words = NgramBlock.fit("word", cut, most // 2 if several_words else 0)
        characters, of_characters = NgramBlock.fit("char_wb", cut, most - len(words.ngrams))
        matrix = require("scipy.sparse").hstack([of_words, of_characters], "csr", dtype=np.float32)
        return cls((words, characters)), matrix

    @property
    def size(self) -> int:
        """F, features in all."""
        return sum(len(block.ngrams) for block in self.blocks)

    def transform(self, texts: Sequence[str]) -> Any:
        """[N, F] float32, sparse."""
        sparse = require("scipy.sparse")
        blocks = [(block, _counter(block.analyzer, block.ngrams)) for block in self.blocks if block.ngrams]
        if not blocks:
            return sparse.csr_array((len(texts), 0), dtype=np.float32)
        parts = []
        for first in range(0, max(1, len(texts)), CHUNK):
            cut = [text[:MAX_CHARACTERS] for text in texts[first : first + CHUNK]]
            parts.append(sparse.hstack([block.weigh(counter.transform(cut)) for block, counter in blocks], "csr"))
        return sparse.csr_array(sparse.vstack(parts, "csr"))


def _counter(analyzer: Analyzer, ngrams: Sequence[str] | None = None) -> Any:
    pattern = {"token_pattern": WORD} if analyzer == "word" else {}
    vectorizer = require("sklearn.feature_extraction.text").CountVectorizer
    return vectorizer(analyzer=analyzer, ngram_range=NGRAMS[analyzer], vocabulary=ngrams, **pattern)
