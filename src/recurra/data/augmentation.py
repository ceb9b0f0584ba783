"""Augmentation of training texts: noise on characters, unknown tokens. All chance comes from the given generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.data.vocabulary import UNK_ID


@dataclass(frozen=True)
class Augment:
    """How a training text is blurred.

    Args:
        word_dropout: probability that a token is read as unknown.
        char_noise: probability that a character is dropped, doubled, swapped with the next, or replaced.
    """

    word_dropout: float = 0.0
    char_noise: float = 0.0

    def blur(self, text: str, rng: np.random.Generator) -> str:
        """The text with its characters disturbed; as it was where nothing but spaces would remain."""
        if not self.char_noise:
            return text
        hits = np.flatnonzero(rng.random(len(text)) < self.char_noise).tolist()
        kinds = rng.integers(4, size=len(hits)).tolist()
        strangers = rng.integers(max(1, len(text)), size=len(hits)).tolist()
        characters = list(text)
        for position, kind, stranger in zip(hits, kinds, strangers, strict=True):
            if kind == 0:
                characters[position] = ""
            elif kind == 1:
                characters[position] *= 2
            elif kind == 2:
                other = min(position + 1, len(characters) - 1)
                characters[position], characters[other] = characters[other], characters[position]
            else:
                characters[position] = text[stranger]
        blurred = "".join(characters)
        return blurred if blurred.strip() else text

    def drop(self, tokens: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Token ids [T], some replaced by the unknown token."""
        if not self.word_dropout:
            return tokens
        return np.where(rng.random(len(tokens)) < self.word_dropout, UNK_ID, tokens)
