"""SeriesFeatures: numbers over time (or a single vector) as standardised float32 steps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.encoded import Encoded, chosen_max_length, damaged, fault, shown, stored
from recurra.data.table import Place, Table
from recurra.errors import DataError
from recurra.sequence import Sequence

CONSTANT_SPREAD = 1e-12  # a standard deviation below this share of the mean is rounding, not variation

Steps = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeriesFeatures:
    """Series into padded, standardised batches.

    Args:
        input_size: D, numbers a step.
        mean, std: [D] float64, of the training steps; a constant feature has std 1.
        max_length: most steps; what is beyond is cut.
        vector: whether an input is one vector [D] (a sequence of one step).
    """

    input_size: int
    mean: Steps
    std: Steps
    max_length: int
    vector: bool

    @classmethod
    def fit(
        cls, inputs: Rows[Any], max_length: int, *, vector: bool = False, place: Callable[[int], Place] | None = None
    ) -> SeriesFeatures:
        """Learn width, scale and lengths from training inputs, in float64.

        Args:
            inputs: of each row, numbers [T], vectors [T, D], or with `vector` one vector [D].
            max_length: most steps; 0: the 99.9th percentile of these, within 1 and 4096.
            vector: whether an input is one vector.
            place: where a row stands, by its index.

        Raises:
            DataError: an input is no series of finite numbers, or widths differ; with line and step.
        """
        series = [as_steps(value, vector, place(row) if place else None) for row, value in enumerate(inputs)]
        filled = [row for row, steps in enumerate(series) if len(steps)]
        if not filled:
            raise DataError("there is no training input with at least one step")
        width = series[filled[0]].shape[1]
        for row in filled:
            if series[row].shape[1] != width:
                raise fault(
                    place(row) if place else None,
                    f"the input has {_features(series[row].shape[1])}, and earlier rows have {width}; "
                    "every row needs the same",
                )
        mean, std = _scale([series[row] for row in filled])
        if not (np.isfinite(mean).all() and np.isfinite(std).all()):
            raise DataError("the training inputs are too large to be standardised; divide them by a constant")
        lengths = [len(steps) for steps in series]
        return cls(width, mean, std, chosen_max_length(lengths, max_length), vector)

    def encode(self, value: Any, *, place: Place | None = None) -> Encoded:
        """One input as standardised steps [T, D] float32.

        Raises:
            DataError: it is no series of finite numbers, or has another width than in training.
        """
        steps = as_steps(value, self.vector, place)
        cut = max(0, len(steps) - self.max_length)
        steps = steps[: self.max_length]
        if not len(steps):
            return Encoded(np.zeros((0, self.input_size), np.float32), 0, 0)
        if steps.shape[1] != self.input_size:
            raise fault(
                place,
                f"the input has {_features(steps.shape[1])}, and in training it had {self.input_size}; "
                f"give {'a vector' if self.vector else 'each step as a list'} of {self.input_size}",
            )
        with np.errstate(over="ignore"):
            values = ((steps - self.mean) / self.std).astype(np.float32)
        if not np.isfinite(values).all():
            step, feature = np.argwhere(~np.isfinite(values))[0]
            raise fault(
                place,
                f"step {step + 1}, feature {feature + 1}: {steps[step, feature]:g} is too far from the training data",
            )
        return Encoded(values, len(values), cut)

    def collate(self, inputs: Rows[Encoded]) -> Sequence:
        """Pad with zeros to the longest: values [B, T, D] float32."""
        lengths = np.array([encoded.length for encoded in inputs], dtype=np.int64)
        values = np.zeros((len(inputs), int(lengths.max(initial=0)), self.input_size), np.float32)
        for row, encoded in enumerate(inputs):
            values[row, : encoded.length] = encoded.values
        return Sequence(torch.from_numpy(values), torch.from_numpy(lengths))

    @property
    def kind(self) -> Literal["series", "vector"]:
        """What an input is."""
        return "vector" if self.vector else "series"

    @property
    def tokenizer_json(self) -> str | None:
        """None: numbers have no tokenizer."""
        return None

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads; floats come back exactly."""
        return {
            "kind": "series",
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "max_length": self.max_length,
            "vector": self.vector,
        }

    @classmethod
    def from_json(cls, data: Any) -> SeriesFeatures:
        """Features as a run stored them.

        Raises:
            RunError: a field is missing or of another kind.
        """
        mean, std = (_stored_numbers(data, name) for name in ("mean", "std"))
        max_length, vector = stored(data, "max_length", int), stored(data, "vector", bool)
        if len(mean) != len(std) or not len(mean) or not (std > 0).all():
            raise damaged("std", "a positive number for every mean")
        if max_length < 1:
            raise damaged("max_length", "at least 1")
        return cls(len(mean), mean, std, max_length, vector)


