"""Whole sequences on the native kernels: arranged, projected, run along time, and put back in their places."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.engines.native.arrangement import arrange
from recurra.engines.native.check import check_lengths, check_tensors
from recurra.engines.native.kernels import kernel_of
from recurra.engines.native.library import SUFFIXES, why_absent
from recurra.engines.native.operators import is_transformed, operate
from recurra.errors import SettingsError, ShapeError
from recurra.state import State


def why_not(cell: Cell) -> str | None:
    """Why the native kernels cannot run a cell; None where they can. Subclasses may compute something else."""
    if kernel_of(cell) is None:
        return f"there is no native kernel for {type(cell).__name__}"
    weights = next(cell.parameters())
    if weights.dtype not in SUFFIXES or weights.device.type != "cpu":
        found = f"{weights.dtype} on {weights.device}"
        return f"the native kernels compute in float32 and float64 on the CPU, and the weights are {found}"
    return None if torch.compiler.is_compiling() else why_absent()  # a compiler would trace the search for the file


def native(cell: Cell, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    """Run a cell along time.

    Args:
        cell: one that `why_not` has no word against, float32 or float64 on the CPU.
        x: [B, T, input_size] with B, T ≥ 1; what stands beyond the lengths is not read.
        state: before the first step.
        lengths: [B] int64 on the CPU; None: all steps are valid.

    Returns:
        outputs [B, T, H], zero beyond the lengths, and the state after the last valid step of each row.

    Raises:
        ShapeError: something does not fit the cell.
        SettingsError: there is no kernel for the cell, or the library is not here.
    """
    kernel = kernel_of(cell)
    if kernel is None:
        raise SettingsError(f"native: there is no native kernel for {type(cell).__name__}; give engine 'loop'")
    where = f"native {type(cell).__name__}"
    if x.dim() != 3 or x.shape[2] != cell.input_size:
        raise ShapeError(f"{where}: x has shape {list(x.shape)}, expected [B, T, {cell.input_size}]")
    if not x.is_cpu or x.layout is not torch.strided:
        raise ShapeError(f"{where}: x is {x.layout} on {x.device}, expected a dense tensor on cpu, as the weights")
    rows, steps = x.shape[0], x.shape[1]
    if type(state) is not kernel.state:
        raise ShapeError(f"{where}: the state is a {type(state).__name__}, expected {kernel.state.__name__}")
    weights = [weight.contiguous() for weight in kernel.weights(cell)]
    leaves = {name: leaf.contiguous() for name, leaf in state._asdict().items()}
    expected = cell.initial_state(rows)
    dtype = expected[0].dtype
    if dtype == torch.float32 and _is_cast_to_bfloat16():
        weights[: kernel.matrices] = [one.bfloat16() for one in weights[: kernel.matrices]]
    if torch.compiler.is_compiling() or is_transformed():  # the operator checks when it runs
        projected = kernel.project(cell, x.transpose(0, 1)).to(dtype).contiguous()
        outputs, ends = operate(kernel.name, projected, list(leaves.values()), weights, lengths)
        return outputs.transpose(0, 1), kernel.state(*ends)
    check_tensors(where, dtype, {name: (leaf, tuple(getattr(expected, name).shape)) for name, leaf in leaves.items()})
    if lengths is not None:
        check_lengths(where, lengths, rows, steps)
    arranged = arrange(lengths, rows, steps)
    inputs = kernel.project(cell, arranged.packed(x)).to(dtype)  # autocast may give it in a shorter one
    begin = [arranged.sorted(leaf) for leaf in leaves.values()]
    keep = torch.is_grad_enabled() and any(one.requires_grad for one in (inputs, *begin, *weights))
    outputs, *ends = kernel.chain.apply(inputs, *begin, *weights, arranged, keep)
    return arranged.padded(outputs, rows, steps), kernel.state(*(arranged.unsorted(leaf) for leaf in ends))


def _is_cast_to_bfloat16() -> bool:
    """Whether autocast asks for matrices of bfloat16; for float16 there is no kernel, and they stay."""
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
