"""BPE dropout: a training text read now in these pieces, now in those (Provilkov et al., 2020).

A merge is left out with a probability each time it could be made, so the model meets a word in many spellings. The
library's own dropout draws from a generator that cannot be set; here each stretch has VARIANTS spellings that are
functions of (seed, stretch, number) alone, made when they are first asked for, and an epoch draws among the numbers. So
a resumed training reads what one never stopped would have read, and a frequent word costs a look-up.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray

from recurra.data.pairs.sentences import END_ID, RESERVED, SentenceSymbols
from recurra.data.symbols.bpe import parts_of
from recurra.data.symbols.kind import folded
from recurra.data.text import BpeTokenizer
from recurra.errors import SettingsError

VARIANTS = 32
KEPT = 1 << 16  # stretches whose spellings are kept; beyond, all are made anew
LONGEST = 64  # bytes; a longer stretch, which is no word, is read as always
DRAWS = struct.Struct("<32H")  # of one digest; 16 bits tell rates apart that differ by 0.00002

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
        self._spelled: dict[str, list[bytes | None]] = {}  # ids as C's unsigned integers: a tenth of a tuple's memory
        self._end = array("I", [END_ID]).tobytes()

    def encode(self, text: str, rng: np.random.Generator) -> Ids:
        """[N + 1] ids of a text, the end behind them; `decode` gives the text back as ever.

        Args:
            rng: of the epoch.
        """
        text = folded(text) if self.symbols.lowercase else text
        stretches = [one for part in parts_of(text) for one in self._tokenizer.stretches(part)]
        numbers = rng.integers(VARIANTS, size=len(stretches)).tolist()
        content = b"".join([*map(self._spelling, stretches, numbers), self._end])
        return np.frombuffer(content, np.uintc).astype(np.int64)

    def spelling(self, stretch: str, number: int) -> list[int]:
        """The ids of a stretch (in the library's spelling of bytes), in one of its VARIANTS spellings."""
        ids: list[int] = np.frombuffer(self._spelling(stretch, number), np.uintc).tolist()
        return ids

    def _spelling(self, stretch: str, number: int) -> bytes:
        variants = self._spelled.get(stretch)
        if variants is None:
            if len(self._spelled) >= KEPT:
                self._spelled.clear()
            variants = self._spelled[stretch] = [None] * VARIANTS
        found = variants[number]
        if found is None:
            ids = self._ids
            pieces = self._merged(list(stretch), _draws(self.seed, stretch, number))
            found = variants[number] = array("I", [ids[piece] for piece in pieces]).tobytes()
        return found

    def _merged(self, pieces: list[str], draws: Iterator[int]) -> list[str]:
        """Merges by rank, each left out where chance says so; it is asked anew after every merge."""
        ranks = self._ranks
        left_out = round(self.rate * (1 << 16)) if len(pieces) <= LONGEST else 0
        while len(pieces) > 1:
            able = [
                (rank, at)
                for at, pair in enumerate(pairwise(pieces))
                if (rank := ranks.get(pair)) is not None and (not left_out or next(draws) >= left_out)
            ]
            if not able:
                break
            _, at = min(able)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        return pieces


def _draws(seed: int, stretch: str, number: int) -> Iterator[int]:
    """Numbers of 16 bits, the same on every machine."""
    for block in count():
        yield from DRAWS.unpack(blake2b(f"{seed} {number} {block} {stretch}".encode(), digest_size=64).digest())
