"""Tagged sentences made ready for a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.encoded import Encoded
from recurra.data.table import Table, concatenate
from recurra.data.tagged import UNSEEN

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class TaggedExamples:
    """Sentences: tokens, their encoding, the numbers of their tags, and the target's tags as the data has them.

    Args:
        table: where each sentence stands.
        inputs: the tokens of each.
        encoded: what the model reads.
        targets: [T, K] int64 of each: its tags of every kind, the target first; -1 where training has not seen one.
        tags: the target's names.
    """

    table: Table
    inputs: list[list[str]]
    encoded: list[Encoded]
    targets: list[Numbers]
    tags: list[list[str]]

    @property
    def tokens(self) -> int:
        """How many there are."""
        return sum(one.length for one in self.encoded)

    @property
    def unseen(self) -> int:
        """Tokens whose tag training has not seen."""
        return sum(int((target[:, 0] == UNSEEN).sum()) for target in self.targets)

    def select(self, rows: list[int]) -> TaggedExamples:
        """Some of them, in this order."""
        return TaggedExamples(
            self.table.select(rows),
            [self.inputs[row] for row in rows],
            [self.encoded[row] for row in rows],
            [self.targets[row] for row in rows],
            [self.tags[row] for row in rows],
        )


class TagScore(NamedTuple):
    """metrics by name; predicted: the numbers of each sentence's tags [T]"""

    metrics: dict[str, float]
    predicted: list[Numbers]


def joined(first: TaggedExamples, second: TaggedExamples) -> TaggedExamples:
    """Sentences one below the other; their table keeps where each came from, and no columns."""
    return TaggedExamples(
        concatenate([replace(one.table, columns={}) for one in (first, second)]),
        first.inputs + second.inputs,
        first.encoded + second.encoded,
        first.targets + second.targets,
        first.tags + second.tags,
    )


def target_tensor(targets: list[Numbers], steps: int, kinds: int) -> Tensor:
    """[B, T, K] int64 from [T, K] of each row, -1 on padding."""
    found = np.full((len(targets), steps, kinds), UNSEEN, np.int64)
    for row, own in enumerate(targets):
        found[row, : len(own)] = own
    return torch.from_numpy(found)
