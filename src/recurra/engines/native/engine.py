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
from recurra.engines.native.two_chains import TwoChains
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
    kernel = _kernel(cell, x, state)
    if torch.compiler.is_compiling() or is_transformed():  # the operator checks when it runs
        leaves = [leaf.contiguous() for leaf in state]
        weights = _weights(kernel, cell)
        projected = kernel.project(cell, x.transpose(0, 1)).to(cell.initial_state(1)[0].dtype).contiguous()
        outputs, ends = operate(kernel.name, projected, leaves, weights, lengths)
        return outputs.transpose(0, 1), kernel.state(*ends)
    rows = _arranged(cell, x, lengths)
    given = _given(kernel, cell, x, state, rows)
    outputs, *ends = kernel.chain.apply(*given, rows, _is_kept(given))
    return rows.padded(outputs, *x.shape[:2]), kernel.state(*(rows.unsorted(leaf) for leaf in ends))


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
    given = [_given(kernel, *one) for one in zip(cells, (x, x), states, ways, strict=True)]
    found = TwoChains.apply(kernel.chain, ways, tuple(map(_is_kept, given)), *given[0], *given[1])  # type: ignore[no-untyped-call]
    half = len(found) // 2
    (one, *ends), (two, *starts) = found[:half], found[half:]
    joined = torch.cat([rows.padded(outputs, *x.shape[:2]) for rows, outputs in zip(ways, (one, two), strict=True)], -1)
    return joined, (
        kernel.state(*(ahead.unsorted(leaf) for leaf in ends)),
        kernel.state(*(ahead.unsorted(leaf) for leaf in starts)),
    )


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


def _given(kernel: Kernel, cell: Cell, x: Tensor, state: State, rows: Arrangement) -> list[Tensor]:
    """What the chain is given: the projected input, the leaves of the state, the weights."""
    leaves = {name: leaf.contiguous() for name, leaf in state._asdict().items()}
    expected = cell.initial_state(rows.rows)
    shapes = {name: (leaf, tuple(getattr(expected, name).shape)) for name, leaf in leaves.items()}
    check_tensors(_where(cell), expected[0].dtype, shapes)
    inputs = kernel.project(cell, rows.packed(x)).to(expected[0].dtype)  # autocast may give it in a shorter one
    return [inputs, *(rows.sorted(leaf) for leaf in leaves.values()), *_weights(kernel, cell)]


def _weights(kernel: Kernel, cell: Cell) -> list[Tensor]:
    """What the chain reads of the cell; its matrices of bfloat16 where autocast asks for that, not for float16."""
    weights = [weight.contiguous() for weight in kernel.weights(cell)]
    if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16:
        first = weights[: kernel.matrices]
        weights[: kernel.matrices] = [one.bfloat16() if one.dtype == torch.float32 else one for one in first]
    return weights


def _is_kept(given: list[Tensor]) -> bool:
    """Whether backward will come."""
    return torch.is_grad_enabled() and any(one.requires_grad for one in given)


def _where(cell: Cell) -> str:
    return f"native {type(cell).__name__}"
