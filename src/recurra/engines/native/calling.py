"""A chain of chains.hpp on tensors: checked, its weights packed as it reads them, its places handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.check import check_matrices, check_tensors, computed_in
from recurra.engines.native.library import Sequences, load
from recurra.engines.native.together import Call, Record

Expected = Mapping[str, tuple[Tensor, tuple[int, ...]]]


def call(
    chain: str,
    rows: Arrangement,
    sizes: tuple[int, int],
    matrices: Expected,
    given: Expected,
    places: Callable[[], Sequence[Tensor | None]],
    apart: int = 0,
) -> Call:
    """Check what is given, and say how a chain is called.

    Args:
        chain: of CHAINS, with _forward or _backward.
        rows: the arrangement.
        sizes: of the cell, and of the hidden state that its gates read.
        matrices: name → weights that the chain has packed and their shape; none: it multiplies unit by unit.
        given: the same of what else came from outside; all of the first one's dtype.
        places: gives every tensor of the chain in the order of its parameters, once all is checked.
        apart: numbers from one row of the projected input to the next, where the chain asks for that.

    Raises:
        ShapeError: something given does not fit.
    """
    dtype = next(iter(given.values()))[0].dtype
    where = f"native {chain}"
    check_tensors(where, dtype, given)
    halved = check_matrices(where, dtype, matrices)
    weights = sum(one.numel() for one, _ in matrices.values()) if matrices else sizes[0]  # products a row and step
    active = rows.active
    sequences = Sequences(rows.rows, active.shape[0], sizes[0], active.data_ptr(), 1, sizes[1], halved, apart)
    return Call(load().function(chain, dtype), sequences, weights, places())


def gradients(record: Record, of_outputs: Tensor, *of_ends: Tensor) -> Expected:
    """What a chain's backward is given, for `call`; the leaves of the state stand first in what was saved."""
    given = {"gradient of the outputs": (of_outputs, tuple(record.outputs.shape))}
    for name, one, leaf in zip(("ends", "cells"), of_ends, record.saved, strict=False):
        given[f"gradient of the {name}"] = (one, tuple(leaf.shape))
    return given


def packed_gates(weight: Tensor, bias: Tensor | None, gates: int) -> Tensor:
    """Weights [gates · H, K] and bias [gates · H] as the kernels read them that compute a unit's gates in registers.

    They must be checked, as those of the other two.
    """
    dtype, library, (rows, columns) = computed_in(weight), load(), weight.shape
    size = rows // gates
    packed = weight.new_empty(gates * _up(size, library.lanes(dtype)) * (_words(weight, columns) + 1), dtype=dtype)
    pack, at = library.function("pack_gates", dtype), None if bias is None else bias.data_ptr()
    pack(library.level, weight.dtype != dtype, weight.data_ptr(), at, gates, size, columns, packed.data_ptr())
    return packed


def packed_rows(weight: Tensor) -> Tensor:
    """Weights [N, K] as they take rows of K numbers to rows of N."""
    return _packed("pack_rows", weight, weight.shape[1], weight.shape[0])


def packed_columns(weight: Tensor) -> Tensor:
    """Weights [N, K] as they take rows of N numbers to rows of K, the way back."""
    return _packed("pack_columns", weight, weight.shape[0], weight.shape[1])


def kept_in(kept: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Room [N, Σ widths] as one tensor [N, width] after the other, none with gaps."""
    steps = kept.shape[0]
    parts = torch.split(kept.view(-1), [steps * width for width in widths])
    return [part.view(steps, width) for part, width in zip(parts, widths, strict=True)]


def _packed(name: str, weight: Tensor, read: int, given: int) -> Tensor:
    dtype, library = computed_in(weight), load()
    packed = weight.new_empty(_up(given, 2 * library.lanes(dtype)) * _words(weight, read), dtype=dtype)
    pack = library.function(name, dtype)
    pack(library.level, weight.dtype != dtype, weight.data_ptr(), read, given, packed.data_ptr())
    return packed


def _words(weight: Tensor, count: int) -> int:
    """Words that so many of a matrix's weights take: of 16 bits, two stand in one."""
    return -(-count // 2) if weight.dtype == torch.bfloat16 else count


def _up(size: int, block: int) -> int:
    return -(-size // block) * block
