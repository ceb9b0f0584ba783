"""Python objects as a table: columns, rows, or a plain list of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recurra.data.readers.jsonl import columns_of
from recurra.data.table import Table, check_not_empty
from recurra.errors import DataError

GIVEN = "the given data"


def table_from_python(data: Any) -> Table:
    """A table of a mapping {column: values}, of a list of dictionaries, or of a list (or array) of inputs.

    A list of inputs becomes the column "input". Rows count from 1.

    Raises:
        DataError: columns of unequal length, nothing at all, or another kind of object.
    """
    if isinstance(data, Mapping):
        columns = {str(name): _values(values, str(name)) for name, values in data.items()}
        check_not_empty(len(columns), GIVEN)
        _check_equal(columns)
    else:
        rows = _values(data, None)
        check_not_empty(len(rows), GIVEN)
        columns = columns_of(_rows(rows), GIVEN)
    count = len(next(iter(columns.values()), []))
    check_not_empty(count, GIVEN)
    return Table(GIVEN, columns, list(range(1, count + 1)))


def _rows(rows: list[Any]) -> list[Any]:
    dictionaries = isinstance(rows[0], Mapping)
    for number, row in enumerate(rows, 1):
        if isinstance(row, Mapping) != dictionaries:
            raise DataError(
                "is a dictionary and the first row is not, or the other way round; every row must be one, or none",
                GIVEN,
                number,
            )
    return [{str(name): value for name, value in row.items()} for row in rows] if dictionaries else rows


def _values(values: Any, column: str | None) -> list[Any]:
    if isinstance(values, np.ndarray) and values.ndim >= 1:
        return values.tolist() if values.ndim == 1 else list(values)
    if isinstance(values, (list, tuple)):
        return list(values)
    if not isinstance(values, (str, bytes)) and hasattr(values, "tolist") and hasattr(values, "__len__"):
        return list(values.tolist())  # a column of a frame, a tensor
    raise DataError(
        f"is {type(values).__name__}; a mapping of columns, a list of dictionaries or a list of inputs is expected "
        "(for a frame: {name: frame[name] for name in frame.columns})"
        if column is None
        else f"is {type(values).__name__}; a list or an array with one value a row is expected",
        GIVEN,
        column=column,
    )


def _check_equal(columns: dict[str, list[Any]]) -> None:
    first = next(iter(columns))
    for name, values in columns.items():
        if len(values) != len(columns[first]):
            raise DataError(
                f"has {len(values)} values, and {first!r} has {len(columns[first])}; "
                "every column needs one value a row",
                GIVEN,
                column=name,
            )
