"""Whole sequences on the native kernels: arranged, projected, run along time, and put back in their places."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.engines.native.arrangement import Arrangement, arrange
from recurra.engines.native.check import check_lengths, check_tensors
from recurra.engines.native.kernels import Kernel, kernel_of
from recurra.engines.native.library import SUFFIXES, why_absent
from recurra.engines.native.operators import is_transformed, operate
from recurra.engines.native.passes import Way, run_pass
from recurra.errors import SettingsError, ShapeError
from recurra.state import State


def why_not(cell: Cell) -> str | None:
    """Why the native kernels cannot run a cell; None where they can. Subclasses may compute something else."""
    if kernel_of(cell) is None:
        return f"there is no native kernel for {type(cell).__name__}"
    weights = _weight(cell)
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
    kernel = _kernel(cell, x, state)
    if torch.compiler.is_compiling() or is_transformed():  # the operator checks when it runs
        leaves = [leaf.contiguous() for leaf in state]
        weights = _weights(kernel, cell)
        projected = kernel.project(cell, x.transpose(0, 1)).to(cell.initial_state(1)[0].dtype).contiguous()
        outputs, ends = operate(kernel.name, projected, leaves, weights, lengths)
        return outputs.transpose(0, 1), kernel.state(*ends)
    way = _way(kernel, cell, x, state, _arranged(cell, x, lengths))
    outputs, (end,) = run_pass(kernel, x.shape[0], x.shape[1], [way])
    return outputs, kernel.state(*end)


def both_ways(
    cells: tuple[Cell, Cell], x: Tensor, states: tuple[State, State], lengths: Tensor | None = None
) -> tuple[Tensor, tuple[State, State]]:
    """Run both directions of a layer at once; the threads are shared between them.

    Args:
        cells: forward and backward, of one kind, as for `native`; not under a compiler or a transform of torch.func.
        x, lengths: as for `native`.
        states: before the first step read, in each direction.

    Returns:
        outputs [B, T, 2·H], zero beyond the lengths, and the two states at the ends.

    Raises:
        As `native`.
    """
    kernel, other = (_kernel(cell, x, state) for cell, state in zip(cells, states, strict=True))
    if other is not kernel:
        raise SettingsError(f"native: the directions are {kernel.name} and {other.name}, expected one kind of cell")
    ahead = _arranged(cells[0], x, lengths)
    ways = ahead, ahead.reversed(lengths, x.shape[1])
    if ahead.place is None:
        x = x.transpose(0, 1).contiguous().transpose(0, 1)  # as both will read it
    given = [_way(kernel, *one) for one in zip(cells, (x, x), states, ways, strict=True)]
    outputs, (at_end, at_start) = run_pass(kernel, x.shape[0], x.shape[1], given)
    return outputs, (kernel.state(*at_end), kernel.state(*at_start))


def _kernel(cell: Cell, x: Tensor, state: State) -> Kernel:
    """The cell's kernel, where x and the state are such as it may have."""
    kernel = kernel_of(cell)
    if kernel is None:
        raise SettingsError(f"native: there is no native kernel for {type(cell).__name__}; give engine 'loop'")
    where = _where(cell)
    if x.dim() != 3 or x.shape[2] != cell.input_size:
        raise ShapeError(f"{where}: x has shape {list(x.shape)}, expected [B, T, {cell.input_size}]")
    if not x.is_cpu or x.layout is not torch.strided:
        raise ShapeError(f"{where}: x is {x.layout} on {x.device}, expected a dense tensor on cpu, as the weights")
    if type(state) is not kernel.state:
        raise ShapeError(f"{where}: the state is a {type(state).__name__}, expected {kernel.state.__name__}")
    return kernel


def _arranged(cell: Cell, x: Tensor, lengths: Tensor | None) -> Arrangement:
    rows, steps = x.shape[:2]
    if lengths is not None:
        check_lengths(_where(cell), lengths, rows, steps)
    return arrange(lengths, rows, steps)


def _way(kernel: Kernel, cell: Cell, x: Tensor, state: State, rows: Arrangement) -> Way:
    """What a direction's pass is given."""
    leaves, weights = [leaf.contiguous() for leaf in state], _weights(kernel, cell)
    dtype = _weight(cell).dtype
    widths = (cell.output_size, getattr(cell, "hidden_size", 0))
    named = zip(kernel.state._fields, leaves, widths, strict=False)
    check_tensors(_where(cell), dtype, {name: (leaf, (rows.rows, width)) for name, leaf, width in named})
    if kernel.projection is None or torch.is_autocast_enabled("cpu"):  # it may give the product in a shorter precision
        return Way(rows, kernel.project(cell, rows.packed(x)).to(dtype), (), leaves, weights)
    return Way(rows, x, kernel.projection(cell), leaves, weights)


def _weights(kernel: Kernel, cell: Cell) -> list[Tensor]:
    """What the chain reads of the cell; its matrices of bfloat16 where autocast asks for that, not for float16."""
    weights = [weight.contiguous() for weight in kernel.weights(cell)]
    if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16:
        first = weights[: kernel.matrices]
        weights[: kernel.matrices] = [one.bfloat16() if one.dtype == torch.float32 else one for one in first]
    return weights


def _weight(cell: Cell) -> Tensor:
    """One of the cell's weights; they are alike."""
    for one in cell._parameters.values():
        if one is not None:
            return one
    return next(cell.parameters())  # in modules of its own


def _where(cell: Cell) -> str:
    return f"native {type(cell).__name__}"
