"""Long form: a table with one row a time step becomes one with a row a sequence.

Rows of one id make a sequence, wherever they stand; sequences come in the order of their first rows. Each step is the
vector of the input columns.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from recurra.data.columns import SEQUENCE, TARGET_NAMES, input_columns, target_columns
from recurra.data.encoded import shown
from recurra.data.series_features import number
from recurra.data.table import Place, Table, listed
from recurra.errors import DataError
from recurra.settings.groups import TableSettings

ID_NAMES = (
    "id", "uid", "unique_id", "series_id", "sequence_id", "series", "sequence", "episode", "episode_id", "trial",
    "trial_id", "session", "session_id", "subject", "subject_id", "patient", "patient_id", "participant",
    "participant_id", "case", "case_id", "record_id", "recordid",
)  # fmt: skip

Moment = int | float | datetime

S = TypeVar("S", bound=TableSettings)


class Keyed(NamedTuple):
    """A sequence with the id that its answer names; value may be the error that stands in its place."""

    id: Any
    value: Any


def with_inputs(table: Table, settings: S) -> S:
    """The settings with the input columns of a table in long form decided: those given, or all others of numbers.

    A column is one of numbers where more than half of its cells are: a faulty cell is refused later, with its line,
    and does not silently take its column away. One that counts the rows of the table (the index of a frame, written
    with it) measures nothing and is left out.

    Raises:
        DataError: there is none, or no such id.
    """
    if not settings.id or settings.input:
        return settings
    table.column(settings.id)
    taken = {settings.id, settings.time, settings.group, *(settings.target or TARGET_NAMES)}
    names = [name for name, values in table.columns.items() if name not in taken and _mostly_numbers(values)]
    names = [name for name in names if not _counts_rows(table.columns[name])]
    if not names:
        raise DataError(
            f"no other column holds numbers, and with --id {settings.id} an input is numbers step by step; "
            f"columns: {listed(table.columns)}",
            table.source,
        )
    return replace(settings, input=tuple(names))


def sequences(table: Table, settings: TableSettings, *, labelled: bool = True) -> Table:
    """One row an id, in order of first appearance, with the line of its first row; as it is where no id is named.

    Args:
        table: one row a time step.
        settings: id, time, input (as `with_inputs` decides it), and what is kept of each id: target and group.
        labelled: whether target and group are kept, and must agree; prediction needs neither.

    Returns:
        columns: the id, the input column [T, D] float64, and those of target and group that the table has.

    Raises:
        DataError: an id or a time is missing, two steps of an id have the same time, a cell is no number, or targets or
            groups differ within an id; with the line.
    """
    if not settings.id:
        return table
    if labelled:
        target_columns(table, settings)  # said here, where the table is still the user's own
    owned = rows_by_id(table, settings.id)
    columns: dict[str, list[Any]] = {settings.id: list(owned)}
    kept = {**dict.fromkeys(_targets(table, settings), "target"), settings.group: "group"} if labelled else {}
    for name, what in kept.items():
        if name in table.columns and name != settings.id:
            columns[name] = [_only_value(table, rows, name, what, key) for key, rows in owned.items()]
    steps = _Steps(table, settings)
    columns[SEQUENCE] = [steps.of(rows) for rows in owned.values()]
    first = [rows[0] for rows in owned.values()]
    return Table(table.source, columns, [table.lines[i] for i in first], _sources(table, first))


def keyed_sequences(table: Table, settings: TableSettings) -> list[Keyed]:
    """For prediction: each id's sequence, or the error of one that cannot be read.

    Raises:
        DataError: an id is missing, or a column.
    """
    steps = _Steps(table, settings)
    found: list[Keyed] = []
    for key, rows in rows_by_id(table, settings.id).items():
        try:
            found.append(Keyed(key, steps.of(rows)))
        except DataError as error:
            found.append(Keyed(key, error))
    return found


def check_one_row_each(table: Table, settings: TableSettings) -> None:
    """Refuse a table in long form that was given as if each row were an example.

    It shows itself by a column called like an id, whose values repeat and whose rows share one target while a number
    beside them changes. Naming the input columns insists.

    Raises:
        DataError: it looks so.
    """
    if settings.id or settings.input:
        return
    name = next((name for name in table.columns if name.strip().lower() in ID_NAMES), None)
    targets = _targets(table, settings)
    if name is None or name in (*targets, settings.group) or not targets or set(targets) - set(table.columns):
        return
    try:
        owned = list(rows_by_id(table, name).values())
    except DataError:
        return
    if len(owned) < 2 or 2 * len(owned) > len(table):
        return
    try:
        others = input_columns(table, settings)
    except DataError:  # which of several is not clear: refused in any case, and here with the likelier mend
        others = tuple(other for other in table.columns if other not in (name, *targets))
    steps = (other for other in others if _mostly_numbers(table.columns[other]))
    if all(_agrees(table, owned, other) for other in steps):
        return
    if all(_agrees(table, owned, target) for target in targets):
        raise DataError(
            f"its {len(table)} rows seem to be time steps of {len(owned)} sequences, by the column {name!r}; "
            f"give --id {name} (and --time COLUMN) to make them sequences, or name the columns of a row with --input",
            table.source,
        )


def identity(value: Any, place: Place) -> Any:
    """An id or a group as a plain text or whole number, so that 1, 1.0 and numpy's 1 are the same.

    Raises:
        DataError: it is missing, or a list.
    """
    if getattr(value, "ndim", 0) == 0 and hasattr(value, "item"):
        value = value.item()  # a numpy scalar
    if value is None or (isinstance(value, str) and not value.strip()) or value != value:  # NaN, NaT
        raise place.error("is missing; every row needs one")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool | str | int | float):
        return value
    if isinstance(value, list | tuple | dict) or hasattr(value, "ndim"):
        raise place.error(f"is {type(value).__name__}; a text or a number is expected")
    return str(value)  # a date, a decimal number, a UUID


def moment(value: Any, place: Place) -> Moment:
    """A time as what orders: a number, or a date with or without a time zone.

    Raises:
        DataError: it is missing, or neither a number nor an ISO date.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        text = value.strip()
        for read in (int, float, datetime.fromisoformat):
            with contextlib.suppress(ValueError):
                value = read(text)
                break
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, bool) or not isinstance(value, int | float | datetime) or value != value:
        raise place.error(f"is {shown(value)}; a time is a number, or a date as in 2024-05-01 or 2024-05-01T12:30")
    if isinstance(value, float) and math.isinf(value):
        raise place.error("is no finite number; a time is a number or a date")
    return value


