"""What can come next, and what a hypothesis is worth."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.models.search.options import SearchOptions

BLOCK = 64  # tokens
LEAST_COVERED = 1e-10  # log of nothing would forbid a hypothesis; of this much it costs 23 β


def forbid(
    logits: Tensor, spoken: Tensor, limits: Tensor, options: SearchOptions, eos_id: int, without: Tensor
) -> Tensor:
    """Logits with −∞ for what cannot come.

    Args:
        logits: [N, V]; not written to.
        spoken: [N, t] the tokens so far.
        limits: [N] tokens before the end at most.
        without: [W] int64 tokens that never come.
    """
    length = spoken.shape[1]
    end = torch.tensor([eos_id], device=logits.device)
    allowed = logits
    if without.numel():
        allowed = allowed.index_fill(1, without, -torch.inf)
    if options.no_repeat_ngram and length >= options.no_repeat_ngram:
        allowed = allowed.masked_fill(repeating(spoken, options.no_repeat_ngram, logits.shape[1]), -torch.inf)
    if length < options.min_length:
        allowed = allowed.index_fill(1, end, -torch.inf)
    stops = limits <= length
    if allowed is not logits:
        stops = stops | (allowed.amax(1) == -torch.inf)  # where nothing else can come, the end does
    if bool(stops.any()):
        others = torch.arange(logits.shape[1], device=logits.device) != eos_id
        allowed = allowed.masked_fill(stops[:, None] & others, -torch.inf)
        kept = torch.where(stops, logits[:, eos_id], allowed[:, eos_id])
        allowed = allowed.index_copy(1, end, kept[:, None])
    return allowed


def repeating(spoken: Tensor, size: int, vocabulary_size: int) -> Tensor:
    """[N, V] bool: the tokens that would complete an n-gram of `size` that is among the tokens [N, t] already."""
    rows, length = spoken.shape
    found = torch.zeros(rows, vocabulary_size + 1, dtype=torch.bool, device=spoken.device)
    if length >= size:
        grams = spoken.unfold(1, size, 1)  # [N, t − size + 1, size]
        again = (grams[..., :-1] == spoken[:, None, length - size + 1 :]).all(-1)
        # what does not come again is noted in a column that nobody reads
        found.scatter_(1, torch.where(again, grams[..., -1], vocabulary_size), True)
    return found[:, :vocabulary_size]


def largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`scores.topk(count)` of [N, V], the quicker way where V is large.

    The largest `count` of a row are in those `count` blocks whose maxima are the largest: V is read once, and sorted
    are the maxima and what stands in these blocks.
    """
    blocks = scores.shape[1] // BLOCK
    if blocks <= 2 * count:
        values, place = scores.topk(count)
        return values, place
    cut = scores[:, : blocks * BLOCK].view(-1, blocks, BLOCK)
    chosen = cut.amax(2).topk(count).indices
    inside = cut.gather(1, chosen[..., None].expand(-1, -1, BLOCK)).flatten(1)
    values, place = torch.cat([inside, scores[:, blocks * BLOCK :]], 1).topk(count)
    within = place.clamp(max=count * BLOCK - 1)
    of_block = chosen.gather(1, within // BLOCK) * BLOCK + within % BLOCK
    return values, torch.where(place < count * BLOCK, of_block, place + (blocks - count) * BLOCK)


def worth(log_probability: Tensor, length: int | Tensor, coverage: Tensor | None, options: SearchOptions) -> Tensor:
    """The score of hypotheses of `length` tokens, the end among them.

    Args:
        log_probability: [...] nats.
        length: n.
        coverage: [..., S] sums of attention, 1 beyond the source; None: not counted.
    """
    score = log_probability / length_divisor(length, options)
    if coverage is not None:
        penalty = coverage.clamp(LEAST_COVERED, 1.0).log().sum(-1)
        score = score + options.coverage_penalty * penalty
    return score


def length_divisor(length: int | Tensor, options: SearchOptions) -> float | Tensor:
    """lp of `SearchOptions`."""
    if not options.length_penalty:
        return 1.0
    base = (5 + length) / 6 if options.length_norm == "gnmt" else length
    divisor: float | Tensor = base**options.length_penalty
    return divisor
