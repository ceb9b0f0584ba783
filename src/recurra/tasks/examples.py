"""Rows made ready for a model: one by one, in batches, scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from recurra.data.features import Encoded
from recurra.data.table import Table, concatenate
from recurra.sequence import Sequence


class Batch(NamedTuple):
    """inputs, and targets: as `target_tensor` of the task makes them"""

    inputs: Sequence
    targets: Tensor


@dataclass(frozen=True)
class Examples:
    """A table made ready: raw inputs, their encoding, targets, and where each row came from."""

    table: Table
    inputs: list[Any]
    encoded: list[Encoded]
    targets: list[Any]

    @property
    def lengths(self) -> list[int]:
        """Steps of each example."""
        return [one.length for one in self.encoded]

    @property
    def cut(self) -> int:
        """Examples that max_length shortened."""
        return sum(one.cut > 0 for one in self.encoded)

    def select(self, rows: list[int]) -> Examples:
        """Some of them, in this order."""
        inputs, encoded, targets = (
            [values[row] for row in rows] for values in (self.inputs, self.encoded, self.targets)
        )
        return Examples(self.table.select(rows), inputs, encoded, targets)


def joined(parts: list[Examples]) -> Examples:
    """Examples one below the other; their table keeps where each came from, and no columns."""
    return Examples(
        concatenate([replace(part.table, columns={}) for part in parts]),
        [value for part in parts for value in part.inputs],
        [one for part in parts for one in part.encoded],
        [target for part in parts for target in part.targets],
    )


class Score(NamedTuple):
    """metrics by name; outputs [N, O] of the model, a row an example"""

    metrics: dict[str, float]
    outputs: Tensor