def ordered(table: Table, settings: TableSettings, rows: list[int]) -> list[int]:
    """The rows of one id in the order of time, or of the file where no time is named.

    Raises:
        DataError: a time that cannot be used, or two that are the same.
    """
    name = settings.time
    if not name:
        if table.sources and len({table.sources[row] for row in rows}) > 1:
            stray = next(row for row in rows if table.sources[row] != table.sources[rows[0]])
            raise table.place(stray, settings.id).error(
                f"this id is in {table.sources[rows[0]]} too, and without --time the order of its steps is not "
                "known; give --time, or each file ids of its own"
            )
        return rows
    values = table.columns[name]
    times = [moment(values[row], table.place(row, name)) for row in rows]
    for row, time in zip(rows, times, strict=True):
        if _clock(time) != _clock(times[0]):
            raise table.place(row, name).error(
                f"is {_clock(time)}, and {_line(table, rows[0], row)} of the same id has {_clock(times[0])}; "
                "give every row the same kind of time"
            )
    order: list[int] = sorted(range(len(rows)), key=times.__getitem__)
    for before, after in pairwise(order):
        if times[before] == times[after]:
            raise table.place(rows[after], name).error(
                f"is {_quoted(values[rows[after]])} as in {_line(table, rows[before], rows[after])} of the same "
                "id; two steps need two times"
            )
    return [rows[place] for place in order]


