"""How a search goes: its lengths, its penalties, and what cannot be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from recurra.errors import SettingsError
from recurra.settings.names import check_name

LengthNorm = Literal["gnmt", "plain"]
Stop = Literal["enough", "certain"]


@dataclass(frozen=True)
class SearchOptions:
    """What a hypothesis may be, and how it is scored.

        score = log p / lp + cp
        lp    = ((5 + n) / 6)^α ("gnmt": Wu et al., 2016) or n^α ("plain")
        cp    = β Σ_s log min(1, Σ_t a_ts)    (the same): of steps of the source that were little attended to

    where n counts the tokens of the hypothesis, the end among them.

    Args:
        max_length: tokens before the end at most; after them only the end can come.
        min_length: tokens before the end at least.
        length_penalty: α, 0 or more; 0: none.
        length_norm: the form of lp.
        coverage_penalty: β, 0 or more; 0: none.
        no_repeat_ngram: n-grams of so many tokens come once; 0: as often as they like.
        without: tokens that cannot come.

    Raises:
        SettingsError: a number out of range.
    """

    max_length: int = 100
    min_length: int = 0
    length_penalty: float = 0.0
    length_norm: LengthNorm = "gnmt"
    coverage_penalty: float = 0.0
    no_repeat_ngram: int = 0
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_name("length_norm", self.length_norm, get_args(LengthNorm))
        for name in ("max_length", "min_length", "length_penalty", "coverage_penalty", "no_repeat_ngram"):
            if not getattr(self, name) >= 0:
                raise SettingsError(f"{name}: {getattr(self, name)} is below 0")
        if self.min_length > self.max_length:
            raise SettingsError(
                f"min_length: {self.min_length} is above max_length, which is {self.max_length}; no text is that long"
            )
