"""PairFeatures: two texts as ids, and pairs as padded batches."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.encoded import chosen_max_length, damaged, stored
from recurra.data.pairs.bpe_dropout import BpeDropout
from recurra.data.pairs.columns import SOURCE, TARGET
from recurra.data.pairs.copying import with_copies
from recurra.data.pairs.sentences import END_ID, PAD_ID, UNK_ID, SentenceSymbols, fit_sentences
from recurra.data.pairs.words import words_of
from recurra.data.table import Table
from recurra.errors import RunError
from recurra.files import parse_json
from recurra.sequence import Sequence
from recurra.settings.translation import PairSymbolSettings

BLEU_WORDS = 4  # the longest n-grams that it counts
VOCABULARY_SIZES = {"bpe": 6000, "word": 30000, "char": 30000}  # where the settings do not say

Ids = NDArray[np.int64]


class EncodedPair(NamedTuple):
    """A pair as the model reads it.

    Args:
        source: [S] ids, the end behind them.
        target: [T] ids, the end behind them; without it where the target was cut, so that nobody learns to end there.
        cut: tokens of both sides beyond the longest kept, which were removed.
    """

    source: Ids
    target: Ids
    cut: int


class PairBatch(NamedTuple):
    """A padded batch.

    Args:
        source: values [B, S] int64, each with its end.
        target: values [B, T] int64, what is to be said, its end included; the decoder reads it one step late.
    """

    source: Sequence
    target: Sequence

    def to(self, device: torch.device | str) -> PairBatch:
        """On another device; lengths stay on the CPU."""
        return PairBatch(self.source.to(device), self.target.to(device))


@dataclass(frozen=True, eq=False)
class PairFeatures:
    """The tokens of both sides, and the longest that is kept.

    Args:
        source, target: the same object where both sides have one vocabulary.
        max_length: most tokens of a side, its end not counted; what is beyond is cut.
        short_targets: whether most training targets have fewer than four words, of which BLEU says nothing.
    """

    source: SentenceSymbols
    target: SentenceSymbols
    max_length: int
    short_targets: bool = False

    @property
    def joint(self) -> bool:
        """Whether both sides have one vocabulary."""
        return self.source is self.target

    @classmethod
    def fit(cls, train: Table, settings: PairSymbolSettings, max_length: int = 0) -> PairFeatures:
        """Learn tokens and lengths from the training pairs.

        Args:
            train: with the columns source and target.
            settings: units, case, sizes.
            max_length: most tokens of a side; 0: the 99.9th percentile of the training pairs, within 1 and 4096.

        Raises:
            DataError: there is nothing in the texts.
            SettingsError: no token is frequent enough, or BPE has no room for the bytes.
        """
        sides = train.columns[SOURCE], train.columns[TARGET]
        if settings.joint:
            source = target = _learned(chain(*sides), settings.units[0], settings)
        else:
            source, target = (
                _learned(texts, unit, settings) for texts, unit in zip(sides, settings.units, strict=True)
            )
        lengths = [
            max(len(source.encode(one)), len(target.encode(other))) - 1 for one, other in zip(*sides, strict=True)
        ]
        short = sum(len(words_of(text)) < BLEU_WORDS for text in sides[1])
        return cls(source, target, chosen_max_length(lengths, max_length), 2 * short > len(train))

    def encode(self, source: str, target: str = "") -> EncodedPair:
        """Both texts of a pair as ids; any text has some."""
        return self._cut(self.source.encode(source), self.target.encode(target))

    def encode_table(self, table: Table) -> list[EncodedPair]:
        """The pairs of a table with the columns source and target."""
        return [self.encode(*pair) for pair in zip(table.columns[SOURCE], table.columns[TARGET], strict=True)]

    def encode_table_varied(
        self, table: Table, rng: np.random.Generator, dropouts: tuple[BpeDropout | None, BpeDropout | None]
    ) -> list[EncodedPair]:
        """The same of training pairs, in the spelling that chance gives them.

        Args:
            rng: of the epoch.
            dropouts: of source and target, of `dropouts`; None: as ever.
        """

        def encoded(symbols: SentenceSymbols, dropout: BpeDropout | None, text: str) -> Ids:
            return symbols.encode(text) if dropout is None else dropout.encode(text, rng)

        one, other = dropouts
        pairs = zip(table.columns[SOURCE], table.columns[TARGET], strict=True)
        return [self._cut(encoded(self.source, one, a), encoded(self.target, other, b)) for a, b in pairs]

    def dropouts(self, rate: float, seed: int) -> tuple[BpeDropout | None, BpeDropout | None]:
        """BPE dropout of source and target; None for a side of another unit, or at rate 0."""
        source = BpeDropout(self.source, rate, seed) if rate and self.source.unit == "bpe" else None
        if self.joint:
            return source, source
        return source, BpeDropout(self.target, rate, seed) if rate and self.target.unit == "bpe" else None

    def collate(
        self, pairs: Rows[EncodedPair], *, word_dropout: float = 0.0, rng: np.random.Generator | None = None
    ) -> PairBatch:
        """A padded batch; in training source tokens are read as unknown with the probability word_dropout.

        Args:
            pairs: at least one.
            rng: of the step, where word_dropout is above 0.
        """
        source, target = _sequence([pair.source for pair in pairs]), _sequence([pair.target for pair in pairs])
        if word_dropout:
            assert rng is not None  # chance has an owner
            source = Sequence(torch.from_numpy(_dropped(source.values.numpy(), word_dropout, rng)), source.lengths)
        return PairBatch(source, target)

    def collate_sources(self, pairs: Rows[EncodedPair]) -> Sequence:
        """The sources alone, [B, S], to be answered."""
        return _sequence([pair.source for pair in pairs])

    def answer(self, ids: Rows[int], attention: NDArray[Any] | None = None, source: str = "") -> str:
        """The text of an answer.

        Args:
            ids: [T] of its tokens.
            attention: [T, S] of each over the source's tokens, where unknown words are to be copied; None: they are
                not.
            source: the text that was answered.
        """
        if attention is None or not attention.shape[-1] or UNK_ID not in ids:
            return self.target.decode(ids)
        return with_copies(ids, attention, self.source.surfaces(source)[: self.max_length], self.target)

    def source_labels(self, source: str) -> list[str]:
        """How the tokens of a source that are read are shown, the end among them: one for each step of attention."""
        labels = self.source.labels(source)
        return labels if len(labels) - 1 <= self.max_length else [*labels[: self.max_length], labels[-1]]

    def target_labels(self, ids: Iterable[int]) -> list[str]:
        """How the tokens of an answer are shown."""
        return [self.target.names[i] for i in ids]

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads, `tokenizer_json` apart."""
        target = {} if self.joint else {TARGET: self.target.to_json()}
        return {
            "kind": "pairs",
            "joint": self.joint,
            "max_length": self.max_length,
            "short_targets": self.short_targets,
            SOURCE: self.source.to_json(),
            **target,
        }

    @property
    def tokenizer_json(self) -> str | None:
        """What BPE has learned: the library's own JSON; two of them as one object where each side has its own."""
        source, target = self.source.tokenizer_json, self.target.tokenizer_json
        if self.joint or (source is None and target is None):
            return source
        parts = {SOURCE: source, TARGET: target}
        return "{" + ", ".join(f'"{side}": {text}' for side, text in parts.items() if text is not None) + "}"

    @classmethod
    def from_json(cls, data: Any, tokenizer_json: str | None = None) -> PairFeatures:
        """Features as a run stored them.

        Raises:
            RunError: a field is missing or of another kind, or a tokenizer is missing or damaged.
        """
        if stored(data, "kind", str) != "pairs":
            raise damaged("kind", "'pairs'")
        max_length = stored(data, "max_length", int)
        if max_length < 1:
            raise damaged("max_length", "large enough")
        short = stored(data, "short_targets", bool)
        if stored(data, "joint", bool):
            symbols = SentenceSymbols.from_json(stored(data, SOURCE, dict), tokenizer_json)
            return cls(symbols, symbols, max_length, short)
        tokenizers = _two_tokenizers(tokenizer_json)
        source, target = (
            SentenceSymbols.from_json(stored(data, side, dict), tokenizers.get(side)) for side in (SOURCE, TARGET)
        )
        return cls(source, target, max_length, short)

    def _cut(self, source: Ids, target: Ids) -> EncodedPair:
        most = self.max_length
        cut = max(0, len(source) - 1 - most) + max(0, len(target) - 1 - most)
        if len(source) - 1 > most:
            source = np.append(source[:most], END_ID)
        return EncodedPair(source, target[:most] if len(target) - 1 > most else target, cut)