class _Steps:
    """The steps of one id, in the order of time.

    Args:
        table: in long form.
        settings: its input and time columns.
    """

    def __init__(self, table: Table, settings: TableSettings) -> None:
        self._table, self._settings = table, settings
        self._columns = [_Cells(table, name) for name in with_inputs(table, settings).input]
        if settings.time:
            table.column(settings.time)

    def of(self, rows: list[int]) -> NDArray[np.float64]:
        """[T, D].

        Raises:
            DataError: a time or a cell that cannot be used.
        """
        in_time = ordered(self._table, self._settings, rows)
        return np.stack([cells.of(in_time) for cells in self._columns], axis=1)


class _Cells:
    """A column of numbers, read at once where all its cells are numbers, else cell by cell to name the line."""

    def __init__(self, table: Table, name: str) -> None:
        self._table, self._name, values = table, name, table.column(name)
        self._numbers: NDArray[np.float64] | None = None
        if not any(isinstance(value, bool) for value in values):
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                numbers = np.array(values, dtype=np.float64)
                self._numbers = numbers if numbers.ndim == 1 and bool(np.isfinite(numbers).all()) else None

    def of(self, rows: list[int]) -> NDArray[np.float64]:
        if self._numbers is not None:
            return self._numbers[rows]
        values = self._table.columns[self._name]
        return np.array([_number(values[row], self._table.place(row, self._name)) for row in rows])


def _number(value: Any, place: Place) -> float:
    if isinstance(value, str) and value.strip() and not _is_number(value):
        raise place.error(
            f"is {shown(value)}; with --id an input is numbers step by step, so name columns of numbers with --input"
        )
    return number(value, place)


def rows_by_id(table: Table, name: str) -> dict[Any, list[int]]:
    """The rows of each id, in order of first appearance.

    Raises:
        DataError: there is no such column, or an id is missing.
    """
    owned: dict[Any, list[int]] = {}
    for row, value in enumerate(table.column(name)):
        owned.setdefault(identity(value, table.place(row, name)), []).append(row)
    return owned


def _only_value(table: Table, rows: list[int], name: str, what: str, key: Any) -> Any:
    values = table.columns[name]
    for row in rows:
        if not _same(values[row], values[rows[0]]):
            raise table.place(row, name).error(
                f"the {what} of the id {_quoted(key)} is {_quoted(values[row])} here and {_quoted(values[rows[0]])} in "
                f"{_line(table, rows[0], row)}; every row of an id needs the same"
            )
    return values[rows[0]]


def _agrees(table: Table, owned: Iterable[list[int]], name: str) -> bool:
    """Whether the rows of each id have one value in a column."""
    values = table.columns[name]
    return all(_same(values[row], values[rows[0]]) for rows in owned for row in rows)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if getattr(one, "ndim", 0) or getattr(other, "ndim", 0):
        return bool(np.array_equal(np.asarray(one), np.asarray(other)))
    return bool(one == other or (one != one and other != other))  # NaN, which is refused later


def _line(table: Table, row: int, seen_from: int) -> str:
    """A row's line, with its file where that is another."""
    place = table.place(row)
    elsewhere = place.source != table.place(seen_from).source
    return f"{place.source}, line {place.line}" if elsewhere else f"line {place.line}"


def _clock(time: Moment) -> str:
    if not isinstance(time, datetime):
        return "a number"
    return "a date without a time zone" if time.tzinfo is None else "a date with a time zone"


def _quoted(value: Any) -> str:
    return shown(value) if isinstance(value, str | float) or value is None else str(value)[:40]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            float(value)
            return True
        return False
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _mostly_numbers(values: Iterable[Any]) -> bool:
    marks = [_is_number(value) for value in values]
    return 2 * sum(marks) > len(marks)


def _counts_rows(values: Sequence[Any]) -> bool:
    """Whether a column is 0, 1, 2, … or 1, 2, 3, … along the table."""
    first = str(values[0])
    return first in ("0", "1") and len(values) > 1 and all(str(v) == str(i) for i, v in enumerate(values, int(first)))


def _targets(table: Table, settings: TableSettings) -> tuple[str, ...]:
    return settings.target or tuple(name for name in TARGET_NAMES if name in table.columns)[:1]


def _sources(table: Table, rows: list[int]) -> list[str]:
    return [table.sources[row] for row in rows] if table.sources else []
