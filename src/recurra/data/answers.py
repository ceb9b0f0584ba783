"""Answers in the kind of object that the questions came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra.data.readers.frames import frame_like, is_frame

SINGULAR = {"probabilities": "probability"}


def in_kind_of(given: Any, answers: list[Any], keys: Mapping[str, list[Any]] | None = None) -> Any:
    """A frame of answers for a frame of inputs, in its order; the answers themselves for anything else.

    Args:
        given: what the inputs came in.
        answers: a named tuple each.
        keys: columns that say what each answer is for, where it is not for a row of `given`.
    """
    if not is_frame(given):
        return answers
    return frame_like(given, {**(keys or {}), **answer_columns(answers)}, row_by_row=not keys)


def answer_columns(answers: list[Any]) -> dict[str, list[Any]]:
    """Named tuples as columns by field: a field that is a mapping becomes a column for each key.

    Prediction(label="good", probabilities={"bad": 0.1, "good": 0.9}) → label, probability_bad, probability_good.
    """
    columns: dict[str, list[Any]] = {}
    for answer in answers:
        for name, value in answer._asdict().items():
            if isinstance(value, Mapping):
                for key, one in value.items():
                    columns.setdefault(f"{SINGULAR.get(name, name)}_{key}", []).append(one)
            else:
                columns.setdefault(name, []).append(list(value) if isinstance(value, tuple) else value)
    return columns
