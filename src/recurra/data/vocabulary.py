"""Vocabulary: tokens as numbers, learned from the training texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import RunError

PAD_ID = 0
UNK_ID = 1
RESERVED = ("<pad>", "<unk>")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id: padding, the unknown token, then the known ones.

    A text's own "<pad>" or "<unk>" is an unknown token: no text can write padding.

    Args:
        tokens: all of them, the two reserved ones first.
    """

    tokens: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = self.tokens[len(RESERVED) :]
        object.__setattr__(self, "_ids", {token: i for i, token in enumerate(known, len(RESERVED))})

    @classmethod
    def build(cls, counted: Mapping[str, int] | Iterable[Iterable[str]], size: int, min_count: int = 1) -> Vocabulary:
        """The most frequent tokens first, equally frequent ones in alphabetical order.

        Args:
            counted: token → occurrences, or lists of tokens.
            size: most tokens kept, the two reserved ones not counted.
            min_count: occurrences below which a token is left out.
        """
        counts: Mapping[str, int] = counted if isinstance(counted, Mapping) else Counter(chain.from_iterable(counted))
        kept = [(-n, token) for token, n in counts.items() if n >= min_count and token not in RESERVED]
        return cls(RESERVED + tuple(token for _, token in sorted(kept)[:size]))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Iterable[str]) -> NDArray[np.int64]:
        """[T] ids; an unknown token is UNK_ID."""
        return np.array(list(map(self._ids.get, tokens, repeat(UNK_ID))), dtype=np.int64)

    def to_json(self) -> list[str]:
        """What `from_json` reads."""
        return list(self.tokens)

    @classmethod
    def from_json(cls, data: Any) -> Vocabulary:
        """A vocabulary as a run stored it.

        Raises:
            RunError: it is not a list of unique strings that begins with the reserved tokens.
        """
        if (
            not isinstance(data, list)
            or not all(isinstance(token, str) for token in data)
            or len(set(data)) != len(data)
            or tuple(data[: len(RESERVED)]) != RESERVED
        ):
            raise RunError(
                f"vocabulary: a list of unique tokens that begins with {', '.join(RESERVED)} is expected; "
                "the run is damaged, train it again"
            )
        return cls(tuple(data))
