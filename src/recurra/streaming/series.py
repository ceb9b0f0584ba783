"""Numbers over time, live: each step standardised by the scale of the training data."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.features import SeriesFeatures
from recurra.sequence import Sequence


class SeriesStreamState(NamedTuple):
    """Nothing: the scale is the run's, and a step waits for no other."""


class SeriesPreprocessing:
    """Steps of a series, standardised as in training; a live series has no last step, so max_length cuts nothing.

    Args:
        features: of the run.
    """

    def __init__(self, features: SeriesFeatures) -> None:
        self.features = replace(features, max_length=sys.maxsize)

    def initial_state(self) -> SeriesStreamState:
        """Nothing."""
        return SeriesStreamState()

    def step(self, x: Any, state: SeriesStreamState) -> tuple[Tensor, SeriesStreamState]:
        """A vector [D], or a number where D is 1 → [1, D] float32.

        Raises:
            DataError: another width, no number, or not finite.
        """
        array = np.asarray(x) if not isinstance(x, str | bytes) else None
        if (
            array is not None
            and array.dtype.kind in "iuf"
            and array.size == self.features.input_size
            and array.ndim < 2
        ):
            values = self._scaled(array)
            if math.isfinite(values.sum()):  # one call in place of two; a sum too large is looked at again below
                return torch.from_numpy(values), state
        return torch.from_numpy(self.features.encode([x]).values), state  # it names what is wrong

    @np.errstate(over="ignore", invalid="ignore")
    def _scaled(self, array: NDArray[Any]) -> NDArray[np.float32]:
        features = self.features
        return ((array.reshape(1, -1) - features.mean) / features.std).astype(np.float32)

    def run(self, chunk: Any, state: SeriesStreamState) -> tuple[Sequence | None, SeriesStreamState]:
        """Numbers [T], or vectors [T, D] → [1, T, D] float32.

        Raises:
            DataError: another width, no numbers, or not finite; with the step.
        """
        encoded = self.features.encode(chunk)
        return (self.features.collate([encoded]) if encoded.length else None), state

    def rest(self, state: SeriesStreamState) -> tuple[None, SeriesStreamState]:
        """Nothing is held back."""
        return None, state
