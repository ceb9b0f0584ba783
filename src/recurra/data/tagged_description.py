"""What a file of tagged sentences looks like, for people."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from recurra.data.table import Table
from recurra.data.tagged import gathered, tag_column, tags_of, token_column
from recurra.data.token_features import check_tokens
from recurra.errors import DataError
from recurra.settings.groups import TableSettings

RARE = 3  # tokens below which a tag is called rare
RARE_SHOWN = 5


def looks_tagged(table: Table, settings: TableSettings) -> bool:
    """Whether a table has a column of tokens and one of tags, both of lists of texts."""
    try:
        columns = [table.column(find(table, settings)) for find in (token_column, tag_column)]
    except DataError:
        return False
    return bool(len(table)) and all(_texts(values[0]) for values in columns) and columns[0] is not columns[1]


def describe_tagged(table: Table, settings: TableSettings) -> dict[str, Any]:
    """Sentences, tokens, lengths, tags with how many tokens have each, and problems.

    Args:
        table: of which `looks_tagged` says yes.
        settings: its columns.
    """
    table = gathered(table, settings)
    tokens, tags = token_column(table, settings), tag_column(table, settings)
    counts: Counter[str] = Counter()
    lengths: list[int] = []
    problems: list[str] = []
    for row, value in enumerate(table.column(tokens)):
        try:
            lengths.append(len(check_tokens(value, table.place(row, tokens))))
            counts.update(tags_of(table.columns[tags][row], lengths[-1], table.place(row, tags)))
        except DataError as error:
            problems.append(str(error))
    found: dict[str, Any] = {"kind": "tagged tokens", "inputs": [tokens], "target": tags, "tokens": sum(lengths)}
    if lengths:
        found["lengths"] = {
            "shortest": min(lengths), "median": int(np.median(lengths)), "longest": max(lengths), "unit": "tokens",
        }  # fmt: skip
    if empty := sum(length == 0 for length in lengths):
        problems.append(f"{empty} row(s) have no tokens")
    found["classes"] = {name: counts[name] for name in sorted(counts)}
    if rare := [name for name in sorted(counts) if counts[name] < RARE]:
        shown = ", ".join(rare[:RARE_SHOWN])
        problems.append(f"{len(rare)} tag(s) have fewer than {RARE} tokens: {shown}")
    if len(counts) == 1:
        problems.append("all tokens have the same tag; tagging needs two")
    return {**found, "problems": problems}


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
