"""Python objects as a table: frames, columns, rows, arrays, or a plain list of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from recurra.data.readers.frames import frame_columns, is_frame, series_of, series_values
from recurra.data.readers.jsonl import columns_of
from recurra.data.readers.values import array_values, plain_values, tensor_array
from recurra.data.table import Table, check_not_empty, listed
from recurra.errors import GIVEN, DataError


def table_from_python(data: Any) -> Table:
    """A table of Python objects; a value that is missing is None. Rows count from 1.

    Args:
        data: a frame (pandas, polars, an Arrow table or record batch, a Hugging Face data set, whatever narwhals
            reads), a mapping {column: values}, a list of dictionaries, or a list, array or tensor of inputs, which
            becomes the column "input".

    Raises:
        DataError: columns of unequal length, nothing at all, or another kind of object.
    """
    columns = frame_columns(data)
    if columns is None:
        columns = _mapped(data) if isinstance(data, Mapping) else _listed(data)
    count = len(next(iter(columns.values()), []))
    check_not_empty(count, GIVEN)
    return Table(GIVEN, columns, list(range(1, count + 1)))


def _mapped(data: Mapping[Any, Any]) -> dict[str, list[Any]]:
    tables = [str(name) for name, values in data.items() if is_frame(values)]
    if tables:
        raise DataError(
            f"holds whole tables ({listed(tables)}); give each on its own, as data=, valid= and test=", GIVEN
        )
    columns = {str(name): _values(values, str(name)) for name, values in data.items()}
    check_not_empty(len(columns), GIVEN)
    _check_equal(columns)
    return columns


def _listed(data: Any) -> dict[str, list[Any]]:
    if isinstance(data, np.ndarray) and data.dtype.names:
        return {name: array_values(data[name]) for name in data.dtype.names}
    rows = _values(data, None)
    check_not_empty(len(rows), GIVEN)
    return {name: plain_values(values) for name, values in columns_of(_rows(rows), GIVEN).items()}


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
    if isinstance(values, torch.Tensor):
        values = tensor_array(values)
    if isinstance(values, np.ndarray) and values.ndim >= 1:
        return array_values(values)
    if isinstance(values, list | tuple):
        return plain_values(list(values))
    if not isinstance(values, str | bytes | int | float | Mapping | np.ndarray | None):
        series = series_of(values)
        if series is not None:
            return series_values(series)
        if hasattr(values, "to_pylist"):  # an Arrow array
            return plain_values(values.to_pylist())
        if hasattr(values, "__array__"):  # an index of pandas, an array of another library
            return _values(np.asarray(values), column)
        if isinstance(values, Sequence):
            return plain_values(list(values))
    raise DataError(
        f"is {type(values).__name__}; a frame, a mapping of columns, a list of dictionaries or a list of inputs is "
        "expected"
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
