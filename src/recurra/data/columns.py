"""Which columns of a table are the input and the target, and what kind of thing an input is."""

from __future__ import annotations

from typing import Any, Literal

from recurra.data.series_features import vectors
from recurra.data.table import Table, listed
from recurra.errors import DataError
from recurra.settings.groups import DataSettings, TableSettings

TARGET_NAMES = ("target", "label")
INPUT_NAMES = ("input", "text")
SEQUENCE = "(sequence)"  # the input column of a table that was in long form
Kind = Literal["text", "series", "vector"]


def target_columns(table: Table, settings: TableSettings) -> tuple[str, ...]:
    """The target columns: those given, or the one that is called target or label.

    Raises:
        DataError: one is missing, or none is given and none has such a name.
    """
    if settings.target:
        for name in settings.target:
            table.column(name)
        return settings.target
    for name in TARGET_NAMES:
        if name in table.columns:
            return (name,)
    raise DataError(
        f"no column is called target or label; give --target with one of: {listed(table.columns)}", table.source
    )


def input_columns(table: Table, settings: TableSettings) -> tuple[str, ...]:
    """The input columns: those given, the one called input or text, or the only one that is no target and no group.

    With an id they are the one that `recurra.data.long_form.sequences` made.

    Raises:
        DataError: one is missing, or several could be meant.
    """
    if settings.id:
        return (SEQUENCE,)
    if settings.input:
        for name in settings.input:
            table.column(name)
        return settings.input
    others = [name for name in table.columns if name not in (*(settings.target or TARGET_NAMES), settings.group)]
    for name in INPUT_NAMES:
        if name in others:
            return (name,)
    if len(others) == 1:
        return (others[0],)
    raise DataError(f"which column is the input? give --input with one of: {listed(table.columns)}", table.source)


def input_column(table: Table, settings: TableSettings) -> str | None:
    """The column that messages about an input name; None where an input is made of several cells.

    Raises:
        DataError: as `input_columns`.
    """
    names = input_columns(table, settings)
    return names[0] if len(names) == 1 and not settings.id else None


def inputs_of(table: Table, settings: TableSettings, *, faults_in_place: bool = False) -> list[Any]:
    """One input a row: the cell of the input column, or the vector of several columns of numbers.

    Args:
        table: any; with an id, one that `recurra.data.long_form.sequences` made.
        settings: which columns.
        faults_in_place: where a cell of a vector is no number, put the error in the vector's place.

    Raises:
        DataError: a column is missing, or a cell of a vector is no number.
    """
    names = input_columns(table, settings)
    if len(names) == 1:
        return table.column(names[0])
    try:
        return list(vectors(table, names))
    except DataError:
        if not faults_in_place:
            raise
        return [_vector(table.select([row]), names) for row in range(len(table))]


def kind_of(inputs: list[Any], table: Table, settings: DataSettings) -> Kind:
    """What every input of the training data is.

    Raises:
        DataError: texts and numbers are mixed, or the kind asked for is not what is there.
    """
    asked = settings.input_kind
    texts = [isinstance(value, str) for value in inputs]
    if any(texts) and not all(texts):
        missing = next((row for row, value in enumerate(inputs) if value is None), None)
        row = texts.index(not texts[0]) if missing is None else missing
        names = input_columns(table, settings)
        place = table.place(row, names[0] if len(names) == 1 else None)
        if missing is not None:
            raise place.error('the input is missing; a text is expected, "" where it is empty')
        raise place.error(
            f"a {_word(texts[row])} stands among {_word(texts[0], 's')}; "
            "an input is the same kind of thing in every row"
        )
    if texts and texts[0]:
        if asked in ("series", "vector"):
            raise DataError(f"inputs are texts, and input_kind is {asked}; give input_kind text", table.source)
        return "text"
    if asked == "text":
        raise DataError("inputs are numbers, and input_kind is text; give input_kind series or vector", table.source)
    if asked == "auto":
        return "vector" if not settings.id and len(settings.input) > 1 else "series"
    return asked


def _vector(row: Table, names: tuple[str, ...]) -> list[float] | DataError:
    try:
        return vectors(row, names)[0]
    except DataError as fault:
        if fault.line is None:  # no cell of this row: a column that is not there
            raise
        return fault


def _word(text: bool, plural: str = "") -> str:
    return f"text{plural}" if text else f"number{plural} or list{plural} of numbers"
