"""BLEU and chrF against sacrebleu's own, ROUGE-L and matches by hand, intervals over sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.statistics import bootstrap_interval, paired_bootstrap
from recurra.text_metrics import (
    bleu_of,
    bleu_statistics,
    corpus_bleu,
    corpus_chrf,
    exact_matches,
    longest_common,
    rouge_l,
    sentence_chrf,
    text_scores,
    token_accuracy,
)

REFERENCES = [
    "Un homme avec un chapeau orange regardant quelque chose.",
    "Un terrier de Boston court sur l'herbe verdoyante devant une clôture blanche.",
    "Des gens réparent le toit d'une maison.",
    "Cinq personnes sont debout.",
]
ANSWERS = [
    "Un homme en chapeau orange regarde quelque chose.",
    "Un terrier de boston court sur l'herbe verte devant une clôture blanche.",
    "Des gens réparent le toit d'une maison.",
    "",
]
sentences = st.lists(st.tuples(*[st.text("ab cd.", max_size=20)] * 2), min_size=1, max_size=8)


@given(pairs=sentences, lowercase=st.booleans())
def test_bleu_of_counts_is_sacrebleus_of_the_corpus(pairs: list[tuple[str, str]], lowercase: bool) -> None:
    from sacrebleu.metrics import BLEU

    answers, references = [one.upper() for one, _ in pairs], [other for _, other in pairs]
    expected = BLEU(lowercase=lowercase).corpus_score(answers, [references]).score
    assert math.isclose(corpus_bleu(answers, references, lowercase=lowercase)[0], expected, abs_tol=1e-9)


def test_bleu_by_hand() -> None:
    # 8 tokens of 9; 1-grams 7 of 8, 2-grams 5 of 7, 3-grams 3 of 6, 4-grams 1 of 5
    answer, reference = "the cat sat on a mat today .", "the cat sat on the big mat today ."
    counts = bleu_statistics([answer], [reference])
    assert counts.tolist() == [[8, 9, 7, 5, 3, 1, 8, 7, 6, 5]]
    expected = 100 * math.exp(1 - 9 / 8) * (7 / 8 * 5 / 7 * 3 / 6 * 1 / 5) ** 0.25
    assert math.isclose(bleu_of(counts), expected)


def test_signatures_say_what_the_numbers_depend_on() -> None:
    from sacrebleu import __version__

    scores = text_scores(ANSWERS, REFERENCES)
    assert scores.signatures["bleu"] == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{__version__}"
    assert scores.signatures["chrf"] == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{__version__}"
    assert "case:lc" in corpus_bleu(ANSWERS, REFERENCES, lowercase=True)[1]


def test_all_scores_of_a_corpus() -> None:
    from sacrebleu.metrics import BLEU, CHRF

    scores = text_scores(ANSWERS, REFERENCES)
    assert math.isclose(scores.metrics["bleu"], BLEU().corpus_score(ANSWERS, [REFERENCES]).score)
    assert math.isclose(scores.metrics["chrf"], CHRF().corpus_score(ANSWERS, [REFERENCES]).score)
    assert scores.metrics["exact_match"] == 0.25
    assert scores.metrics["token_accuracy"] == token_accuracy(ANSWERS, REFERENCES)
    assert scores.sentences["exact_match"].tolist() == [0, 0, 1, 0]
    assert scores.sentences["bleu"][2] == pytest.approx(100) and scores.sentences["bleu"][3] == 0
    assert math.isclose(scores.metrics["rouge_l"], float(scores.sentences["rouge_l"].mean()))
    assert sentence_chrf(ANSWERS, REFERENCES)[0] == CHRF().sentence_score(ANSWERS[0], [REFERENCES[0]]).score
    lower = corpus_bleu(ANSWERS, REFERENCES, lowercase=True)[0]
    assert lower > scores.metrics["bleu"] == corpus_bleu(ANSWERS, REFERENCES)[0]


def test_intervals_are_over_sentences() -> None:
    scores = text_scores(ANSWERS * 10, REFERENCES * 10)
    interval = bootstrap_interval(scores.bleu_statistics, bleu_of, samples=200)
    assert interval.low < interval.mean == scores.metrics["bleu"] < interval.high
    same = paired_bootstrap(scores.bleu_statistics, scores.bleu_statistics, bleu_of, samples=50)
    assert (same.mean, same.low, same.high) == (0, 0, 0)


def test_no_sentences_score_nothing() -> None:
    scores = text_scores([], [])
    assert set(scores.metrics.values()) == {0.0}
    assert scores.bleu_statistics.shape == (0, 10) and corpus_chrf([], [])[0] == 0 == token_accuracy([], [])


def test_any_text_can_be_scored() -> None:
    strange = ["\ud800 a", "a\nb", "\0", "", "  "]
    scores = text_scores(strange, strange)
    assert all(math.isfinite(value) for value in scores.metrics.values())
    assert scores.metrics["exact_match"] == 1


def test_nothing_is_printed_or_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    spaced = ["Un petit chat dort ." for _ in range(150)]
    assert text_scores(spaced, spaced).metrics["bleu"] == pytest.approx(100)
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_another_number_of_references_is_refused() -> None:
    for score in (text_scores, corpus_chrf, exact_matches, token_accuracy, bleu_statistics):
        with pytest.raises(ValueError, match="2 answers stand beside 1 references"):
            score(["a", "b"], ["a"])  # type: ignore[operator]


def test_an_exact_match_is_of_words_and_not_of_blanks() -> None:
    assert exact_matches(["a  b ", "A b", "ab"], ["a b", "a b", "a b"]).tolist() == [1, 0, 0]


def test_token_accuracy_by_hand() -> None:
    # 2 of 3 places, and 1 of 3 where one word more stands in the answer
    assert token_accuracy(["a b c", "a x y"], ["a b d", "a"]) == 3 / 6


def test_rouge_l_by_hand() -> None:
    # police … the gunman of 4 and 4 words (Lin, 2004)
    assert rouge_l("police kill the gunman", "police killed the gunman") == 3 / 4
    assert rouge_l("the gunman kill police", "police killed the gunman") == 2 / 4
    assert rouge_l("A, b!", "a b c d") == 2 * 2 / 6
    assert (rouge_l("", ""), rouge_l("", "a"), rouge_l("a", "!")) == (1, 0, 0)


@given(one=st.lists(st.integers(0, 2), max_size=7), other=st.lists(st.integers(0, 2), max_size=7))
def test_the_longest_common_subsequence_is_the_longest_of_all(one: list[int], other: list[int]) -> None:
    def subsequences(items: list[int]) -> set[tuple[int, ...]]:
        found: set[tuple[int, ...]] = {()}
        for item in items:
            found |= {(*before, item) for before in found}
        return found

    assert longest_common(one, other) == max(map(len, subsequences(one) & subsequences(other)))
    assert longest_common(one * 40, other * 40) == longest_common(other * 40, one * 40)


def test_lone_counts_are_floats_that_can_be_resampled() -> None:
    counts = bleu_statistics(ANSWERS, REFERENCES)
    assert (
        counts.dtype == np.float64
        and bleu_of(counts[[0, 0, 1]])
        == corpus_bleu([ANSWERS[0], ANSWERS[0], ANSWERS[1]], [REFERENCES[0], REFERENCES[0], REFERENCES[1]])[0]
    )
