"""Whole sequences on the native kernels: arranged, projected, run along time, and put back in their places."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.cells import Cell, GatedCell, GRUCell, GRUState, LSTMCell, LSTMState
from recurra.engines.native.arrangement import arrange
from recurra.engines.native.chain import GRUChain, LSTMChain
from recurra.engines.native.check import check_lengths
from recurra.engines.native.library import SUFFIXES, why_absent
from recurra.state import State


def why_not(cell: Cell) -> str | None:
    """Why the native kernels cannot run a cell; None where they can. Subclasses may compute something else."""
    if type(cell) not in (GRUCell, LSTMCell):
        return f"there is no native kernel for {type(cell).__name__}"
    assert isinstance(cell, GatedCell)
    if cell.weight_hh.dtype not in SUFFIXES or cell.weight_hh.device.type != "cpu":
        weights = f"{cell.weight_hh.dtype} on {cell.weight_hh.device}"
        return f"the native kernels compute in float32 and float64 on the CPU, and the weights are {weights}"
    return why_absent()


def native(cell: Cell, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    """Run a cell along time.

    Args:
        cell: exactly a GRUCell or LSTMCell, float32 or float64 on the CPU.
        x: [B, T, input_size] with B, T ≥ 1; what stands beyond the lengths is not read.
        state: before the first step.
        lengths: [B] int64 on the CPU; None: all steps are valid.

    Returns:
        outputs [B, T, H], zero beyond the lengths, and the state after the last valid step of each row.

    Raises:
        ShapeError: something does not fit the cell.
        SettingsError: the library is not here.
    """
    assert isinstance(cell, GatedCell)
    rows, steps = x.shape[0], x.shape[1]
    if lengths is not None:
        check_lengths(f"native {type(cell).__name__}", lengths, rows, steps)
    arranged = arrange(lengths, rows, steps)
    weight, bias = cell.weight_hh.contiguous(), cell.bias_hh.contiguous()
    inputs = cell.project(arranged.packed(x)).to(weight.dtype)  # autocast may give it in a shorter one
    begin = [arranged.sorted(leaf) for leaf in state]
    keep = torch.is_grad_enabled() and any(one.requires_grad for one in (inputs, *begin, weight, bias))
    chain = LSTMChain if isinstance(cell, LSTMCell) else GRUChain
    outputs, *ends = chain.apply(inputs, *begin, weight, bias, arranged, keep)  # type: ignore[no-untyped-call]
    kind = LSTMState if isinstance(cell, LSTMCell) else GRUState
    return arranged.padded(outputs, rows, steps), kind(*(arranged.unsorted(leaf) for leaf in ends))