def as_steps(value: Any, vector: bool, place: Place | None = None) -> Steps:
    """An input as [T, D] float64: numbers [T] → [T, 1], vectors [T, D]; with `vector`, [D] → [1, D].

    Raises:
        DataError: it is ragged, no numbers, NaN or infinite; with the step.
    """
    if value is None or isinstance(value, (str, bytes, dict)):
        raise fault(place, f"the input is {shown(value)}; a list of numbers or of vectors is expected")
    try:
        array = np.asarray(value)
    except (ValueError, RuntimeError):  # ragged, nested deeper than numpy goes, a tensor that cannot be read
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "iuf":
        array = _one_by_one(value, place)
    array = array.astype(np.float64, copy=False)
    if array.ndim not in (1, 2):
        shape = "a single number" if array.ndim == 0 else f"of shape {array.shape}"
        raise fault(place, f"the input is {shape}; a list of numbers or of vectors is expected")
    if array.ndim == 2 and array.shape[0] and not array.shape[1]:
        raise fault(place, "step 1 is an empty vector; numbers are expected")
    _check_finite(array, place)
    if vector:
        return _single_vector(array, place)
    return array[:, None] if array.ndim == 1 else array


def vectors(table: Table, columns: Rows[str]) -> list[list[float]]:
    """Several numeric columns as one vector a row.

    Raises:
        DataError: a column is missing, or a value is no number; with line and column.
    """
    read = [[number(value, table.place(row, name)) for row, value in enumerate(table.column(name))] for name in columns]
    return [list(row) for row in zip(*read, strict=True)]


def number(value: Any, place: Place) -> float:
    """A finite number, from a number or its text.

    Raises:
        DataError: it is something else.
    """
    found = math.nan
    if isinstance(value, (str, int, float, np.integer, np.floating)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            found = float(value)
    if not math.isfinite(found):
        raise place.error(f"is {shown(value)}; a finite number is expected")
    return found


def _one_by_one(value: Any, place: Place | None) -> Steps:
    """The slow way, for lists that numpy does not take as numbers: it names the step at fault."""
    if not isinstance(value, (list, tuple, np.ndarray)) or getattr(value, "ndim", 1) == 0:
        raise fault(place, f"the input is {type(value).__name__}; a list of numbers or of vectors is expected")
    steps: list[Any] = []
    for step, one in enumerate(value, 1):
        if isinstance(one, (list, tuple, np.ndarray)) and getattr(one, "ndim", 1) == 1:
            steps.append([_real(number, step, place) for number in one])
        else:
            steps.append(_real(one, step, place))
        if isinstance(steps[0], list) != isinstance(steps[-1], list):
            raise fault(place, f"step {step} is a number where others are vectors; give all the same kind")
        if isinstance(steps[0], list) and len(steps[-1]) != len(steps[0]):
            raise fault(
                place, f"step {step} has {_features(len(steps[-1]))}, and step 1 has {len(steps[0])}; fill it up"
            )
    return np.asarray(steps, dtype=np.float64)


def _real(value: Any, step: int, place: Place | None) -> float:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise fault(place, f"step {step} is an integer too large for arithmetic") from None
    raise fault(place, f"step {step} is {shown(value)}; a number is expected")


def _check_finite(array: Steps, place: Place | None) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        where = np.argwhere(~finite)[0]
        feature = f", feature {where[1] + 1}" if len(where) == 2 else ""
        raise fault(
            place,
            f"step {where[0] + 1}{feature}: {array[tuple(where)]} is no finite number; fill the gap or remove the row",
        )


def _single_vector(array: Steps, place: Place | None) -> Steps:
    if array.ndim == 1:
        return array[None] if len(array) else np.zeros((0, 0))
    if array.shape[0] == 1:
        return array
    raise fault(place, f"the input has {array.shape[0]} vectors, and one is expected; use a recurrent cell for series")


def _scale(series: list[Steps]) -> tuple[Steps, Steps]:
    """Mean and standard deviation of all steps, in two passes."""
    count = sum(map(len, series))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum((steps.sum(0) for steps in series), np.zeros(series[0].shape[1])) / count
        variance = sum((((steps - mean) ** 2).sum(0) for steps in series), np.zeros_like(mean)) / count
        std = np.sqrt(variance)
    std[std <= CONSTANT_SPREAD * np.abs(mean)] = 1.0
    return mean, std


def _stored_numbers(data: Any, name: str) -> Steps:
    values = stored(data, name, list)
    if not all(type(value) in (int, float) and abs(value) < math.inf for value in values):
        raise damaged(name, "a list of finite numbers")
    return np.asarray(values, dtype=np.float64)


def _features(count: int) -> str:
    return f"{count} number a step" if count == 1 else f"{count} numbers a step"
