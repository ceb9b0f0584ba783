"""The plain tagger: each word's most frequent tag, and an unknown word's by its ending."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.baselines.stored_files import FORMAT, WORDS_FILE, json_alone
from recurra.errors import RunError

NAME = "frequent"
LONGEST_ENDING = 5
RARE = 10  # occurrences up to which a word says something of words never seen (TnT's bound; Brants, 2000)


@dataclass(frozen=True)
class FrequentTag:
    """Tags by word; of words never seen in training by their longest known ending.

    Args:
        words: word → tag, with its case, and in lower case.
        endings: `Xing` → tag, X or x for a first letter in upper case or not; the shortest are `X` and `x` alone.
        tag: the most frequent of all.
        seconds: of fitting.
    """

    words: dict[str, str]
    endings: dict[str, str]
    tag: str
    seconds: float

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> FrequentTag:
        """Count training sentences and their tags; of equally frequent ones the first by name."""
        began = time.perf_counter()
        words: dict[str, Counter[str]] = defaultdict(Counter)
        everything: Counter[str] = Counter()
        for tokens, own in zip(sentences, tags, strict=True):
            for token, tag in zip(tokens, own, strict=True):
                words[token][tag] += 1
                everything[tag] += 1
        folded: dict[str, Counter[str]] = defaultdict(Counter)
        endings: dict[str, Counter[str]] = defaultdict(Counter)
        for token, counts in words.items():
            folded[token.lower()] += counts
            if counts.total() <= RARE:
                for ending in _endings(token):
                    endings[ending] += counts
        known = {word: _first(counts) for word, counts in folded.items()}
        known |= {word: _first(counts) for word, counts in words.items()}
        by_ending = {ending: _first(counts) for ending, counts in endings.items()}
        return cls(known, by_ending, _first(everything), time.perf_counter() - began)

    def predict(self, tokens: Sequence[str]) -> list[str]:
        """A tag for each token."""
        return [self._tag(token) for token in tokens]

    def to_files(self) -> dict[str, bytes]:
        """The file of a run, by name."""
        content = {
            "format": FORMAT,
            "kind": NAME,
            "words": self.words,
            "endings": self.endings,
            "tag": self.tag,
            "seconds": self.seconds,
        }
        return {WORDS_FILE: json.dumps(content).encode("ascii")}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], folder: Path = Path()) -> FrequentTag:
        """What `to_files` wrote.

        Raises:
            RunError: it is damaged.
        """
        content = json_alone(files, folder)
        if not _is_whole(content):
            path = folder / WORDS_FILE
            raise RunError(f"{path} is damaged: words, endings and a tag are expected; train the run again")
        return cls(content["words"], content["endings"], content["tag"], float(content["seconds"]))

    def _tag(self, token: str) -> str:
        for word in (token, token.lower()):
            if word in self.words:
                return self.words[word]
        return next((self.endings[ending] for ending in _endings(token) if ending in self.endings), self.tag)


def _endings(token: str) -> list[str]:
    """The longest first."""
    case = "X" if token[:1].isupper() else "x"
    folded = token.lower()
    return [case + folded[len(folded) - length :] for length in range(min(LONGEST_ENDING, len(folded)), -1, -1)]


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda tag: (-counts[tag], tag))


def _is_whole(content: Any) -> bool:
    def texts(value: Any) -> bool:
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())

    return (
        isinstance(content, dict)
        and content.get("format") == FORMAT
        and content.get("kind") == NAME
        and texts(content.get("words"))
        and texts(content.get("endings"))
        and isinstance(content.get("tag"), str)
        and isinstance(content.get("seconds"), int | float)
    )
