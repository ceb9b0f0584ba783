"""Source: texts that follow each other, from files or Python objects, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.data.readers.blocks import read_byte_blocks, read_text_blocks
from recurra.data.readers.options import ReadOptions
from recurra.errors import GIVEN, DataError

Piece = str | bytes
COLUMN = "text"  # of a mapping
PIECE_SIZE = 1 << 16  # characters or bytes of a text that came as a Python object


@dataclass(frozen=True)
class Source:
    """Texts that follow each other.

    Args:
        texts: files, or texts themselves.
        options: the encoding of files.
        raw: whether the pieces are bytes.
    """

    texts: tuple[Path | Piece, ...]
    options: ReadOptions
    raw: bool

    @property
    def name(self) -> str:
        """Of the first file, for messages."""
        return str(self.texts[0]) if self.texts and isinstance(self.texts[0], Path) else GIVEN

    def pieces_of(self, text: Path | Piece) -> Iterator[Piece]:
        """The pieces of one of the texts.

        Raises:
            DataError: a file cannot be read.
        """
        if isinstance(text, Path):
            yield from read_byte_blocks(text) if self.raw else read_text_blocks(text, self.options)
            return
        if self.raw and isinstance(text, str):
            text = text.encode("utf-8", "surrogatepass")
        for start in range(0, len(text), PIECE_SIZE):
            yield text[start : start + PIECE_SIZE]

    def numbered(self) -> Iterator[tuple[int, Piece]]:
        """All pieces with the number of their text, a newline behind a text that does not end with one and is not last.

        Raises:
            DataError: a file cannot be read.
        """
        newline: Piece = b"\n" if self.raw else "\n"
        last, of = newline, 0
        for number, text in enumerate(self.texts):
            for piece in self.pieces_of(text):
                if number != of and last[-1:] != newline:
                    yield of, newline
                yield number, piece
                last, of = piece, number

    def pieces(self) -> Iterator[Piece]:
        """All of it, as if it were one text."""
        return (piece for _, piece in self.numbered())


def files_source(paths: Sequence[str | Path], options: ReadOptions, raw: bool) -> Source:
    """Texts from files.

    Raises:
        DataError: one does not exist, or is none.
    """
    for path in map(Path, paths):
        try:
            there = path.exists()
        except OSError:
            raise DataError(
                f"no file has so long a name as {path.name[:40]!r}…; give a text itself as {{{COLUMN!r}: …}}", GIVEN
            ) from None
        if not there:
            raise DataError("does not exist; check the name", path)
        if not path.is_file():  # a pipe can be read once only
            raise DataError("is no regular file, and a text file is expected", path)
    return Source(tuple(map(Path, paths)), options, raw)


def given_source(texts: Any, raw: bool) -> Source:
    """Texts that came as Python objects: one, or several, or a mapping that has them under the name text.

    Raises:
        DataError: one of them is no text.
    """
    if isinstance(texts, Mapping):
        if COLUMN not in texts:
            raise DataError(f"there is no {COLUMN!r} in the mapping; give {{{COLUMN!r}: …}}", GIVEN)
        texts = texts[COLUMN]
    if isinstance(texts, (str, bytes)):
        texts = [texts]
    if not isinstance(texts, Iterable) or isinstance(texts, Mapping):
        raise DataError(f"a text or a list of texts is expected, not {type(texts).__name__}", GIVEN)
    checked: list[Piece] = []
    for row, text in enumerate(texts, 1):
        if not isinstance(text, str) and not (raw and isinstance(text, bytes)):
            mend = "; give --unit byte" if isinstance(text, bytes) else ""
            raise DataError(f"a text is expected, not {type(text).__name__}{mend}", GIVEN, row)
        checked.append(text)
    return Source(tuple(checked), ReadOptions(), raw)


def newlines_of(piece: Piece) -> int:
    """How many newlines it holds."""
    return piece.count("\n") if isinstance(piece, str) else piece.count(b"\n")
