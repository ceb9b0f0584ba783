"""The plain translator: each word's most likely translation, in the order of the source.

The translations are those of IBM's Model 1 (Brown et al., 1993): with the source words s of a pair and an empty word, a
target word t comes from s with the probability t(t | s), found by expectation maximisation over the pairs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.stored_files import FORMAT, WORDS_FILE, json_alone
from recurra.errors import RunError

NAME = "words"
ROUNDS = 5  # of expectation maximisation; Model 1 hardly changes its first choices after them
MOST_CELLS = 6_000_000  # pairs of words within pairs of texts: what is counted in seconds; the first pairs have them

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class WordByWord:
    """Translations by word; a word never seen is its own.

    Args:
        words: source word → target word, with its case.
        seconds: of fitting.
    """

    words: dict[str, str]
    seconds: float

    @classmethod
    def fit(cls, sources: Iterable[Sequence[str]], targets: Iterable[Sequence[str]]) -> WordByWord:
        """Learn from the words of training pairs; of equally likely translations the first by name."""
        began = time.perf_counter()
        pairs = _within_bounds(sources, targets)
        known = sorted({word for source, _ in pairs for word in source})
        others = sorted({word for _, target in pairs for word in target})
        best = _best(pairs, known, others)
        return cls(dict(zip(known, best, strict=True)), time.perf_counter() - began)

    def predict(self, words: Sequence[str]) -> list[str]:
        """A word for each word, looked up with its case and then in lower case."""
        return [self.words.get(word) or self.words.get(word.lower(), word) for word in words]

    def to_files(self) -> dict[str, bytes]:
        """The file of a run, by name."""
        content = {"format": FORMAT, "kind": NAME, "words": self.words, "seconds": self.seconds}
        return {WORDS_FILE: json.dumps(content).encode("ascii")}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], folder: Path = Path()) -> WordByWord:
        """What `to_files` wrote.

        Raises:
            RunError: it is damaged.
        """
        content = json_alone(files, folder)
        if not _is_whole(content):
            path = folder / WORDS_FILE
            raise RunError(f"{path} is damaged: words and their translations are expected; train it again")
        return cls(content["words"], float(content["seconds"]))


def _within_bounds(
    sources: Iterable[Sequence[str]], targets: Iterable[Sequence[str]]
) -> list[tuple[Sequence[str], Sequence[str]]]:
    """The pairs with something on both sides, as many from the first on as can be counted in seconds."""
    pairs, cells = [], 0
    for source, target in zip(sources, targets, strict=True):
        if cells > MOST_CELLS:
            break
        if source and target:
            pairs.append((source, target))
            cells += (len(source) + 1) * len(target)
    return pairs


def _best(pairs: list[tuple[Sequence[str], Sequence[str]]], known: list[str], others: list[str]) -> list[str]:
    """The most likely target word of each source word."""
    if not pairs:
        return []
    empty = len(known)  # the source word of target words that come from none
    cells = _cells(pairs, known, others, empty)
    keys, cell = np.unique(cells[1] * len(others) + cells[2], return_inverse=True)
    source, target = np.divmod(keys, len(others))
    likely = np.ones(len(keys))
    for _ in range(ROUNDS):
        shares = likely[cell]
        shares /= np.bincount(cells[0], shares)[cells[0]]
        counts = np.bincount(cell, shares, len(keys))
        likely = counts / np.bincount(source, counts, empty + 1)[source]
    begins = np.searchsorted(source, np.arange(empty + 1))  # keys rise, so a source word's are together, by target
    most = np.maximum.reduceat(likely, begins)
    likeliest = np.flatnonzero(likely == most[source])
    first = likeliest[np.searchsorted(source[likeliest], np.arange(empty))]
    return [others[number] for number in target[first].tolist()]


def _cells(
    pairs: list[tuple[Sequence[str], Sequence[str]]], known: list[str], others: list[str], empty: int
) -> tuple[Indices, Indices, Indices]:
    """Of each target word and each source word beside it: the number of the target word's place, and both words."""
    source_ids = {word: number for number, word in enumerate(known)}
    target_ids = {word: number for number, word in enumerate(others)}
    places, sources, targets = [], [], []
    before = 0
    for source, target in pairs:
        one = np.array([empty, *(source_ids[word] for word in source)], np.int64)
        other = np.array([target_ids[word] for word in target], np.int64)
        places.append(np.repeat(np.arange(before, before + len(other)), len(one)))
        sources.append(np.tile(one, len(other)))
        targets.append(np.repeat(other, len(one)))
        before += len(other)
    return np.concatenate(places), np.concatenate(sources), np.concatenate(targets)


def _is_whole(content: Any) -> bool:
    words = content.get("words") if isinstance(content, dict) else None
    return (
        isinstance(words, dict)
        and all(isinstance(word, str) for word in words.values())
        and content.get("format") == FORMAT
        and content.get("kind") == NAME
        and isinstance(content.get("seconds"), int | float)
    )