def lengths_of(pairs: Iterable[EncodedPair]) -> list[tuple[int, int]]:
    """Tokens of source and target, as `plan_pairs` takes them."""
    return [(len(pair.source), len(pair.target)) for pair in pairs]


def _learned(texts: Iterable[str], unit: str, settings: PairSymbolSettings) -> SentenceSymbols:
    return fit_sentences(
        texts,
        unit,
        vocabulary_size=settings.vocabulary_size or VOCABULARY_SIZES[unit],
        min_count=settings.min_count,
        lowercase=settings.lowercase,
    )


def _sequence(rows: Rows[Ids]) -> Sequence:
    lengths = list(map(len, rows))
    found = np.full((len(rows), max(lengths)), PAD_ID, np.int64)
    for row, ids in enumerate(rows):
        found[row, : len(ids)] = ids
    return Sequence(torch.from_numpy(found), torch.tensor(lengths))


def _dropped(ids: Ids, rate: float, rng: np.random.Generator) -> Ids:
    """Tokens of texts become unknown by chance; padding, beginning and end stay."""
    drop = (rng.random(ids.shape) < rate) & (ids > END_ID)
    return np.where(drop, UNK_ID, ids)


def _two_tokenizers(tokenizer_json: str | None) -> dict[str, str | None]:
    """The library's JSON of each side that has one."""
    if tokenizer_json is None:
        return {}
    try:
        content = parse_json(tokenizer_json)
    except ValueError as error:
        raise RunError(f"tokenizer: it is no JSON ({error}); the run is damaged, copy it again") from error
    if not isinstance(content, dict):
        raise RunError("tokenizer: one for each side is expected; the run is damaged, copy it again")
    return {side: json.dumps(part) for side, part in content.items()}
