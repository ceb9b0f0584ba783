"""BPE dropout: a training text read now in these pieces, now in those (Provilkov et al., 2020).

A merge is left out with a probability each time it could be made, so the model meets a word in many spellings. The
library's own dropout draws from a generator that cannot be set; here each stretch has VARIANTS spellings that are
functions of (seed, stretch, number) alone, made when they are first asked for, and a step draws among the numbers. So
a resumed training reads what one never stopped would have read, and a frequent word costs a look-up.
"""

from __future__ import annotations

from itertools import chain, pairwise
from random import Random

import numpy as np
from numpy.typing import NDArray

from recurra.data.pairs.sentences import END_ID, RESERVED, SentenceSymbols
from recurra.data.symbols.bpe import parts_of
from recurra.data.symbols.kind import folded
from recurra.data.text import BpeTokenizer
from recurra.errors import SettingsError
from recurra.randomness import seed_of

VARIANTS = 64
KEPT = 1 << 20  # spellings; beyond, all are made anew
LONGEST = 64  # bytes; a longer stretch, which is no word, is read as always

Ids = NDArray[np.int64]


class BpeDropout:
    """The spellings of one side's training texts.

    Args:
        symbols: of unit "bpe".
        rate: probability that a merge is left out.
        seed: of the run.

    Raises:
        SettingsError: the unit has no merges.
    """

    def __init__(self, symbols: SentenceSymbols, rate: float, seed: int) -> None:
        if symbols.tokenizer is None:
            raise SettingsError(f"bpe_dropout: {symbols.unit} has no merges; leave it at 0, or give unit bpe")
        self.symbols, self.rate, self.seed = symbols, rate, seed
        self._tokenizer: BpeTokenizer = symbols.tokenizer
        self._ranks = {pair: rank for rank, pair in enumerate(self._tokenizer.merges())}
        self._ids = {token: i for i, token in enumerate(symbols.tokens, len(RESERVED))}
        self._spelled: dict[tuple[str, int], tuple[int, ...]] = {}

    def encode(self, text: str, rng: np.random.Generator) -> Ids:
        """[N + 1] ids of a text, the end behind them; `decode` gives the text back as ever.

        Args:
            rng: of the step.
        """
        text = folded(text) if self.symbols.lowercase else text
        stretches = [one for part in parts_of(text) for one in self._tokenizer.stretches(part)]
        numbers = rng.integers(VARIANTS, size=len(stretches)).tolist()
        found = chain.from_iterable(map(self.spelling, stretches, numbers))
        return np.array([*found, END_ID], np.int64)

    def spelling(self, stretch: str, number: int) -> tuple[int, ...]:
        """The ids of a stretch (in the library's spelling of bytes), in one of its VARIANTS spellings."""
        if len(stretch) > LONGEST:
            number = -1
        key = (stretch, number)
        if key not in self._spelled:
            if len(self._spelled) >= KEPT:
                self._spelled.clear()
            rate = 0.0 if number < 0 else self.rate
            pieces = self._merged(list(stretch), rate, Random(seed_of(self.seed, "bpe dropout", stretch, number)))
            self._spelled[key] = tuple(self._ids[piece] for piece in pieces)
        return self._spelled[key]

    def _merged(self, pieces: list[str], rate: float, chance: Random) -> list[str]:
        """Merges by rank, each left out where chance says so; it is asked anew after every merge."""
        ranks, draw = self._ranks, chance.random
        while len(pieces) > 1:
            able = [
                (rank, at)
                for at, pair in enumerate(pairwise(pieces))
                if (rank := ranks.get(pair)) is not None and (not rate or draw() >= rate)
            ]
            if not able:
                break
            _, at = min(able)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        return pieces
