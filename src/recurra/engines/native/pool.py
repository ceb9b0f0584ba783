"""Many live sequences in one memory, those that are ready stepped together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.engines.native.check import check_tensors
from recurra.engines.native.layers import Layer
from recurra.engines.native.plan import BLOCK, Plan
from recurra.errors import SettingsError, ShapeError

Ids = Sequence[int] | Tensor | NDArray[np.int64]


class Rows:
    """The rows of a pool, by number.

    Args:
        layers: the stack.
        count: rows, all zeros at first.

    Raises:
        SettingsError, ShapeError: as `Plan`, or there is no row.
    """

    def __init__(self, layers: Sequence[Layer], count: int) -> None:
        if count < 1:
            raise SettingsError(f"native rows: {count} rows, expected 1 or more")
        self.plan = Plan(layers, rows=min(count, BLOCK))
        self.state = self.plan.new_state(count)

    def step(self, ids: Ids, x: Tensor) -> Tensor:
        """One step of some rows.

        Args:
            ids: [N] of the rows, none twice.
            x: [N, input_size].

        Returns:
            y [N, output_size].

        Raises:
            ShapeError: x does not fit, or ids name a row that is not there, or one twice.
        """
        places = places_of(ids, len(self.state))
        count = len(places)
        x = x.contiguous()
        check_tensors("native rows, step", self.plan.dtype, {"x": (x, (count, self.plan.input_size))})
        y = torch.empty(count, self.plan.output_size, dtype=self.plan.dtype)
        at = places.ctypes.data
        self.plan.step_rows(self.plan.at, count, at, self.state.data_ptr(), x.data_ptr(), y.data_ptr())
        return y


def places_of(ids: Ids, count: int) -> NDArray[np.int64]:
    """Ids as the kernels read them.

    Raises:
        ShapeError: they are no numbers from 0 to count - 1, or name one twice.
    """
    found = np.asarray(ids)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size):
        raise ShapeError(f"pool: ids are {found.dtype} {list(found.shape)}, expected whole numbers [N]")
    places: NDArray[np.int64] = np.ascontiguousarray(found, dtype=np.int64)
    if places.size and not 0 <= int(places.min()) <= int(places.max()) < count:
        raise ShapeError(f"pool: ids go from {places.min()} to {places.max()}, expected 0 to {count - 1}")
    if np.unique(places).size != places.size:
        raise ShapeError("pool: ids name a sequence twice; step it twice, one call after the other")
    return places
