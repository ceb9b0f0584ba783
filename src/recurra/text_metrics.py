"""How near texts are to the texts that were wanted: BLEU and chrF by sacrebleu, ROUGE-L, exact match.

`text_scores` measures all of it at once and keeps what every sentence came to, so that an interval over sentences can
be had:

    scores = text_scores(answers, references)
    bootstrap_interval(scores.bleu_statistics, bleu_of)         # recurra.statistics
    bootstrap_interval(scores.sentences["chrf"])

BLEU, chrF and their sentence scores lie between 0 and 100, as the field writes them; the others are fractions.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.optional import require

ORDERS = 4  # of BLEU's n-grams
WORD = re.compile(r"\w+")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TextScores:
    """What N answers came to.

    Args:
        metrics: bleu and chrf of the corpus, exact_match, token_accuracy and rouge_l.
        signatures: of bleu and chrf, by which their numbers can be compared with others'.
        bleu_statistics: [N, 2 + 2 × 4] counts of each sentence, of which `bleu_of` makes the BLEU of any rows.
        sentences: [N] of each sentence, by name: bleu (with smoothed orders), chrf, exact_match, rouge_l.
    """

    metrics: dict[str, float]
    signatures: dict[str, str]
    bleu_statistics: Floats
    sentences: dict[str, Floats]


def text_scores(answers: Sequence[str], references: Sequence[str]) -> TextScores:
    """All scores of answers, one reference each.

    Raises:
        ValueError: their counts differ.
    """
    _check(answers, references)
    answers, references = list(map(_line, answers)), list(map(_line, references))
    statistics, bleus = _bleu_counted(answers, references, lowercase=False)
    sentences = {
        "bleu": bleus,
        "chrf": sentence_chrf(answers, references),
        "exact_match": exact_matches(answers, references),
        "rouge_l": np.array([rouge_l(one, other) for one, other in zip(answers, references, strict=True)], np.float64),
    }
    chrf, signature = corpus_chrf(answers, references)
    metrics = {
        "bleu": bleu_of(statistics),
        "chrf": chrf,
        "exact_match": _mean(sentences["exact_match"]),
        "token_accuracy": token_accuracy(answers, references),
        "rouge_l": _mean(sentences["rouge_l"]),
    }
    return TextScores(metrics, {"bleu": bleu_signature(), "chrf": signature}, statistics, sentences)


def bleu_statistics(answers: Sequence[str], references: Sequence[str], *, lowercase: bool = False) -> Floats:
    """[N, 10] of each sentence: its tokens, the reference's, n-grams that match of orders 1 to 4, and n-grams in all.

    Tokens are those of sacrebleu's 13a, which cuts as mteval does (Post, 2018, "A call for clarity in reporting BLEU").

    Args:
        answers, references: texts as a reader sees them, one reference each.
        lowercase: fold case, to meet papers that do.

    Raises:
        ValueError: their counts differ.
    """
    _check(answers, references)
    return _bleu_counted(list(map(_line, answers)), list(map(_line, references)), lowercase)[0]


def bleu_of(statistics: Floats) -> float:
    """The BLEU of a corpus (Papineni et al., 2002) from the counts of its sentences [N, 10], 0 to 100; 0 of none."""
    if not len(statistics):
        return 0.0
    counts = statistics.sum(0)
    score = _sacrebleu().BLEU.compute_bleu(
        correct=counts[2 : 2 + ORDERS].tolist(),
        total=counts[2 + ORDERS :].tolist(),
        sys_len=int(counts[0]),
        ref_len=int(counts[1]),
        smooth_method="exp",
    )
    return float(score.score)


def corpus_bleu(answers: Sequence[str], references: Sequence[str], *, lowercase: bool = False) -> tuple[float, str]:
    """BLEU of the corpus, cased unless asked otherwise, and its signature.

    Raises:
        ValueError: their counts differ.
    """
    return bleu_of(bleu_statistics(answers, references, lowercase=lowercase)), bleu_signature(lowercase)


def bleu_signature(lowercase: bool = False) -> str:
    """What the number depends on, in sacrebleu's words."""
    bleu = _sacrebleu().BLEU(lowercase=lowercase)
    bleu.corpus_score(["a"], [["a"]])  # it knows the number of references after a score
    return str(bleu.get_signature())


