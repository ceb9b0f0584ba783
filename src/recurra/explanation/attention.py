"""What a translator looked at: the attention of each token of its answer over the tokens of the source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from recurra.errors import RunError, SettingsError
from recurra.html import html_shares
from recurra.run import Run, TranslateRun

MOST_SENTENCES = 50
"""Explained at once: each is a picture."""

Weights = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Attended:
    """One sentence, its answer, and where the decoder looked.

    source: the text. answer: its translation. score: of the answer, as `predict` gives it. source_labels: [S] the
    tokens that were read, the end among them. target_labels: [T] the tokens that were said. weights: [T, S], each row
    adds up to 1.
    """

    source: str
    answer: str
    score: float
    source_labels: tuple[str, ...]
    target_labels: tuple[str, ...]
    weights: Weights

    @property
    def sharpness(self) -> float:
        """The largest weight of a row, mean over rows: 1 where each token looked at one, 1 / S where at all alike."""
        return float(self.weights.max(1).mean()) if self.weights.size else 0.0

    def rows(self) -> list[tuple[str, str, float]]:
        """Each token of the answer, the token of the source that it looked at most, and with what weight."""
        if not self.weights.size:
            return []
        return [
            (target, self.source_labels[row.argmax()], float(row.max()))
            for target, row in zip(self.target_labels, self.weights, strict=True)
        ]

    def _repr_html_(self) -> str:
        """What a notebook shows: the weights as a table whose cells are the darker the larger they are."""
        return html_shares(
            f"{self.source} → {self.answer}", self.source_labels, self.target_labels, self.weights.tolist()
        )


def attended(run: Run, texts: Iterable[str]) -> list[Attended]:
    """Each text's answer with its attention.

    Args:
        run: of the task translate, with attention.
        texts: at most MOST_SENTENCES.

    Raises:
        RunError: the run is of another task, or its decoder has no attention.
        SettingsError: there are too many texts, or none.
    """
    if not isinstance(run, TranslateRun):
        raise RunError(f"{run.path} is a {run.task} run, and explain shows the attention of translate runs only so far")
    if run.settings.model.attention == "none":
        raise RunError(
            f"{run.path} was trained with attention none: a single vector of the source is all its decoder knows; "
            "train one with --attention general"
        )
    texts = list(islice(texts, MOST_SENTENCES + 1))
    if not texts:
        raise SettingsError("explain: there is no text; give one, as in: recurra explain RUN 'a text'")
    if len(texts) > MOST_SENTENCES:
        raise SettingsError(f"explain: there are more than {MOST_SENTENCES} texts, the most that is explained at once")
    return [
        Attended(text, said.text, said.score, said.source_labels, said.target_labels, said.attention)
        for text, said in zip(texts, run.predict(texts, attention=True), strict=True)
    ]
