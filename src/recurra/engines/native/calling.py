"""A chain of chains.hpp on tensors: checked, its weights packed as it reads them, its places handed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.chain import words
from recurra.engines.native.check import check_matrices, check_tensors, computed_in
from recurra.engines.native.library import Sequences, load
from recurra.engines.native.together import Call

Expected = Mapping[str, tuple[Tensor, tuple[int, ...]]]


def call(
    chain: str,
    rows: Arrangement,
    sizes: tuple[int, int],
    matrices: Expected,
    given: Expected,
    places: Sequence[Tensor | None],
) -> Call:
    """Check what is given, and say how a chain is called.

    Args:
        chain: of CHAINS, with _forward or _backward.
        rows: the arrangement.
        sizes: of the cell, and of the hidden state that its gates read.
        matrices: name → weights that the chain has packed and their shape; none: it multiplies unit by unit.
        given: the same of what else came from outside; all of the first one's dtype.
        places: every tensor of the chain in the order of its parameters; those not given were made for it.

    Raises:
        ShapeError: something given does not fit.
    """
    dtype = next(iter(given.values()))[0].dtype
    check_tensors(f"native {chain}", dtype, given)
    halved = check_matrices(f"native {chain}", dtype, matrices)
    weights = sum(one.numel() for one, _ in matrices.values()) if matrices else sizes[0]  # products a row and step
    sequences = Sequences(rows.rows, len(rows.active), sizes[0], rows.active.data_ptr(), 1, sizes[1], halved)
    return Call(load().function(chain, dtype), sequences, weights, places)


def packed_rows(weight: Tensor) -> Tensor:
    """Weights [N, K] as they take rows of K numbers to rows of N."""
    return _packed("pack_rows", weight, weight.shape[1], weight.shape[0])


def packed_columns(weight: Tensor) -> Tensor:
    """Weights [N, K] as they take rows of N numbers to rows of K, the way back."""
    return _packed("pack_columns", weight, weight.shape[0], weight.shape[1])


def kept_in(kept: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Room [N, Σ widths] as one tensor [N, width] after the other, none with gaps."""
    ends = accumulate((kept.shape[0] * width for width in widths), initial=0)
    flat = kept.view(-1)
    return [flat[start:end].view(-1, width) for (start, end), width in zip(pairwise(ends), widths, strict=True)]


def _packed(name: str, weight: Tensor, read: int, given: int) -> Tensor:
    dtype = computed_in(weight)
    halved = check_matrices(f"native {name}", dtype, {"the weight": (weight, tuple(weight.shape))})
    library = load()
    block = 2 * library.lanes(dtype)
    packed = weight.new_empty(-(-given // block) * block * words(weight, read), dtype=dtype)
    library.function(name, dtype)(library.level, halved, weight.data_ptr(), read, given, packed.data_ptr())
    return packed
