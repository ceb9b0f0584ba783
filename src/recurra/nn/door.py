"""The door of a layer over sequences: every kind of input becomes one kind, and outputs go back as the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.errors import ShapeError
from recurra.sequence import Padding, Sequence, all_full, check_lengths, shift_left, shift_right, valid_mask

Layout = Tensor | Sequence | PackedSequence


class Entered(NamedTuple):
    """What came through the door.

    values: [B, T, D], zero beyond the lengths; lengths: [B] int64 on the CPU, or None where every step is valid;
    resets: [B, T] bool or None; leave: outputs [B, T, …] → the caller's kind and layout.
    """

    values: Tensor
    lengths: Tensor | None
    resets: Tensor | None
    leave: Callable[[Tensor], Layout]


def enter(
    x: Layout,
    input_size: int,
    where: str,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    padding: Padding = "right",
) -> Entered:
    """Take in [B, T, D], unbatched [T, D], a Sequence or a PackedSequence.

    Raises:
        ShapeError: rank, width, lengths, resets or padding do not fit.
    """
    if padding not in ("right", "left"):
        raise ShapeError(f"{where}: padding is {padding!r}, expected 'right' or 'left'")
    if isinstance(x, PackedSequence):
        _refuse_lengths(where, "a PackedSequence", lengths, padding)
        return _enter_packed(x, input_size, where, resets)
    if isinstance(x, Sequence):
        _refuse_lengths(where, "a Sequence", lengths, padding)
        if not isinstance(x.values, Tensor):
            raise ShapeError(f"{where}: a Sequence of {type(x.values).__name__}, expected one of a tensor [B, T, D]")
        full = x.lengths
        entered = enter(x.values, input_size, where, full, resets)
        return entered._replace(leave=lambda outputs: Sequence(outputs, full))
    if not isinstance(x, Tensor) or x.dim() not in (2, 3):
        raise ShapeError(
            f"{where}: x is {_kind(x)}, expected [B, T, D], unbatched [T, D], a Sequence or a PackedSequence"
        )
    if x.dim() == 2:
        if lengths is not None:
            raise ShapeError(f"{where}: x is unbatched [T, D] and needs no lengths; give x [B, T, D] with lengths [B]")
        entered = enter(x[None], input_size, where, None, None if resets is None else resets[None])
        return entered._replace(leave=lambda outputs: outputs[0])
    if x.shape[2] != input_size:
        raise ShapeError(
            f"{where}: x has {x.shape[2]} features, expected {input_size} (input_size). "
            "Was the batch built for another model, or is the batch not the first dimension?"
        )
    if not x.is_floating_point():
        raise ShapeError(f"{where}: x is {x.dtype}, expected a floating point tensor")
    resets = _check_resets(resets, x, where)
    if lengths is None:
        return Entered(x, None, resets, lambda outputs: outputs)
    lengths = check_lengths(lengths, x.shape[0], x.shape[1], where)
    if all_full(lengths, x.shape[1]):
        return Entered(x, None, resets, lambda outputs: outputs)
    leave: Callable[[Tensor], Layout] = lambda outputs: outputs  # noqa: E731
    if padding == "left":
        given = lengths
        x = shift_left(x, given)
        resets = None if resets is None else shift_left(resets, given)
        leave = lambda outputs: shift_right(outputs, given)  # noqa: E731
    outside = ~valid_mask(lengths, x.shape[1], x.device)
    # before the step, not only after it: 0 × NaN would reach the gradient
    return Entered(x.masked_fill(outside[..., None], 0.0), lengths, resets, leave)


def entered_zeros(values: Tensor, lengths: Tensor) -> Entered:
    """What a frontend made, [B, T, D] with zeros on padding, taken in as it is; lengths as in a Sequence."""
    full = all_full(lengths, values.shape[1])
    return Entered(values, None if full else lengths, None, lambda outputs: outputs)


def _enter_packed(x: PackedSequence, input_size: int, where: str, resets: Tensor | None) -> Entered:
    values, lengths = pad_packed_sequence(x, batch_first=True)
    entered = enter(values, input_size, where, lengths, resets)
    order = x.sorted_indices

    def leave(outputs: Tensor) -> PackedSequence:
        ordered = outputs if order is None else outputs[order]
        sizes = lengths if order is None else lengths[order.cpu()]
        data = pack_padded_sequence(ordered, sizes, batch_first=True).data
        return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)

    return entered._replace(leave=leave)


def _check_resets(resets: Tensor | None, x: Tensor, where: str) -> Tensor | None:
    if resets is None:
        return None
    if resets.dtype != torch.bool or resets.shape != x.shape[:2]:
        raise ShapeError(
            f"{where}: resets are {resets.dtype} of shape {list(resets.shape)}, "
            f"expected bool of shape {list(x.shape[:2])}, True where an episode begins"
        )
    return resets.to(x.device)


def _refuse_lengths(where: str, kind: str, lengths: Tensor | None, padding: Padding) -> None:
    if lengths is not None or padding != "right":
        raise ShapeError(f"{where}: {kind} carries its own lengths, right-padded; give neither lengths nor padding")


def _kind(x: object) -> str:
    return f"of shape {list(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
