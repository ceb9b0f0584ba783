"""The two files of a run's plain method as they are read: each value is checked when it is taken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from recurra.errors import RunError

FORMAT = 1
WORDS_FILE = "baselines.json"
NUMBERS_FILE = "baselines.safetensors"
MAX_BYTES = 256 << 20
"""The most that should be read of either file."""

Arrays = dict[str, NDArray[Any]]


def json_alone(files: Mapping[str, bytes], folder: Path) -> Any:
    """What baselines.json holds, of a method that has no arrays.

    Raises:
        RunError: it is missing, or no JSON.
    """
    try:
        return json.loads(files[WORDS_FILE])
    except (KeyError, ValueError, RecursionError) as error:
        raise RunError(f"{folder / WORDS_FILE} is damaged: it is no JSON; train the run again") from error


class StoredFiles:
    """The JSON object and the arrays.

    Args:
        files: the bytes of both, by name.
        folder: of the run, for errors.

    Raises:
        RunError: a file is missing or damaged; naming it.
    """

    def __init__(self, files: Mapping[str, bytes], folder: Path) -> None:
        for name in (WORDS_FILE, NUMBERS_FILE):
            if name not in files:
                raise RunError(f"{folder / name} is missing; is the folder whole?")
        self.words_path, self.numbers_path = folder / WORDS_FILE, folder / NUMBERS_FILE
        try:
            self.content: Any = json.loads(files[WORDS_FILE].decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{self.words_path} is damaged: it is no JSON") from error
        try:
            self.arrays: Arrays = safetensors.numpy.load(files[NUMBERS_FILE])
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{self.numbers_path} is damaged: it is no safetensors file") from error

    def choice(self, name: str, known: Any) -> Any:
        value = self.content.get(name)
        if not isinstance(value, str) or value not in known:
            raise self.fault(name, f"one of {', '.join(known)}")
        return value

    def array(self, name: str, dtype: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
        """An array of its kind and shape (None: any length), finite."""
        array = self.arrays.get(name)
        if array is None or array.dtype != dtype or array.ndim != len(shape):
            raise self.array_fault(name, f"{np.dtype(dtype)} of {len(shape)} dimensions")
        if any(wanted not in (None, found) for wanted, found in zip(shape, array.shape, strict=True)):
            raise self.array_fault(name, f"of shape {['any' if size is None else size for size in shape]}")
        if not np.isfinite(array).all():
            raise self.array_fault(name, "finite")
        return array

    def fault(self, name: str, expected: str) -> RunError:
        return RunError(f"{self.words_path} is damaged: {name} is expected to be {expected}; copy the run again")

    def array_fault(self, name: str, expected: str) -> RunError:
        return RunError(f"{self.numbers_path} is damaged: {name} is expected to be {expected}; copy the run again")


def finite(value: Any) -> bool:
    """Whether a value of JSON is a number that can be computed with."""
    return type(value) in (int, float) and abs(value) <= 1e300 and math.isfinite(value)
