"""Table: what every reader returns, columns of equal length and the line each row came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from recurra.errors import DataError
from recurra.settings.names import did_you_mean

NAMES_SHOWN = 20  # a table of 100 000 columns must not make a message of a megabyte


@dataclass(frozen=True)
class Place:
    """Where a value stands, so that an error can say so."""

    source: str
    line: int | None = None
    column: str | None = None

    def error(self, message: str) -> DataError:
        """The error that names this place."""
        return DataError(message, self.source, self.line, self.column)


@dataclass(frozen=True)
class Table:
    """Columns of values, row by row, as a file gave them.

    Args:
        source: the file, or "the given data".
        columns: name → values, all of the same length.
        lines: for each row, the line (or row number, from 1) that messages name.
        sources: for each row, its own file; empty where all rows come from `source`.
    """

    source: str
    columns: dict[str, list[Any]]
    lines: list[int]
    sources: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[Any]:
        """The values of a column.

        Raises:
            DataError: there is no such column; with the nearest, and the list of them.
        """
        if name not in self.columns:
            raise DataError(
                f"there is no column {name!r}; {did_you_mean(name, _some(self.columns))} "
                f"(columns: {listed(self.columns)})",
                self.source,
            )
        return self.columns[name]

    def place(self, row: int, column: str | None = None) -> Place:
        """Where a row stands, counted from 0 in this table."""
        return Place(self.sources[row] if self.sources else self.source, self.lines[row], column)

    def column_place(self, column: str) -> Place:
        """A whole column, for what is wrong with no single row."""
        return Place(self.source, None, column)

    def select(self, indices: Sequence[int]) -> Table:
        """The rows with these indices, in this order."""
        return Table(
            self.source,
            {name: [values[i] for i in indices] for name, values in self.columns.items()},
            [self.lines[i] for i in indices],
            [self.sources[i] for i in indices] if self.sources else [],
        )


def concatenate(tables: Sequence[Table]) -> Table:
    """Tables with the same columns, one below the other; each row keeps its own file and line.

    Raises:
        DataError: the columns differ; both files are named.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    for table in tables[1:]:
        missing = [name for name in first.columns if name not in table.columns]
        added = [name for name in table.columns if name not in first.columns]
        if missing or added:
            differences = [f"no column {listed(missing)}"] if missing else []
            differences += [f"a column {listed(added)} more"] if added else []
            raise DataError(
                f"has {' and '.join(differences)}, compared with {first.source}; "
                "files that are read together need the same columns",
                table.source,
            )
    return Table(
        ", ".join(dict.fromkeys(table.source for table in tables)),
        {name: [value for table in tables for value in table.columns[name]] for name in first.columns},
        [line for table in tables for line in table.lines],
        [table.place(row).source for table in tables for row in range(len(table))],
    )


def listed(names: Iterable[str]) -> str:
    """`'a', 'b', 'c'`, cut after the first few."""
    names = list(names)
    shown = ", ".join(repr(name) for name in _some(names))
    return shown if len(names) <= NAMES_SHOWN else f"{shown}, … ({len(names)} in all)"


def check_not_empty(rows: int, path: Path | str, what: str = "is empty") -> None:
    """Refuse a file without rows.

    Raises:
        DataError: there are none.
    """
    if rows == 0:
        raise DataError(f"{what}; at least one row of data is expected", path)


def _some(names: Iterable[str]) -> list[str]:
    return list(islice(names, NAMES_SHOWN))
