"""Data frames of other libraries: pandas, polars, Arrow and whatever else narwhals knows, and Hugging Face datasets.

None of these libraries is imported here before a user's object is there to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from recurra.data.readers.values import plain_values
from recurra.errors import GIVEN, DataError
from recurra.optional import require

NO_FRAMES = (str, bytes, list, tuple, Mapping, np.ndarray, torch.Tensor, int, float, type(None))


def is_frame(data: Any) -> bool:
    """Whether an object is a table of named columns of another library.

    Raises:
        DataError: it is one that has no rows yet: a lazy frame, a streamed data set.
    """
    return frame_of(data) is not None


def frame_of(data: Any) -> Any:
    """The object as a narwhals frame, None where it is no frame.

    Raises:
        DataError: it has no rows yet, or two columns of one name.
    """
    if isinstance(data, NO_FRAMES):
        return None
    narwhals = require("narwhals.stable.v2")
    if _is_huggingface(data):
        if not hasattr(data, "num_rows"):
            raise DataError(f"is {type(data).__name__}, which streams; give a Dataset, or a list of its rows", GIVEN)
        data = data.with_format("arrow")[:]  # its own call: rows selected or shuffled come as such
    try:
        found = narwhals.from_native(data, pass_through=True)
        if found is data and _gives_arrow_rows(data):
            found = narwhals.from_native(require("pyarrow").table(data))
        names = [str(name) for name in found.columns] if isinstance(found, narwhals.DataFrame) else []
    except require("narwhals.exceptions").DuplicateError:
        names = ["", ""]
    if len(set(names)) < len(names):
        raise DataError("has two columns of one name; give each its own", GIVEN)
    if isinstance(found, narwhals.LazyFrame):
        raise DataError(f"is {type(data).__name__}, which has no rows yet; collect it first", GIVEN)
    return found if isinstance(found, narwhals.DataFrame) else None


def frame_columns(data: Any) -> dict[str, list[Any]] | None:
    """The columns of a frame as Python values, what its library calls null as None; None where it is no frame.

    Raises:
        DataError: as `frame_of`.
    """
    frame = frame_of(data)
    if frame is None:
        return None
    columns = {str(series.name): series_values(series) for series in frame.iter_columns()}
    if _is_huggingface(data):
        for name, feature in data.features.items():
            columns[name] = _named_classes(columns[name], feature)
    return columns


def series_of(values: Any) -> Any:
    """A column of another library as a narwhals series, None where it is none."""
    narwhals = require("narwhals.stable.v2")
    found = narwhals.from_native(values, pass_through=True, allow_series=True)
    return found if isinstance(found, narwhals.Series) else None


def series_values(series: Any) -> list[Any]:
    """A narwhals series as Python values, null as None."""
    values = series.to_list()
    if series.null_count():
        values = [None if null else value for value, null in zip(values, series.is_null().to_list(), strict=True)]
    return plain_values(values)


def frame_like(data: Any, columns: Mapping[str, list[Any]], *, row_by_row: bool = True) -> Any:
    """Columns as a frame of the same library as `data`; with its index, where it has one and rows answer rows.

    A Hugging Face data set gives a data set of its class, an Arrow record batch a record batch.
    """
    if _is_huggingface(data):
        return type(data).from_dict(dict(columns))
    arrow = require("pyarrow")
    if isinstance(data, arrow.RecordBatch):
        return arrow.RecordBatch.from_pydict(dict(columns))
    narwhals = require("narwhals.stable.v2")
    frame = frame_of(data)
    answer = narwhals.from_dict(columns, backend=frame.implementation).to_native()
    if row_by_row and narwhals.maybe_get_index(frame) is not None:
        answer.index = data.index
    return answer


def _is_huggingface(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "datasets" and hasattr(data, "with_format")


def _gives_arrow_rows(data: Any) -> bool:
    """Arrow's own protocol; an array, which has no columns, speaks a part of it too."""
    return hasattr(data, "schema") and (hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"))


def _named_classes(values: list[Any], feature: Any) -> list[Any]:
    """Numbers of a ClassLabel as its names, in lists of them too; a number below 0 is a label withheld."""
    inner = getattr(feature, "feature", None)
    if inner is not None and hasattr(inner, "names"):
        return [None if value is None else _named_classes(value, inner) for value in values]
    names = getattr(feature, "names", None)
    if names is None:
        return values
    return [None if value is None or value < 0 else names[value] for value in values]
