"""What every way of decoding begins with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import SettingsError, ShapeError
from recurra.models.search.options import SearchOptions
from recurra.models.seq2seq import Decoder, DecoderState


class Begun(NamedTuple):
    """rows: sources; reach: S, steps of the source that attention sees; limits [B]: tokens before the end at most;
    without [W]: tokens that cannot come; coverage [B, S]: 0 at steps of the source and 1 beyond, of no step where it
    is not counted; dtype: of the attention."""

    rows: int
    reach: int
    limits: Tensor
    without: Tensor
    coverage: Tensor
    dtype: torch.dtype


def begin_search(
    decoder: Decoder, state: DecoderState, eos_id: int, options: SearchOptions, limits: Tensor | None
) -> Begun:
    """Check what a search is given.

    Raises:
        SettingsError: a token that is none, the end among those that cannot come, or a coverage penalty without
            attention.
        ShapeError: limits do not fit.
    """
    rows, like = state.fed.shape[0], decoder.output_bias
    for token in (eos_id, *options.without):
        if not 0 <= token < decoder.vocabulary_size:
            raise SettingsError(f"search: {token} is no token; there are 0 to {decoder.vocabulary_size - 1}")
    if eos_id in options.without:
        raise SettingsError(f"without: {eos_id} is eos_id, and a text that cannot end is never done; leave it out")
    readable = decoder.readable(state)
    if readable is None and options.coverage_penalty:
        raise SettingsError("coverage_penalty: it counts attention, and this decoder has none; leave it out")
    if limits is None:
        limits = torch.full((rows,), options.max_length)
    elif limits.shape != (rows,) or limits.is_floating_point():
        raise ShapeError(
            f"limits are {limits.dtype} of shape {list(limits.shape)}, expected integers of shape [{rows}], "
            "one a source"
        )
    reach = 0 if readable is None else readable.shape[1]
    uncovered = like.new_zeros(rows, 0)
    if readable is not None and options.coverage_penalty:
        uncovered = (~readable).to(like.dtype)
    return Begun(
        rows,
        reach,
        limits.to(like.device).clamp(options.min_length, options.max_length),
        torch.tensor(options.without, dtype=torch.int64, device=like.device),
        uncovered,
        like.dtype,
    )
