"""What a search found."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Found(NamedTuple):
    """One hypothesis.

    tokens [N] int64, without the end. score: what it was ranked by. log_probability: of the tokens and the end, in
    nats. attention [N + 1, S]: of each token and of the end to each step of the source; S is 0 without attention.
    """

    tokens: Tensor
    score: float
    log_probability: float
    attention: Tensor
