"""Whole sequences on the native kernels: arranged, projected, run along time, and put back in their places."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.cells import Cell, GatedCell, GRUCell, GRUState, LSTMCell, LSTMState
from recurra.engines.native.arrangement import arrange
from recurra.engines.native.chain import GRUChain, LSTMChain
from recurra.engines.native.check import check_lengths, check_tensors
from recurra.engines.native.library import SUFFIXES, why_absent
from recurra.engines.native.operators import is_transformed, operate
from recurra.errors import ShapeError
from recurra.state import State


def why_not(cell: Cell) -> str | None:
    """Why the native kernels cannot run a cell; None where they can. Subclasses may compute something else."""
    if type(cell) not in (GRUCell, LSTMCell):
        return f"there is no native kernel for {type(cell).__name__}"
    assert isinstance(cell, GatedCell)
    if cell.weight_hh.dtype not in SUFFIXES or cell.weight_hh.device.type != "cpu":
        weights = f"{cell.weight_hh.dtype} on {cell.weight_hh.device}"
        return f"the native kernels compute in float32 and float64 on the CPU, and the weights are {weights}"
    return None if torch.compiler.is_compiling() else why_absent()  # a compiler would trace the search for the file


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
    where = f"native {type(cell).__name__}"
    kind = LSTMState if isinstance(cell, LSTMCell) else GRUState
    if type(state) is not kind:
        raise ShapeError(f"{where}: the state is a {type(state).__name__}, expected {kind.__name__}")
    weight, bias = cell.weight_hh.contiguous(), cell.bias_hh.contiguous()
    if torch.compiler.is_compiling() or is_transformed():  # the operator checks when it runs
        projected = cell.project(x.transpose(0, 1)).to(weight.dtype).contiguous()
        leaves = [leaf.contiguous() for leaf in state]
        outputs, ends = operate(type(cell).__name__, projected, leaves, [weight, bias], lengths)
        return outputs.transpose(0, 1), kind(*ends)
    named = {name: leaf.contiguous() for name, leaf in state._asdict().items()}
    check_tensors(where, cell.weight_hh.dtype, {name: (leaf, (rows, cell.hidden_size)) for name, leaf in named.items()})
    if lengths is not None:
        check_lengths(where, lengths, rows, steps)
    arranged = arrange(lengths, rows, steps)
    inputs = cell.project(arranged.packed(x)).to(weight.dtype)  # autocast may give it in a shorter one
    begin = [arranged.sorted(leaf) for leaf in named.values()]
    keep = torch.is_grad_enabled() and any(one.requires_grad for one in (inputs, *begin, weight, bias))
    chain = LSTMChain if isinstance(cell, LSTMCell) else GRUChain
    outputs, *ends = chain.apply(inputs, *begin, weight, bias, arranged, keep)  # type: ignore[no-untyped-call]
    return arranged.padded(outputs, rows, steps), kind(*(arranged.unsorted(leaf) for leaf in ends))