def corpus_chrf(answers: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """chrF2 of the corpus (Popović, 2015), 0 to 100, and its signature; 0 of none.

    Raises:
        ValueError: their counts differ.
    """
    _check(answers, references)
    chrf = _sacrebleu().CHRF()
    answers, references = list(map(_line, answers)), list(map(_line, references))
    score = chrf.corpus_score(answers or [""], [references or ["a"]])
    return float(score.score), str(chrf.get_signature())


def sentence_chrf(answers: Sequence[str], references: Sequence[str]) -> Floats:
    """[N] chrF2 of each sentence.

    Raises:
        ValueError: their counts differ.
    """
    _check(answers, references)
    chrf = _sacrebleu().CHRF()
    pairs = zip(map(_line, answers), map(_line, references), strict=True)
    return np.array([chrf.sentence_score(answer, [reference]).score for answer, reference in pairs], np.float64)


def exact_matches(answers: Sequence[str], references: Sequence[str]) -> Floats:
    """[N] 1 where an answer is its reference, blanks at the ends and their number apart.

    Raises:
        ValueError: their counts differ.
    """
    _check(answers, references)
    pairs = zip(answers, references, strict=True)
    return np.array([answer.split() == reference.split() for answer, reference in pairs], np.float64)


def token_matches(answer: Sequence[Hashable], reference: Sequence[Hashable]) -> tuple[int, int]:
    """Places at which both have the same token, and places of the longer one: token accuracy is the ratio of sums."""
    hits = sum(one == other for one, other in zip(answer, reference, strict=False))
    return hits, max(len(answer), len(reference))


def token_accuracy(answers: Sequence[str], references: Sequence[str]) -> float:
    """The share of places at which answer and reference have the same word, over all places of the longer of both.

    Raises:
        ValueError: their counts differ.
    """
    _check(answers, references)
    counts = [token_matches(one.split(), other.split()) for one, other in zip(answers, references, strict=True)]
    hits, places = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return hits / places if places else 0.0


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L of two texts (Lin, 2004): the F1 of the longest sequence of words that both have in this order.

    Words are letters and digits, in lower case, without stemming. Of two texts without words it is 1, of one 0.
    """
    one, other = (WORD.findall(text.lower()) for text in (answer, reference))
    if not one or not other:
        return float(one == other)
    return 2 * longest_common(one, other) / (len(one) + len(other))


def longest_common(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """The length of the longest common subsequence, a row of the table at a time as bits (Hyyrö, 2004)."""
    places: dict[Hashable, int] = {}
    for at, item in enumerate(other):
        places[item] = places.get(item, 0) | 1 << at
    everything = row = (1 << len(other)) - 1
    for item in one:
        met = row & places.get(item, 0)
        row = ((row + met) | (row - met)) & everything
    return len(other) - row.bit_count()


def _bleu_counted(answers: list[str], references: list[str], lowercase: bool) -> tuple[Floats, Floats]:
    """Counts [N, 10] and BLEU [N] of each sentence."""
    # force: nothing is said of texts that look tokenised, as French does before its ? and !
    bleu = _sacrebleu().BLEU(lowercase=lowercase, effective_order=True, force=True)
    counts = np.zeros((len(answers), 2 + 2 * ORDERS), np.float64)
    scores = np.zeros(len(answers), np.float64)
    for row, (answer, reference) in enumerate(zip(answers, references, strict=True)):
        score = bleu.sentence_score(answer, [reference])
        counts[row] = [score.sys_len, score.ref_len, *score.counts, *score.totals]
        scores[row] = score.score
    return counts, scores


def _check(answers: Sequence[str], references: Sequence[str]) -> None:
    if len(answers) != len(references):
        raise ValueError(f"{len(answers)} answers stand beside {len(references)} references; each needs one")


def _line(text: str) -> str:
    """A text as a line that can be written: sacrebleu cuts at blanks, and a lone surrogate is no sign."""
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


@cache
def _sacrebleu() -> Any:
    return require("sacrebleu.metrics")
