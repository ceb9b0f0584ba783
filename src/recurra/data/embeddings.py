"""Pretrained word vectors from the text formats of GloVe, word2vec and fastText (.vec), plain or .gz.

A line is a word and its numbers; word2vec and fastText begin with a line that says how many of both there are.
Only the words of a vocabulary are kept, so that memory follows the vocabulary and not the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.encoded import stored
from recurra.data.readers.lines import read_lines
from recurra.data.readers.options import ReadOptions
from recurra.errors import DataError
from recurra.files import sha256

BLANKS = " \t\r\n"
MOST_NUMBERS = 100_000  # of a vector; a file that holds no vectors may be one endless line

_COUNT = re.compile("[0-9]{1,15}")


@dataclass(frozen=True)
class EmbeddingsRecord:
    """Which file gave the vectors of a run.

    Args:
        path: the file.
        sha256: of its bytes.
        found: tokens of the vocabulary that it has a vector for.
        tokens: tokens of the vocabulary.
    """

    path: str
    sha256: str
    found: int
    tokens: int

    @property
    def share(self) -> float:
        """Of the tokens, those found."""
        return self.found / self.tokens

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> EmbeddingsRecord:
        """The record as a run stored it.

        Raises:
            RunError: it is damaged.
        """
        path, digest = stored(data, "path", str), stored(data, "sha256", str)
        return cls(path, digest, stored(data, "found", int), max(1, stored(data, "tokens", int)))


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors for some ids of a vocabulary.

    Args:
        record: where they come from.
        ids: [F] int64, ascending.
        vectors: [F, D] float32.
    """

    record: EmbeddingsRecord
    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


def read_embeddings(path: Path, ids: Mapping[str, int]) -> Embeddings:
    """The vectors of a file for the tokens of a vocabulary; of a word that is there twice, the first.

    Args:
        path: the file.
        ids: token → id.

    Raises:
        DataError: the file cannot be read, a line is no word with as many numbers as the first has, a number of a
            vector that is wanted is not finite, lines are missing, or no token is found; with the line.
    """
    lines = enumerate(read_lines(path, ReadOptions()), 1)
    promised, first = _header(path, lines)
    size = len(_pieces(first[1])) - 1
    if not 1 <= size <= MOST_NUMBERS:
        raise DataError("is no word with its numbers; the text format of GloVe or word2vec is expected", path, first[0])
    kept: dict[int, NDArray[np.float32]] = {}
    count = 0
    for number, line in chain([first], lines):
        line = line.rstrip(BLANKS).replace("\t", " ")
        if not line:
            continue
        count += 1
        if line.count(" ") != size:
            line = _regular(line, size, path, number)
        word, _, rest = line.partition(" ")
        token = ids.get(word)
        if token is not None and token not in kept:
            kept[token] = _vector(rest, path, number)
    if promised is not None and (promised[1] != size or count < promised[0]):
        raise DataError(
            f"its first line promises {promised[0]} words of {promised[1]} numbers, and it has {count} of {size}; "
            "copy it again",
            path,
        )
    if not kept:
        raise DataError(
            f"has a vector for none of the {len(ids)} tokens of the training texts; is it of another language or case?",
            path,
        )
    order = sorted(kept)
    record = EmbeddingsRecord(str(path), sha256(path), len(order), len(ids))
    return Embeddings(record, np.array(order, np.int64), np.stack([kept[token] for token in order]))


def _header(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[tuple[int, int] | None, tuple[int, str]]:
    """(words, numbers) where the first line says them, and the first line that holds a vector."""
    first = next(lines, None)
    pieces = _pieces(first[1]) if first is not None else []
    promised = None
    if len(pieces) == 2 and all(_COUNT.fullmatch(piece) for piece in pieces):
        promised = (int(pieces[0]), int(pieces[1]))
        first = next(lines, None)
    if first is None:
        raise DataError("holds no vectors; a word and its numbers a line are expected", path)
    return promised, first


def _regular(line: str, size: int, path: Path, number: int) -> str:
    """A line of another count of spaces with single ones; without a word where its word has spaces (GloVe 840B).

    Raises:
        DataError: it has too few numbers, or too many.
    """
    pieces = _pieces(line)
    numbers = next((i for i, piece in enumerate(reversed(pieces[1:])) if not _is_number(piece)), len(pieces) - 1)
    if numbers < size or (numbers > size and numbers == len(pieces) - 1):
        raise DataError(f"has {max(0, numbers)} number(s) after its word, and {size} are expected", path, number)
    return " ".join(pieces) if len(pieces) == size + 1 else ""


def _pieces(line: str) -> list[str]:
    """Parted at blanks only: other spaces of Unicode are words in these files."""
    return [piece for piece in line.rstrip(BLANKS).replace("\t", " ").split(" ") if piece]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _vector(text: str, path: Path, number: int) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            vector = np.array(text.split(" "), dtype=np.float32)
    except ValueError as error:
        raise DataError(f"is no word with its numbers ({error})", path, number) from error
    if not np.isfinite(vector).all():
        raise DataError("has a number that is not finite; repair or remove the line", path, number)
    return vector
