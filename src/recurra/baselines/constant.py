"""The answer that looks at no input: the majority class, the marks that most rows have, the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.linear import Kind


def fit_constant(kind: Kind, targets: NDArray[Any]) -> NDArray[Any]:
    """The one answer for every row.

    Args:
        kind: of the targets.
        targets: [N] ids, [N, L] marks or [N] numbers.

    Returns:
        [] int64, the most frequent class, of equals the smallest; [L] int64, the marks that more than half of the rows
        have; or [] float64, the mean.
    """
    if kind == "classes":
        return np.asarray(np.bincount(targets).argmax(), dtype=np.int64)
    if kind == "marks":
        return np.asarray(2 * targets.sum(0) > len(targets), dtype=np.int64)
    return np.asarray(targets.mean(), dtype=np.float64)
