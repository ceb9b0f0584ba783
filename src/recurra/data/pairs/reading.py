"""The pairs of a run: from tables, files of lines or Python objects; cut by the seed; what is of no use left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recurra.data.pairs.columns import SOURCE, TARGET, pair_columns, paired, unzipped
from recurra.data.pairs.lines import read_line_pairs
from recurra.data.pairs.overlap import overlap
from recurra.data.partition import FileRecord, Given, Parts, partition, read_labelled
from recurra.data.readers import table_from_python
from recurra.data.table import Table, concatenate
from recurra.errors import DataError, InputError, SettingsError
from recurra.files import sha256
from recurra.settings.groups import TableSettings, as_fraction
from recurra.settings.translation import PairsSettings

CUT = TableSettings().valid  # a fraction that stands where a part has data of its own


@dataclass(frozen=True)
class PairParts(Parts):
    """The three tables of pairs, their files, the settings with the columns decided, and what a user should know.

    Args:
        notes: a sentence each.
    """

    notes: tuple[str, ...] = ()


def partition_pairs(settings: PairsSettings, seed: int, given: Given | None = None) -> PairParts:
    """Read and cut the pairs of a run: the same rows for the same files and seed, on every machine.

    Training pairs with an empty side are left out before anything is cut from them, and counted in a note. Validation
    and test data of their own keep theirs, so that a score is one of all their lines.

    Args:
        settings: which tables and columns, or which files of lines, and the fractions.
        seed: chooses the rows of each part.
        given: data that came as Python objects: a table, or a list of pairs.

    Raises:
        DataError: a file or a row that cannot be used, files of unequal length, no pair with two texts, too few rows or
            groups to cut, or a group that is on two sides.
        InputError: no data, or data from both sides.
        SettingsError: options that do not go together.
    """
    given = given or Given()
    reader = _Reader(settings)
    whole = reader.training(given.data)
    kept = without_empty(whole)
    valid, test = (reader.part(name, own) for name, own in (("valid", given.valid), ("test", given.test)))
    cut = TableSettings(
        valid=settings.valid if valid is None else CUT,
        test=settings.test if test is None else CUT,
        group=settings.group,
    )
    parts = partition(cut, seed, Given(kept, valid, test), stratified=False, gather=_as_it_is)
    notes = [*_left_out(whole, kept), *_leaks(parts, (valid is None, test is None))]
    return PairParts(parts.train, parts.valid, parts.test, tuple(reader.files), reader.settings, tuple(notes))


def pairs_of(data: Any, settings: PairsSettings, format: str | None = None) -> Table:
    """Pairs to evaluate on: a table's file, two files of lines as a tuple of paths, or Python objects.

    Raises:
        DataError: they cannot be read, or have not the run's columns.
    """
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(one, str | Path) for one in data):
        return read_line_pairs(*data, encoding=settings.encoding)
    if isinstance(data, str | Path):
        return paired(read_labelled(data, settings, format), settings)
    return paired(table_from_python(data), settings)


def without_empty(table: Table) -> Table:
    """The pairs with something on both sides.

    Raises:
        DataError: there are none.
    """
    sides = zip(table.columns[SOURCE], table.columns[TARGET], strict=True)
    rows = [row for row, (source, target) in enumerate(sides) if source.strip() and target.strip()]
    if not rows:
        raise DataError("every pair has an empty side; training needs pairs of texts", table.source)
    return table if len(rows) == len(table) else table.select(rows)


class _Reader:
    """The data of a run as tables of pairs, with a record of each file."""

    def __init__(self, settings: PairsSettings) -> None:
        self.settings = settings
        self.files: list[FileRecord] = []

    def training(self, objects: Any) -> Table:
        """The pairs to train on; the columns that the first table decides go into the settings."""
        settings = self.settings
        if settings.data and objects is not None:
            raise InputError("data: give files or Python objects, not both")
        if settings.data or objects is not None:
            given = [table_from_python(objects)] if objects is not None else []
            tables = list(map(unzipped, given or [self.table(path, "train") for path in settings.data]))
            source, target = pair_columns(tables[0], settings, lines=False)
            self.settings = replace(settings, source=(source,), target=(target,))
            return concatenate([paired(table, self.settings) for table in tables])
        if not settings.names_data:
            raise InputError(
                "data: no data is given; name two files with --source FILE --target FILE, or a table with --data FILE"
            )
        self.check_group("source")
        pairs = zip(settings.source, settings.target, strict=True)
        return concatenate([self.lines(source, target, "train") for source, target in pairs])

    def part(self, name: str, objects: Any) -> Table | None:
        """Validation or test pairs of their own; None where they are cut from the training pairs."""
        wanted, lines = getattr(self.settings, name), self.settings.lines_of(name)
        if objects is not None:
            return paired(table_from_python(objects), self.settings)
        if all(lines):
            self.check_group(f"{name}_source")
            return self.lines(*lines, name)
        return paired(self.table(wanted, name), self.settings) if as_fraction(wanted) is None else None

    def check_group(self, name: str) -> None:
        """Lines have no other columns than the two."""
        if self.settings.group not in ("", SOURCE, TARGET):
            raise SettingsError(
                f"group: files of lines have no column {self.settings.group!r}, and {name} names some; give source or "
                "target (pairs with the same text stay together), or a table"
            )

    def lines(self, source: str, target: str, split: str) -> Table:
        table = read_line_pairs(source, target, self.settings.encoding)
        for path in (source, target):
            self.record(path, len(table), split)
        return table

    def table(self, path: str, split: str) -> Table:
        table = read_labelled(path, self.settings)
        self.record(path, len(table), split)
        return table

    def record(self, path: str, rows: int, split: str) -> None:
        self.files.append(FileRecord(str(Path(path).resolve()), sha256(Path(path)), rows, split))


def _as_it_is(table: Table, _: Any) -> Table:
    return table


def _left_out(whole: Table, kept: Table) -> list[str]:
    count = len(whole) - len(kept)
    if not count:
        return []
    first = next(
        row
        for row, sides in enumerate(zip(whole.columns[SOURCE], whole.columns[TARGET], strict=True))
        if not all(side.strip() for side in sides)
    )
    place = whole.place(first)
    return [
        f"{count:,} of {len(whole):,} pairs have an empty side and are left out, the first in line {place.line} of "
        f"{place.source}"
    ]


def _leaks(parts: Parts, cut: tuple[bool, bool]) -> list[str]:
    """Pairs whose source training has seen; where they were cut from it, how to keep equal sources together."""
    found = []
    sides = ("validation", parts.valid), ("test", parts.test)
    for (name, table), was_cut in zip(sides, cut, strict=True):
        sources, pairs, rows = overlap(parts.train, table)
        if sources:
            mend = "; --group source keeps equal sources on one side" if was_cut else ""
            found.append(
                f"{sources:,} of {rows:,} {name} pairs have a source that is in the training data too, {pairs:,} with "
                f"the same target{mend}"
            )
    return found
