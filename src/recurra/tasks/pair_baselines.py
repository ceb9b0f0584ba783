"""The plain methods beside a translator: the source itself, and each word's most likely translation."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.baselines import WordByWord
from recurra.data.pairs.columns import SOURCE, TARGET
from recurra.data.pairs.words import joined, words_of
from recurra.data.table import Table
from recurra.text_metrics import text_scores

COPY, WORDS = "copy", "words"


def fit_word_by_word(*tables: Table) -> WordByWord:
    """The translations of the words of training pairs."""
    sources, targets = (
        [words_of(text) for table in tables for text in table.columns[side]] for side in (SOURCE, TARGET)
    )
    return WordByWord.fit(sources, targets)


def plain_answers(baseline: WordByWord, sources: Sequence[str]) -> dict[str, list[str]]:
    """What each plain method answers to the sources, by its name."""
    return {
        COPY: list(sources),
        WORDS: [joined(baseline.predict(words_of(source))) for source in sources],
    }


def plain_scores(baseline: WordByWord, sources: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """`baseline_copy_bleu`, `baseline_words_bleu`, …, and the seconds of fitting."""
    found = {
        f"baseline_{name}_{metric}": value
        for name, answers in plain_answers(baseline, sources).items()
        for metric, value in text_scores(answers, references).metrics.items()
    }
    return {**found, "baseline_copy_seconds": 0.0, "baseline_words_seconds": round(baseline.seconds, 3)}
