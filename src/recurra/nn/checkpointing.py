"""Checkpointing in time: exact gradients through long sequences, within a memory budget.

A sequence is run in segments. Only the state between them is kept; the inside of a segment is computed a second time
when the backward pass reaches it (Chen et al., 2016, "Training deep nets with sublinear memory cost"; Gruslys et al.,
2016, "Memory-efficient backpropagation through time"). Unlike truncation this changes no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recurra.errors import SettingsError
from recurra.state import State

Result = TypeVar("Result")
MB = 2**20


def run_in_segments(
    run: Callable[[int, int, State], tuple[Result, State]], state: State, steps: int, segment: int
) -> tuple[list[Result], State]:
    """Run over time in segments, keeping what lies between them.

    Args:
        run: (start, stop, state before start) → what is wanted of these steps, and the state after them. It must
            compute the same when it is called again: any noise is drawn outside.
        state: before the first step.
        steps: T.
        segment: steps of a segment; 0: one run over all steps, and nothing is computed twice.

    Returns:
        What `run` gave for each segment, in order, and the last state.
    """
    results: list[Result] = []
    stride = segment or max(1, steps)
    for start in range(0, max(1, steps), stride):
        stop = min(start + stride, steps)
        if stop < steps and torch.is_grad_enabled():
            result, state = checkpoint(run, start, stop, state, use_reentrant=False, preserve_rng_state=False)
        else:  # the last segment is the first that the backward pass needs
            result, state = run(start, stop, state)
        results.append(result)
    return results, state


def choose_segment(steps: int, step_bytes: float, fixed_bytes: float, state_bytes: float, budget_bytes: float) -> int:
    """The longest segment with which a sequence stays within a budget; 0 where it does so in one run.

    With segments of S steps, ⌈T/S⌉ − 1 states are kept, and the inside of one segment:

        bytes(S) = fixed + S · step + (⌈T/S⌉ − 1) · state

    Args:
        steps: T.
        step_bytes: needed by one step inside a segment.
        fixed_bytes: needed by a run of any length.
        state_bytes: of the state between two segments.
        budget_bytes: what may be used.

    Raises:
        SettingsError: no segment is short enough; says what would suffice.
    """

    def needed(segment: int) -> float:
        return fixed_bytes + segment * step_bytes + (math.ceil(steps / segment) - 1) * state_bytes

    if steps < 1 or needed(steps) <= budget_bytes:
        return 0
    fits = [segment for segment in range(1, steps) if needed(segment) <= budget_bytes]
    if not fits:
        least = min(map(needed, range(1, steps + 1)))
        raise SettingsError(
            f"bptt_memory: {budget_bytes / MB:.4g} MB are too little for {steps} steps, which need "
            f"{math.ceil(100 * least / MB) / 100:g} MB at the least; give that much, or a smaller batch_size"
        )
    return max(fits)


def saved_bytes(run: Callable[[], object], apart_from: Iterable[Tensor] = ()) -> int:
    """Bytes that a computation keeps for its backward pass, by running it.

    Args:
        run: the computation; what it returns is kept until the count is made.
        apart_from: tensors that stand in memory anyway, as the parameters do.
    """
    known = {one.untyped_storage().data_ptr() for one in apart_from}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = run()  # alive until the sum, so that no storage is met twice at one address
        total = sum(found.values())
    del kept
    return total
