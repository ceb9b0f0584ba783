"""What turns raw inputs into batches, by the kind of the input: text, or series of numbers."""

from __future__ import annotations

from typing import Any

from recurra.data.encoded import Encoded, check_training_inputs, damaged, stored
from recurra.data.series_features import SeriesFeatures, vectors
from recurra.data.text_features import TextFeatures, TextValues, check_text

Features = TextFeatures | SeriesFeatures


def features_from_json(data: Any, tokenizer_json: str | None = None) -> Features:
    """Features as a run stored them (`to_json` and `tokenizer_json`).

    Raises:
        RunError: they are damaged.
    """
    kind = stored(data, "kind", str)
    if kind == "text":
        return TextFeatures.from_json(data, tokenizer_json)
    if kind == "series":
        return SeriesFeatures.from_json(data)
    raise damaged("kind", "'text' or 'series'")


__all__ = [
    "Encoded",
    "Features",
    "SeriesFeatures",
    "TextFeatures",
    "TextValues",
    "check_text",
    "check_training_inputs",
    "features_from_json",
    "vectors",
]
