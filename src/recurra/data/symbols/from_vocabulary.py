"""What characters and words share: symbols that are a vocabulary's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.data.symbols.kind import smallest_dtype
from recurra.data.vocabulary import PAD_ID, UNK_ID, Vocabulary

UNK = "<unk>"


@dataclass(frozen=True, eq=False)
class VocabularySymbols:
    """Ids of a vocabulary: its padding is the symbol that a text begins from.

    Args:
        vocabulary: of all symbols.
        lowercase: whether case is folded.
    """

    vocabulary: Vocabulary
    lowercase: bool = False
    unit: str = field(default="", init=False)
    names: tuple[str, ...] = field(init=False, repr=False)
    dtype: np.dtype[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", ("<begin>", UNK, *self.vocabulary.ids))
        object.__setattr__(self, "dtype", smallest_dtype(len(self.vocabulary)))

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def begin_id(self) -> int:
        """Read first by a fresh state."""
        return PAD_ID

    @property
    def unk_id(self) -> int:
        """What a symbol never seen is read as."""
        return UNK_ID

    @property
    def silent_ids(self) -> tuple[int, ...]:
        """Ids that no text is made of."""
        return PAD_ID, UNK_ID

    def to_json(self) -> dict[str, Any]:
        """What `symbols_from_json` reads."""
        return {
            "kind": "symbols",
            "unit": self.unit,
            "lowercase": self.lowercase,
            "vocabulary": self.vocabulary.to_json(),
        }

    @property
    def tokenizer_json(self) -> None:
        """Only BPE has one."""
        return None
