"""What a model gives to a text that is there already."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.models.seq2seq import Decoder, DecoderState
from recurra.sequence import check_lengths, valid_mask


class Scored(NamedTuple):
    """log_probability [B] in nats; by_token [B, T] of each token, 0 beyond the lengths; attention [B, T, S]"""

    log_probability: Tensor
    by_token: Tensor
    attention: Tensor


def score_targets(
    decoder: Decoder, state: DecoderState, target: Tensor, lengths: Tensor | None = None, *, bos_id: int
) -> Scored:
    """Forced decoding: the log probability of given targets, in one pass where the decoder can.

    Args:
        decoder: the decoder; dropouts act in training.
        state: before `bos_id`: `Seq2Seq.begin`.
        target: [B, T] int64, the end among it where it counts.
        lengths: [B] valid steps; None: all.

    Raises:
        ShapeError: target, lengths or the state do not fit.
    """
    rows, steps = target.shape
    valid = torch.ones_like(target, dtype=torch.bool)
    if lengths is not None:
        valid = valid_mask(check_lengths(lengths, rows, steps, "score_targets"), steps, target.device)
    wanted = torch.where(valid, target, 0)
    read = torch.cat([target.new_full((rows, 1), bos_id), wanted[:, :-1]], 1) if steps else target
    (logits, attention), _ = decoder.run(read, state)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    of_token = wide.gather(2, wanted[..., None])[..., 0] - wide.logsumexp(2)
    of_token = torch.where(valid, of_token, 0.0)
    return Scored(of_token.sum(1), of_token, torch.where(valid[..., None], attention, 0.0))
