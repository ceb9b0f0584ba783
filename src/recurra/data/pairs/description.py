"""What a table of pairs looks like, for people."""

from __future__ import annotations

from typing import Any

import numpy as np

from recurra.data.pairs.columns import SOURCE, TARGET, pair_columns, paired
from recurra.data.pairs.words import words_of
from recurra.data.table import Table
from recurra.errors import DataError
from recurra.settings.translation import PairsSettings

SURE = ("source", "src"), ("target", "tgt")  # names that no table of labels has on both sides


def looks_paired(table: Table, settings: PairsSettings) -> bool:
    """Whether a table has a column of sources and one of targets, by names that say so, both of texts."""
    try:
        names = pair_columns(table, settings)
    except DataError:
        return False
    named = all(name in sure or name in given for name, sure, given in zip(names, SURE, _given(settings), strict=True))
    return named and all(isinstance(value, str) for name in names for value in table.columns[name][:1])


def describe_pairs(table: Table, settings: PairsSettings) -> dict[str, Any]:
    """Pairs, the words of both sides, and problems.

    Args:
        table: of which `looks_paired` says yes, or that `read_line_pairs` gave.
        settings: its columns.
    """
    names = pair_columns(table, settings)
    table = paired(table, settings)
    sides = table.columns[SOURCE], table.columns[TARGET]
    found: dict[str, Any] = {"kind": "pairs of texts", "inputs": [names[0]], "target": names[1]}
    for side, texts in zip((SOURCE, TARGET), sides, strict=True):
        lengths = [len(words_of(text)) for text in texts]
        found[f"{side}_lengths"] = {
            "shortest": min(lengths),
            "median": int(np.median(lengths)),
            "longest": max(lengths),
            "unit": "words",
        }
    problems = []
    if empty := sum(not (one.strip() and other.strip()) for one, other in zip(*sides, strict=True)):
        problems.append(f"{empty} pair(s) have an empty side; training leaves them out")
    if again := len(table) - len(set(zip(*sides, strict=True))):
        problems.append(f"{again} pair(s) stand there more than once")
    if same := sum(one == other != "" for one, other in zip(*sides, strict=True)):
        problems.append(f"{same} pair(s) have the same text on both sides")
    return {**found, "problems": problems}


def _given(settings: PairsSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return settings.source, settings.target
