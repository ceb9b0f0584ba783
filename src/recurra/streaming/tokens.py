"""Tokens one by one, or some together; none is held back."""

from __future__ import annotations

from typing import Any

from recurra.data.token_features import TokenFeatures, tokens_of
from recurra.errors import DataError
from recurra.sequence import Sequence
from recurra.state import map_state


class TokenPreprocessing:
    """Tokens → their values; it has no state.

    Args:
        features: of the run.
    """

    def __init__(self, features: TokenFeatures) -> None:
        self.features = features

    def initial_state(self) -> tuple[()]:
        """None."""
        return ()

    def step(self, x: Any, state: tuple[()]) -> tuple[Any, tuple[()]]:
        """One token.

        Raises:
            DataError: it is no text, or an empty one.
        """
        if not isinstance(x, str) or not x:
            raise DataError(f"step takes one token, and this is {x!r:.40}; push takes a list of tokens")
        values = self.features.collate([self.features.encode([x])]).values
        return map_state(lambda leaf: leaf[:, 0], values), state

    def run(self, chunk: Any, state: tuple[()]) -> tuple[Sequence | None, tuple[()]]:
        """A list of tokens, or a text of whole ones, cut at blanks.

        Raises:
            DataError: it is neither.
        """
        encoded = self.features.encode(tokens_of(chunk))
        return (self.features.collate([encoded]) if encoded.length else None), state

    def rest(self, state: tuple[()]) -> tuple[None, tuple[()]]:
        """None: nothing is held back."""
        return None, state
