"""Pairs of other data that the training data hold too: what they score is memory, in part."""

from __future__ import annotations

from typing import NamedTuple

from recurra.data.pairs.columns import SOURCE, TARGET
from recurra.data.table import Table


class Overlap(NamedTuple):
    """sources: pairs whose source text training has seen. pairs: of these, those with the same target. rows: of all."""

    sources: int
    pairs: int
    rows: int


def overlap(train: Table, other: Table) -> Overlap:
    """How many pairs of other data have a source text, or both texts, of the training data, sign by sign."""
    known: dict[str, set[str]] = {}
    for source, target in zip(train.columns[SOURCE], train.columns[TARGET], strict=True):
        known.setdefault(source, set()).add(target)
    sources = pairs = 0
    for source, target in zip(other.columns[SOURCE], other.columns[TARGET], strict=True):
        sources += source in known
        pairs += target in known.get(source, ())
    return Overlap(sources, pairs, len(other))
