"""A linear-chain conditional random field: tags of a sequence scored together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import ShapeError
from recurra.sequence import check_lengths, valid_mask

ILLEGAL = -1e6  # a score, and no infinity: where no path is legal there is an answer all the same


class Legal(NamedTuple):
    """Which tags may stand first, next to each other, and last.

    first: [C] bool; following: [C, C] bool, row = tag, column = the next one; last: [C] bool.
    """

    first: Tensor
    following: Tensor
    last: Tensor


class ConditionalRandomField(nn.Module):
    """p(tags | x) over whole sequences (Lafferty et al., 2001).

        score(y) = first[y_0] + Σ_t logits[t, y_t] + Σ_t following[y_t, y_(t+1)] + last[y_(T-1)]
        p(y) = exp score(y) / Σ_y' exp score(y')

    A sequence of no steps has one path, of probability 1.

    Args:
        num_tags: C.

    Shapes:
        logits [B, T, C]; tags [B, T] int64; lengths [B]. What lies beyond the lengths is not read.
    """

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        self.num_tags = num_tags
        self.first, self.last = nn.Parameter(torch.zeros(num_tags)), nn.Parameter(torch.zeros(num_tags))
        self.following = nn.Parameter(torch.zeros(num_tags, num_tags))
        with torch.no_grad():
            nn.init.normal_(self.following, std=0.01)

    def log_likelihood(self, logits: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log p(tags) of each row, [B].

        Raises:
            ShapeError: logits, tags and lengths do not fit.
        """
        lengths = self._check(logits, lengths)
        if tags.shape != logits.shape[:2]:
            raise ShapeError(f"log_likelihood: tags have shape {list(tags.shape)}, expected {list(logits.shape[:2])}")
        rows, steps = tags.shape
        mask = valid_mask(lengths, steps, logits.device)
        tags = tags.masked_fill(~mask, 0)
        logits = logits.masked_fill(~mask[..., None], 0.0)
        found = logits.new_zeros(rows)
        if not logits.numel():
            return found
        own = logits.gather(2, tags[..., None])[..., 0]  # [B, T]
        pairs = self.following[tags[:, :-1], tags[:, 1:]]  # [B, T - 1]
        # the sum of all paths is kept normalised, each step's share taken off at once: sums of thousands of steps
        # would lose the digits of their difference
        paths = self.first + logits[:, 0]
        total = paths.logsumexp(1)
        found = torch.where(mask[:, 0], self.first[tags[:, 0]] + own[:, 0] - total, found)
        paths = paths - total[:, None]
        for step in range(1, steps):
            new = (paths[:, :, None] + self.following).logsumexp(1) + logits[:, step]
            total = new.logsumexp(1)
            valid = mask[:, step]
            found = found + torch.where(valid, pairs[:, step - 1] + own[:, step] - total, 0.0)
            paths = torch.where(valid[:, None], new - total[:, None], paths)
        ends = tags.gather(1, (lengths.to(tags.device) - 1).clamp(min=0)[:, None])[:, 0]
        return found + torch.where(mask[:, 0], self.last[ends] - (paths + self.last).logsumexp(1), 0.0)

    def decode(self, logits: Tensor, lengths: Tensor | None = None, legal: Legal | None = None) -> Tensor:
        """The likeliest tags of each row, [B, T] int64, 0 beyond the lengths.

        Args:
            legal: which tags may stand where. Learning does not know it: data may hold what is not legal.

        Raises:
            ShapeError: logits and lengths do not fit.
        """
        lengths = self._check(logits, lengths)
        return viterbi(logits, lengths, self.first, self.following, self.last, legal)

    def _check(self, logits: Tensor, lengths: Tensor | None) -> Tensor:
        if logits.dim() != 3 or logits.shape[2] != self.num_tags:
            raise ShapeError(
                f"ConditionalRandomField: logits have shape {list(logits.shape)}, expected [B, T, {self.num_tags}]"
            )
        rows, steps, _ = logits.shape
        if lengths is None:
            return torch.full((rows,), steps)
        return check_lengths(lengths, rows, steps, "ConditionalRandomField")


def viterbi(
    logits: Tensor,
    lengths: Tensor,
    first: Tensor | None = None,
    following: Tensor | None = None,
    last: Tensor | None = None,
    legal: Legal | None = None,
) -> Tensor:
    """The path of the highest score through each row (Viterbi, 1967), [B, T] int64, 0 beyond the lengths.

    Args:
        logits: [B, T, C].
        lengths: [B].
        first, following, last: scores [C], [C, C], [C] of tags at the beginning, next to each other, at the end.
        legal: which of them may be at all.
    """
    rows, steps, tags = logits.shape
    found = torch.zeros(rows, steps, dtype=torch.int64, device=logits.device)
    if not logits.numel():
        return found
    mask = valid_mask(lengths, steps, logits.device)
    with torch.no_grad():
        logits = logits.masked_fill(~mask[..., None], 0.0)
        scores = []
        for at, (part, shape) in enumerate(((first, (tags,)), (following, (tags, tags)), (last, (tags,)))):
            score = logits.new_zeros(shape) if part is None else part.to(logits)
            scores.append(score if legal is None else score + ILLEGAL * (~legal[at]).to(score))
        best = scores[0] + logits[:, 0]
        came_from = []
        for step in range(1, steps):
            highest, where = (best[:, :, None] + scores[1]).max(1)
            new = highest + logits[:, step]
            came_from.append(where)
            # only differences matter, and large numbers have few digits for them
            best = torch.where(mask[:, step, None], new - new.amax(1, keepdim=True), best)
        tag = (best + scores[2]).argmax(1)
        for step in range(steps - 1, -1, -1):
            found[:, step] = torch.where(mask[:, step], tag, 0)
            if step:
                before = came_from[step - 1].gather(1, tag[:, None])[:, 0]
                tag = torch.where(mask[:, step], before, tag)
    return found
