"""A chain of the native engine by itself, without the input's product."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.kernels import Kernel
from recurra.engines.native.passes import Way, run_pass


def along(
    kernel: Kernel, rows: Arrangement, steps: int, projected: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor]
) -> list[Tensor]:
    """Outputs [B, T, H] and the leaves of the state at the end; projected is [N, …], as the steps are arranged."""
    outputs, (ends,) = run_pass(kernel, rows.rows, steps, [Way(rows, projected, (), state, weights)])
    return [outputs, *ends]
