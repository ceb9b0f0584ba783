"""Pairs of texts made ready for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recurra.data.pairs import SOURCE, TARGET, EncodedPair, PairFeatures, lengths_of
from recurra.data.table import Table, concatenate


@dataclass(frozen=True)
class PairExamples:
    """Pairs and their ids.

    Args:
        table: the columns source and target, and where each pair stands.
        encoded: what the model reads.
    """

    table: Table
    encoded: list[EncodedPair]

    @classmethod
    def of(cls, table: Table, features: PairFeatures) -> PairExamples:
        """The pairs of a table."""
        return cls(table, features.encode_table(table))

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def sources(self) -> list[str]:
        """The texts to be answered."""
        return self.table.columns[SOURCE]

    @property
    def references(self) -> list[str]:
        """The answers that are wanted."""
        return self.table.columns[TARGET]

    @property
    def lengths(self) -> list[tuple[int, int]]:
        """Tokens of source and target, their ends included."""
        return lengths_of(self.encoded)

    @property
    def cut(self) -> int:
        """Pairs of which a side was longer than the longest kept."""
        return sum(pair.cut > 0 for pair in self.encoded)

    def select(self, rows: Sequence[int]) -> PairExamples:
        """Some of them, in this order."""
        return PairExamples(self.table.select(rows), [self.encoded[row] for row in rows])


def joined(first: PairExamples, second: PairExamples) -> PairExamples:
    """Pairs one below the other."""
    tables = [replace(one.table, columns={SOURCE: one.sources, TARGET: one.references}) for one in (first, second)]
    return PairExamples(concatenate(tables), first.encoded + second.encoded)
