"""The texts of a run: read, cut, their symbols learned, their ids written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from recurra.data.corpus.counting import Counter
from recurra.data.corpus.cutting import at_line_ends, places, stretches
from recurra.data.corpus.encoding import Text, TextWriter
from recurra.data.corpus.source import Source, files_source, given_source
from recurra.data.partition import FileRecord, Given
from recurra.data.readers.options import ReadOptions
from recurra.data.symbols import Symbols, fit_symbols
from recurra.errors import DataError, InputError, SettingsError
from recurra.files import sha256
from recurra.settings.groups import as_fraction

NAMES = {"train": "training", "valid": "validation", "test": "test"}


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
    """Read, cut and encode the texts of a run: the same ids for the same files, on every machine.

    Args:
        data: files to train on.
        unit: "char", "byte", "bpe" or "word".
        valid, test: a file, or the fraction of the whole text that is set aside at its end; 0 for none.
        given: texts that came as Python objects: a str, or several.
        vocabulary_size, min_count, lowercase: of `fit_symbols`.
        encoding: of the files.
        symbols: of another run, in place of those that would be learned; their unit is the unit.
        folder: on whose disk large arrays are kept; None: where the system keeps temporary files.

    Raises:
        DataError: a file cannot be read (naming the line and the byte), is empty, too short to be cut, or holds one
            symbol only.
        InputError: no data, or data from both sides.
        SettingsError: no symbol is frequent enough, BPE has no room for the bytes, or the fractions leave no training
            text.
        WorkError: the disk is full or fails.
    """
    given = given or Given()
    if bool(data) == (given.data is not None):
        both = "give files or Python objects, not both" if data else "no data is given; name a file with --data FILE"
        raise InputError(f"data: {both}")
    raw = (unit if symbols is None else symbols.unit) == "byte"
    reader = _Reader(ReadOptions(encoding=encoding), raw)
    whole, size = reader.source(data, given.data, "train")
    apart: dict[str, Source] = {}
    fractions: dict[str, float] = {}
    for name, wanted, own in (("valid", valid, given.valid), ("test", test, given.test)):
        fraction = as_fraction(wanted) if own is None else None
        if fraction is None:
            apart[name], _ = reader.source([wanted], own, name)
        elif fraction > 0:
            fractions[name] = fraction
    cuts = _cuts(whole, size, fractions)
    if symbols is None:
        of_training = (piece for part, piece in stretches(whole.pieces(), cuts[:1]) if part == 0)
        symbols = fit_symbols(
            # bytes are their own symbols, and are not read here
            (piece for piece in of_training if isinstance(piece, str)),
            unit,
            vocabulary_size=vocabulary_size,
            min_count=min_count,
            lowercase=lowercase,
        )
    train, *cut_off = _encoded(whole, cuts, symbols, folder)
    _check_worth_training(train, symbols, whole.name)
    texts = dict(zip(fractions, cut_off, strict=True))
    for name, source in apart.items():
        (texts[name],) = _encoded(source, [], symbols, folder)
    return Corpus(symbols, train, texts.get("valid"), texts.get("test"), tuple(reader.files))


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
    (text,) = _encoded(source, [], symbols, folder)
    return text


def check_length(corpus: Corpus, bptt_length: int) -> None:
    """Refuse a training text that is shorter than one window.

    Raises:
        DataError: it is.
    """
    if len(corpus.train) < bptt_length:
        raise DataError(
            f"the training text has {len(corpus.train)} symbols, fewer than one window of {bptt_length}; give more "
            "text or a smaller --bptt-length",
            corpus.files[0].path if corpus.files else None,
        )


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
        counters = [Counter() for _ in source.texts]
        size = 0
        for number, piece in source.numbered():
            counters[number].add(piece)
            size += len(piece)
        for text, counter in zip(source.texts, counters, strict=True):
            if isinstance(text, Path):
                if counter.bytes == 0:
                    raise DataError("is empty, and a text is expected", text)
                self.files.append(FileRecord(str(text.resolve()), sha256(text), counter.counts.lines, split))
        if size == 0:
            raise DataError(f"the {NAMES[split]} text is empty", source.name)
        return source, size


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


def _encoded(source: Source, cuts: Sequence[int], symbols: Symbols, folder: Path | None) -> list[Text]:
    """The stretches of a text between its cuts."""
    writers = [TextWriter(symbols, folder) for _ in range(len(cuts) + 1)]
    for number, piece in stretches(source.pieces(), cuts):
        writers[number].add(piece)
    return [writer.finish() for writer in writers]


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
