"""Training, validation and test data: from files of their own, or cut from one table by the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from recurra.data.columns import target_columns
from recurra.data.labels import label_values
from recurra.data.long_form import check_one_row_each, identity, sequences, with_inputs
from recurra.data.readers import read_table, table_from_python
from recurra.data.splits import cut, cut_groups
from recurra.data.table import Table, concatenate
from recurra.errors import DataError, InputError
from recurra.files import sha256
from recurra.randomness import seed_of
from recurra.settings.groups import SplitSettings, TableSettings, as_fraction
from recurra.settings.translation import PairsSettings

Gather = Callable[[Table, Any], Table]
"""(table, settings) → one row a sequence."""


@dataclass(frozen=True)
class FileRecord:
    """A file that made the run: its path, its SHA-256, its rows, and what it served for."""

    path: str
    sha256: str
    rows: int
    split: str


@dataclass(frozen=True)
class Given:
    """Data that came as Python objects (a Table is taken as it is), or None where the settings name files."""

    data: Any = None
    valid: Any = None
    test: Any = None


@dataclass(frozen=True)
class Parts:
    """The three tables, the files that they came from, and the settings with the input columns decided."""

    train: Table
    valid: Table
    test: Table
    files: tuple[FileRecord, ...]
    settings: Any


def partition(
    settings: TableSettings,
    seed: int,
    given: Given | None = None,
    *,
    stratified: bool = True,
    gather: Gather | None = None,
) -> Parts:
    """Read and cut the data of a run: the same rows for the same files and seed, on every machine.

    Args:
        settings: which files and columns, and the fractions.
        seed: chooses the rows of each part.
        given: data that came as Python objects.
        stratified: whether each part has its share of every target (labels; numbers are cut without regard to them).
        gather: what makes sequences of a table with one row a step; None: series of numbers.

    Raises:
        DataError: a file or a row that cannot be used, too few rows or groups to cut, a group that is on two sides, or
            a table with one row a time step without an id.
        InputError: no data, or data from both sides.
    """
    given = given or Given()
    files: list[FileRecord] = []
    if settings.data and given.data is not None:
        raise InputError("data: give files or Python objects, not both")
    if given.data is not None:
        whole = _table(given.data)
    elif settings.data:
        whole = concatenate([_read(path, settings, "train", files) for path in settings.data])
    else:
        raise InputError("data: no data is given; name a file with --data FILE")
    if gather is None:
        check_one_row_each(whole, settings)
        settings, gather = with_inputs(whole, settings), sequences
    whole = gather(whole, settings)
    cut_off = partial(_part, settings=settings, seed=seed, files=files, stratified=stratified, gather=gather)
    test, whole = cut_off(whole, settings.test, given.test, "test")
    valid, whole = cut_off(whole, settings.valid, given.valid, "valid")
    if settings.group:
        sides = [
            ("training", whole, True),
            ("validation", valid, given.valid is None and as_fraction(settings.valid) is not None),
            ("test", test, given.test is None and as_fraction(settings.test) is not None),
        ]
        # what is of the data comes first, so that a message begins with the line of the file beside it
        _check_apart(settings.group, {name: table for name, table, _ in sorted(sides, key=lambda side: not side[2])})
    return Parts(whole, valid, test, tuple(files), settings)


def read_labelled(path: str | Path, settings: TableSettings | PairsSettings, format: str | None = None) -> Table:
    """A labelled file in the format that the settings describe.

    Raises:
        DataError: it cannot be read.
    """
    return read_table(
        Path(path),
        delimiter=settings.delimiter,
        header=settings.header,
        encoding=settings.encoding,
        format=format,
    )


def check_unchanged(files: tuple[FileRecord, ...]) -> None:
    """Refuse to go on with other data than a run began with.

    Raises:
        DataError: a file is gone or has changed.
    """
    for record in files:
        path = Path(record.path)
        if not path.exists():
            raise DataError("was part of this run and is no longer there; put it back, or train anew", path)
        if sha256(path) != record.sha256:
            raise DataError("has changed since this run began; put the old file back, or train anew", path)


def check_recorded(
    record: Mapping[str, Any], settings: SplitSettings, source: str | Path, given: Given | None = None
) -> None:
    """Refuse to repeat a run on other data than its own; files that the settings no longer name are no matter.

    Args:
        record: the table [record] of a settings file; without `files` in it the file is no run's.
        settings: what is trained on now.
        source: the settings file.
        given: data that comes as Python objects now.

    Raises:
        DataError: a file is gone or has changed.
        InputError: the run's data came as Python objects, and none is given now.
    """
    if "files" not in record or (given is not None and given.data is not None):
        return
    try:
        files = [FileRecord(**one) for one in record["files"]]
        fingerprints = {str(one.path): str(one.sha256) for one in files}
    except TypeError as error:
        raise InputError(f"{source}: the table [record] is not as a run writes it; leave it out") from error
    if not files and not settings.names_data:
        raise InputError(
            f"{source}: the data of this run came as Python objects; name a file with --data, or call recurra.train "
            "with config=… and data=…"
        )
    for path in settings.paths:
        expected = fingerprints.get(str(Path(path).resolve()))
        if expected is None:
            continue
        if not Path(path).exists():
            raise DataError(f"made the run of {source} and is no longer there; put it back, or name another", path)
        if sha256(Path(path)) != expected:
            raise DataError(
                f"has changed since the run of {source}; put the old file back, or leave out the table [record] there "
                "to train on this one",
                path,
            )


def _table(data: Any) -> Table:
    return data if isinstance(data, Table) else table_from_python(data)


def _read(path: str, settings: TableSettings, split: str, files: list[FileRecord]) -> Table:
    table = read_labelled(path, settings)
    files.append(FileRecord(str(Path(path).resolve()), sha256(Path(path)), len(table), split))
    return table


def _part(
    whole: Table,
    wanted: str,
    given: Any,
    name: str,
    *,
    settings: TableSettings,
    seed: int,
    files: list[FileRecord],
    stratified: bool,
    gather: Gather,
) -> tuple[Table, Table]:
    """The part called `name`, and what is left."""
    if given is not None:
        return gather(_table(given), settings), whole
    fraction = as_fraction(wanted)
    if fraction is None:
        return gather(_read(wanted, settings, name, files), settings), whole
    targets = label_values(whole, target_columns(whole, settings)) if stratified else None
    own_seed = seed_of(seed, name)
    if settings.group:
        groups = _groups(whole, settings.group)
        rest, part = cut_groups(groups, fraction, own_seed, targets)
        count, what = len(set(groups)), f"group(s) of the column {settings.group!r}"
    else:
        rest, part = cut(len(whole), fraction, own_seed, targets)
        count, what = len(whole), "sequence(s)" if settings.id else "row(s)"
    if not rest or not part:
        raise DataError(
            f"{count} {what} are too few to set {wanted} of them aside for {name}; give more, or a file with --{name}",
            whole.source,
        )
    return whole.select(part), whole.select(rest)


def _groups(table: Table, column: str) -> list[str]:
    return [str(identity(value, table.place(row, column))) for row, value in enumerate(table.column(column))]


def _check_apart(column: str, parts: dict[str, Table]) -> None:
    """Refuse a group that files of their own put on two sides; what was cut is apart already."""
    seen: dict[str, tuple[str, Table, int]] = {}
    for name, table in parts.items():
        for row, group in enumerate(_groups(table, column)):
            other, there, first = seen.setdefault(group, (name, table, row))
            if other != name:
                place = there.place(first)
                raise table.place(row, column).error(
                    f"the group {group!r} is in the {name} data here and in the {other} data in {place.source}, line "
                    f"{place.line}; keep it on one side, or leave --group out"
                )
