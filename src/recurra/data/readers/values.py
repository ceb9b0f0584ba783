"""Values from other libraries as Python's own: a gap is None, a number a number, an array or a list a series."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
import torch

PLAIN = frozenset({str, int, bool, type(None)})
PLAIN_NUMBERS = frozenset({float, int, bool, type(None)})
NUMBERS = (int, float, np.number, np.bool_, type(None))
MISSING = ("NAType", "NaTType")  # the types of pandas' NA and NaT
MOST_NESTING = 8  # lists within lists; a list that holds itself never ends

Array = np.ndarray[Any, np.dtype[Any]]


def plain_values(values: list[Any], depth: int = 0) -> list[Any]:
    """A column as Python values; the same list where it holds them already.

    pandas' NA, NaT and None are None, and so is NaN among other things than numbers. Lists within are treated alike,
    arrays of numbers and tensors stay or become arrays.
    """
    kinds = set(map(type, values))
    # what lists hold is looked at in one sweep: going into each costs ten times that
    held = set(map(type, chain.from_iterable(values))) if kinds == {list} else kinds
    if held <= PLAIN or held <= PLAIN_NUMBERS or depth > MOST_NESTING:
        return values
    gaps = not all(issubclass(kind, NUMBERS) for kind in kinds)
    return [_plain(value, gaps, depth) for value in values]


def array_values(array: Array) -> list[Any]:
    """An array [N, …] as a column: [N] as Python values, of more dimensions as arrays."""
    if isinstance(array, np.ma.MaskedArray) and array.ndim > 1:
        array = np.ma.filled(array.astype(np.float64), np.nan)
    if array.dtype.kind in "mM":
        array = _microseconds(array)
    if array.ndim > 1 and array.dtype.kind in "biuf":
        return list(array)
    values: list[Any] = array.tolist()
    return plain_values(values) if array.dtype.kind == "O" else values


def tensor_array(tensor: torch.Tensor) -> Array:
    """A tensor of any device and number format as an array."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _plain(value: Any, gaps: bool, depth: int) -> Any:
    if type(value) in PLAIN:
        return value
    if type(value).__name__ in MISSING:
        return None
    if isinstance(value, np.generic):
        value = (_microseconds(value) if value.dtype.kind in "mM" else value).item()
    if isinstance(value, torch.Tensor):
        value = tensor_array(value)
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return _plain(value[()], gaps, depth)
        if value.dtype.kind in "biuf" and not isinstance(value, np.ma.MaskedArray):
            return value
        return plain_values(value.tolist(), depth + 1)
    if isinstance(value, float):
        return None if gaps and math.isnan(value) else float(value)
    if isinstance(value, list | tuple):
        return plain_values(list(value), depth + 1)
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, datetime) and hasattr(value, "to_pydatetime"):
        return value if getattr(value, "nanosecond", 0) else value.to_pydatetime()  # Python's own ends at microseconds
    if isinstance(value, timedelta) and hasattr(value, "to_pytimedelta"):
        return value.to_pytimedelta()
    return value


def _microseconds(value: Any) -> Any:
    """Dates as precise as Python's own: numpy turns finer ones into bare integers."""
    return value.astype("datetime64[us]" if value.dtype.kind == "M" else "timedelta64[us]")
