"""What features hand to batching: one input as arrays, and how much of it was cut."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from recurra.data.table import Place
from recurra.errors import DataError, RunError

MOST_STEPS = 4096
KEPT_PERCENTILE = 99.9

Array = np.ndarray[Any, np.dtype[Any]]


class Encoded(NamedTuple):
    """One input, ready to be collated.

    Args:
        values: arrays whose first dimension is the step; their kind is the features' own affair.
        length: steps.
        cut: steps beyond max_length, which were removed.
    """

    values: Any
    length: int
    cut: int


def check_training_inputs(inputs: Sequence[Encoded], place: Callable[[int], Place]) -> None:
    """Refuse what cannot be learned from; prediction answers it.

    Args:
        inputs: the training rows.
        place: where a row stands, by its index.

    Raises:
        DataError: an input is empty.
    """
    for row, encoded in enumerate(inputs):
        if encoded.length == 0:
            raise place(row).error("the input is empty; training needs at least one token or step, remove the row")


def chosen_max_length(lengths: Sequence[int], max_length: int) -> int:
    """The given bound, or for 0 the 99.9th percentile of the lengths, within 1 and 4096."""
    if max_length:
        return max_length
    return min(max(1, math.ceil(float(np.percentile(np.asarray(lengths), KEPT_PERCENTILE)))), MOST_STEPS)


def fault(place: Place | None, message: str) -> DataError:
    """The error of a value, with its place where that is known."""
    return place.error(message) if place else DataError(message)


def shown(value: Any) -> str:
    """A value in a message: short text and floats as they are, of the rest the type (a repr may be endless)."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return "missing"
    return reprlib.repr(value) if isinstance(value, (str, float)) else type(value).__name__


def stored(data: Any, name: str, *kinds: type) -> Any:
    """A field of stored features, checked for its kind.

    Raises:
        RunError: it is missing or of another kind.
    """
    value = data.get(name) if isinstance(data, dict) else None
    if type(value) not in kinds:
        raise damaged(name, " or ".join(kind.__name__ for kind in kinds))
    return value


def damaged(name: str, expected: str) -> RunError:
    """The error of a stored field."""
    return RunError(f"features: {name} is not {expected}; the run is damaged, copy it again or train it again")
