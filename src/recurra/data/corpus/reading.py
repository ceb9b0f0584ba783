"""The texts of a run: read, cut, their symbols learned, their ids written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from recurra.data.corpus.cutting import at_line_ends, places, stretches
from recurra.data.corpus.encoding import Text, TextWriter
from recurra.data.corpus.source import Piece, Source, files_source, given_source, newlines_of
from recurra.data.partition import FileRecord, Given
from recurra.data.readers.options import ReadOptions
from recurra.data.symbols import Symbols, fit_symbols
from recurra.errors import DataError, InputError, SettingsError
from recurra.files import sha256
from recurra.settings.groups import as_fraction

NAMES = {"train": "training", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class Stretch:
    """A part of a text.

    Args:
        source: the text.
        number: of the part, from 0.
        cuts: where parts begin, but for the first.
    """

    source: Source
    number: int = 0
    cuts: tuple[int, ...] = ()

    def pieces(self) -> Iterator[Piece]:
        """Its pieces, read anew.

        Raises:
            DataError: a file cannot be read.
        """
        for number, piece in stretches(self.source.pieces(), self.cuts):
            if number > self.number:
                return
            if number == self.number:
                yield piece


@dataclass(frozen=True)
class Texts:
    """The texts of a run, cut and not yet encoded.

    Args:
        train, valid, test: None where none was wanted.
        files: where they came from.
    """

    train: Stretch
    valid: Stretch | None
    test: Stretch | None
    files: tuple[FileRecord, ...]


@dataclass(frozen=True, eq=False)
class Corpus:
    """What a language model is trained and measured on.

    Args:
        symbols: learned from the training text.
        train, valid, test: the texts; None where none was wanted.
        files: where they came from.
    """

    symbols: Symbols
    train: Text
    valid: Text | None
    test: Text | None
    files: tuple[FileRecord, ...]


def read_corpus(
    data: Sequence[str | Path],
    unit: str,
    *,
    valid: str = "0.1",
    test: str = "0.1",
    given: Given | None = None,
    vocabulary_size: int = 20000,
    min_count: int | None = None,
    lowercase: bool = False,
    encoding: str = "utf-8",
    symbols: Symbols | None = None,
    folder: Path | None = None,
) -> Corpus:
    """Cut the texts of a run, learn their symbols and encode them.

    Args:
        data, valid, test, given, encoding: of `cut_texts`.
        unit, vocabulary_size, min_count, lowercase: of `learn_symbols`.
        symbols: of another run, in place of those that would be learned; their unit is the unit.
        folder: of `encode_text`.

    Raises:
        DataError, InputError, SettingsError, WorkError: as these three.
    """
    raw = (unit if symbols is None else symbols.unit) == "byte"
    texts = cut_texts(data, valid=valid, test=test, given=given, encoding=encoding, raw=raw)
    if symbols is None:
        symbols = learn_symbols(
            texts.train, unit, vocabulary_size=vocabulary_size, min_count=min_count, lowercase=lowercase
        )
    return encode_texts(texts, symbols, folder)


def cut_texts(
    data: Sequence[str | Path],
    *,
    valid: str = "0.1",
    test: str = "0.1",
    given: Given | None = None,
    encoding: str = "utf-8",
    raw: bool = False,
) -> Texts:
    """Find where to cut the texts of a run: the same places for the same files, on every machine.

    Args:
        data: files to train on.
        valid, test: a file, or the fraction of the whole text that is set aside at its end; 0 for none.
        given: texts that came as Python objects: a str, or several.
        encoding: of the files.
        raw: whether bytes are the symbols, which need no encoding.

    Raises:
        DataError: a file cannot be read (naming the line and the byte), is empty, or too short to be cut.
        InputError: no data, or data from both sides.
        SettingsError: the fractions leave no training text.
    """
    given = given or Given()
    if bool(data) == (given.data is not None):
        both = "give files or Python objects, not both" if data else "no data is given; name a file with --data FILE"
        raise InputError(f"data: {both}")
    reader = _Reader(ReadOptions(encoding=encoding), raw)
    whole, size = reader.source(data, given.data, "train")
    found: dict[str, Stretch] = {}
    fractions: dict[str, float] = {}
    for name, wanted, own in (("valid", valid, given.valid), ("test", test, given.test)):
        fraction = as_fraction(wanted) if own is None else None
        if fraction is None:
            found[name] = Stretch(reader.source([wanted], own, name)[0])
        elif fraction > 0:
            fractions[name] = fraction
    cuts = tuple(_cuts(whole, size, fractions))
    found |= {name: Stretch(whole, number, cuts) for number, name in enumerate(fractions, 1)}
    return Texts(Stretch(whole, 0, cuts), found.get("valid"), found.get("test"), tuple(reader.files))


def learn_symbols(
    train: Stretch, unit: str, *, vocabulary_size: int = 20000, min_count: int | None = None, lowercase: bool = False
) -> Symbols:
    """The symbols of a training text; see `fit_symbols`.

    Raises:
        DataError, SettingsError: as there.
    """
    pieces = (piece for piece in train.pieces() if isinstance(piece, str))  # bytes are their own symbols
    return fit_symbols(pieces, unit, vocabulary_size=vocabulary_size, min_count=min_count, lowercase=lowercase)


def encode_texts(texts: Texts, symbols: Symbols, folder: Path | None = None) -> Corpus:
    """The ids of all texts of a run.

    Args:
        texts: cut; of bytes where `symbols` are.
        symbols: of the run.
        folder: on whose disk large arrays are kept; None: where the system keeps temporary files.

    Raises:
        DataError: the training text has one symbol only.
        WorkError: the disk is full or fails.
    """
    train = encode_text(texts.train, symbols, folder)
    _check_worth_training(train, symbols, texts.train.source.name)
    valid, test = (None if text is None else encode_text(text, symbols, folder) for text in (texts.valid, texts.test))
    return Corpus(symbols, train, valid, test, texts.files)


def encode_text(text: Stretch, symbols: Symbols, folder: Path | None = None) -> Text:
    """The ids of one text.

    Raises:
        WorkError: the disk is full or fails.
    """
    writer = TextWriter(symbols, folder)
    for piece in text.pieces():
        writer.add(piece)
    return writer.finish()


def read_text(
    data: Sequence[str | Path],
    symbols: Symbols,
    *,
    given: object = None,
    encoding: str = "utf-8",
    folder: Path | None = None,
) -> Text:
    """A text by the symbols of a run; an empty one has no ids.

    Args:
        data: files.
        symbols: of the run.
        given: a text or several, in place of files.
        encoding: of the files.
        folder: on whose disk a large array is kept.

    Raises:
        DataError: a file cannot be read, naming the line and the byte.
        WorkError: the disk is full or fails.
    """
    raw = symbols.unit == "byte"
    source = files_source(data, ReadOptions(encoding=encoding), raw) if given is None else given_source(given, raw)
    return encode_text(Stretch(source), symbols, folder)


class _Reader:
    """Sources of a run, each counted before it is used."""

    def __init__(self, options: ReadOptions, raw: bool) -> None:
        self._options, self._raw = options, raw
        self.files: list[FileRecord] = []

    def source(self, paths: Sequence[str | Path], given: object, split: str) -> tuple[Source, int]:
        """The texts of a split, and their characters (bytes) in all."""
        if given is None:
            source = files_source(paths, self._options, self._raw)
        else:
            source = given_source(given, self._raw)
        sizes, newlines = [0] * len(source.texts), [0] * len(source.texts)
        unfinished = [False] * len(source.texts)
        for number, piece in source.numbered():
            sizes[number] += len(piece)
            newlines[number] += newlines_of(piece)
            unfinished[number] = piece[-1:] not in ("\n", b"\n")
        for number, text in enumerate(source.texts):
            if isinstance(text, Path):
                if not sizes[number]:
                    raise DataError("is empty, and a text is expected", text)
                lines = newlines[number] + unfinished[number]
                self.files.append(FileRecord(str(text.resolve()), sha256(text), lines, split))
        if not any(sizes):
            raise DataError(f"the {NAMES[split]} text is empty", source.name)
        return source, sum(sizes)


def _cuts(whole: Source, size: int, fractions: Mapping[str, float]) -> list[int]:
    """Where the stretches named by the fractions begin."""
    if sum(fractions.values()) >= 1:
        raise SettingsError(
            f"{' and '.join(fractions)}: they leave nothing of the text for training; give smaller ones"
        )
    wanted = places(size, list(fractions.values()))
    if any(b - a < 1 for a, b in pairwise([1, *wanted, size])):
        parts = " and ".join(f"{fraction:g} of them for {NAMES[name]}" for name, fraction in fractions.items())
        what = "byte(s)" if whole.raw else "character(s)"
        raise DataError(
            f"{size} {what} are too few to train on" + (f" and to set aside {parts}" if parts else "") + "; give more",
            whole.name,
        )
    return at_line_ends(whole.pieces(), size, wanted)


def _check_worth_training(train: Text, symbols: Symbols, source: str) -> None:
    different = np.flatnonzero(train.occurrences)
    if len(train) < 2:
        raise DataError(f"the training text has {len(train)} symbol(s), too few to predict one; give more text", source)
    if len(different) == 1:
        only = symbols.names[different[0]]
        raise DataError(
            f"the training text is the symbol {only!r} {len(train)} times, and there is nothing to predict; "
            "give another text",
            source,
        )
