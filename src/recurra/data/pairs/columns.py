"""Which columns of a table hold the two texts of a pair, and the texts themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra.data.table import Place, Table, listed
from recurra.errors import DataError
from recurra.settings.translation import PairsSettings

SOURCE, TARGET = "source", "target"  # the columns that every table of pairs has once it is read
INPUT = "input"  # the column of a list that is no list of dictionaries
USUAL: dict[str, tuple[str, ...]] = {
    SOURCE: ("source", "src", "input", "question"),
    TARGET: ("target", "tgt", "output", "answer"),
}
NESTED = "translation"  # of Hugging Face's data sets: {"en": …, "fr": …} in each row
NUMBERED = {SOURCE: "1", TARGET: "2"}  # of a file without a header


def paired(table: Table, settings: PairsSettings) -> Table:
    """A table with the columns source and target, and that of the groups under its own name.

    Raises:
        DataError: a column is missing, several could be meant, or a value is neither a text nor missing.
    """
    table = unzipped(table)
    names = pair_columns(table, settings)
    columns = {side: texts(table.column(name), table, name) for side, name in zip((SOURCE, TARGET), names, strict=True)}
    if (
        settings.group and settings.group not in columns
    ):  # "source" and "target" are the two texts, whatever they are called
        columns[settings.group] = table.column(settings.group)
    return Table(table.source, columns, table.lines, table.sources)


def pair_columns(table: Table, settings: PairsSettings, *, lines: bool = True) -> tuple[str, str]:
    """The columns of source and target texts: those given, or those with usual names.

    Raises:
        DataError: one is missing, several could be meant, or one is both.
    """
    source, target = (_column(table, settings, side, lines) for side in (SOURCE, TARGET))
    if source == target:
        raise DataError(f"the column {source!r} is both source and target; name another", table.source)
    return source, target


def source_texts(table: Table, settings: PairsSettings) -> tuple[str, list[Any]]:
    """The column of source texts, where no target is needed, and its values as they are.

    Raises:
        DataError: it is missing, or several could be meant.
    """
    table = unzipped(table)
    if len(table.columns) == 1:
        name = next(iter(table.columns))
        return name, table.columns[name]
    name = _column(table, settings, SOURCE, True)
    return name, table.column(name)


def unzipped(table: Table) -> Table:
    """A list of pairs as the columns source and target, a column "translation" as one a language; others as they are.

    Raises:
        DataError: a row among pairs is none, or one among translations has not the languages of the first.
    """
    if table.columns.get(NESTED) and isinstance(table.columns[NESTED][0], Mapping):
        return _by_language(table)
    values = table.columns.get(INPUT, [])
    if len(table.columns) != 1 or not any(isinstance(value, list | tuple) for value in values):
        return table
    for row, value in enumerate(values):
        if not isinstance(value, list | tuple) or len(value) != 2:
            received = f"{len(value)} values" if isinstance(value, list | tuple) else type(value).__name__
            raise table.place(row).error(f"is {received}; a pair of texts is expected")
    sides = {side: [value[at] for value in values] for at, side in enumerate((SOURCE, TARGET))}
    return Table(table.source, sides, table.lines, table.sources)


def _by_language(table: Table) -> Table:
    rows = table.columns[NESTED]
    languages = list(rows[0])
    for row, value in enumerate(rows):
        if not isinstance(value, Mapping) or any(name not in value for name in languages):
            raise table.place(row, NESTED).error(f"has not the texts of the first row: {listed(languages)}")
    columns = {name: values for name, values in table.columns.items() if name != NESTED}
    columns |= {name: [value[name] for value in rows] for name in languages}
    return Table(table.source, columns, table.lines, table.sources)


def texts(values: list[Any], table: Table, name: str) -> list[str]:
    """A column of texts; one that is missing is empty.

    Raises:
        DataError: a value is something else.
    """
    return [
        value if isinstance(value, str) else "" if value is None else _no_text(value, table.place(row, name))
        for row, value in enumerate(values)
    ]


def _no_text(value: Any, place: Place) -> str:
    raise place.error(f"is {type(value).__name__}; a text is expected")


def _column(table: Table, settings: PairsSettings, side: str, lines: bool) -> str:
    given: tuple[str, ...] = getattr(settings, side)
    # where the data came as lines source and target name files, and a table that is read later has columns of its own
    if given and (settings.data or not lines or given[0] in table.columns):
        table.column(given[0])
        return given[0]
    found = [name for name in USUAL[side] if name in table.columns]
    if found:
        return found[0]
    if list(table.columns) == list(NUMBERED.values()):
        return NUMBERED[side]
    no_header = "; if its first line is a pair, give --no-header too" if len(table.columns) == 2 else ""
    raise DataError(
        f"which column holds the {side} texts? give --{side} with one of: {listed(table.columns)}{no_header}",
        table.source,
    )
