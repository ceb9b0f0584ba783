"""Features of texts, series and vectors: equal to scikit-learn's, and to sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from recurra.baselines import text_features
from recurra.baselines.number_features import SEGMENTS, NumberFeatures, summary
from recurra.baselines.text_features import NGRAMS, WORD, TextFeatures
from recurra.errors import DataError

TEXTS = ["A fine film, a fine day", "so bad", "naïve 映画 is fine", "", "...", "bad bad bad films"]
OTHERS = ["a fine day", "unseen words", "", "\udc80 fine", "film " * 9]


def sklearn_rows(texts: list[str], others: list[str]) -> np.ndarray:
    blocks = []
    for analyzer, ngram_range in NGRAMS.items():
        pattern = {"token_pattern": WORD} if analyzer == "word" else {}
        vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=ngram_range, sublinear_tf=True, **pattern)
        blocks.append(vectorizer.fit(texts).transform(others).toarray())
    return np.hstack(blocks)


def test_text_features_are_those_of_two_tfidf_vectorizers() -> None:
    features, rows = TextFeatures.fit(TEXTS, 10_000)
    np.testing.assert_allclose(rows.toarray(), sklearn_rows(TEXTS, TEXTS), atol=1e-6)
    np.testing.assert_allclose(features.transform(OTHERS).toarray(), sklearn_rows(TEXTS, OTHERS), atol=1e-6)


def test_a_text_has_the_same_features_alone_and_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    features, rows = TextFeatures.fit(TEXTS, 10_000)
    assert (features.transform(TEXTS) != rows).nnz == 0
    monkeypatch.setattr(text_features, "CHUNK", 2)
    assert (features.transform(TEXTS) != rows).nnz == 0


def test_no_more_features_than_asked_and_those_of_most_texts() -> None:
    features, rows = TextFeatures.fit(["x y", "x z", "x q", "y x"], 6)
    words, characters = features.blocks
    assert words.ngrams == ("q", "x", "y")  # x in four texts, y in two, then the first in order
    assert characters.ngrams == (" ", " x", " x ") == tuple(sorted(characters.ngrams))
    assert rows.shape == (4, 6)


def test_of_many_texts_characters_of_one_text_only_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_features, "MANY_TEXTS", 3)
    features, _ = TextFeatures.fit(["a b", "a c", "a b"], 100)
    assert "c" in features.blocks[0].ngrams
    assert "c" not in features.blocks[1].ngrams
    assert "b" in features.blocks[1].ngrams


def test_single_words_have_features_of_characters_alone() -> None:
    features, _ = TextFeatures.fit(["Abe", "Ito", "van Gogh"], 100)
    assert features.blocks[0].ngrams == ()
    assert " ito " in features.blocks[1].ngrams


def test_texts_without_a_word_have_features_of_no_size() -> None:
    features, rows = TextFeatures.fit(["", "  "], 100)
    assert features.size == 0
    assert rows.shape == (2, 0)
    assert features.transform(["a"]).shape == (1, 0)


def test_a_text_beyond_the_bound_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_features, "MAX_CHARACTERS", 5)
    features, rows = TextFeatures.fit(["ab cd ef", "ab cd"], 100)
    assert "ef" not in features.blocks[0].ngrams
    assert (rows[[0]] != rows[[1]]).nnz == 0


def test_a_series_is_summed_up_as_by_hand() -> None:
    steps = np.array([[2.0], [math.nan], [4.0], [9.0]])
    segments = [math.nan] * SEGMENTS
    segments[0], segments[4], segments[6] = 2.0, 4.0, 9.0  # steps 0, 2, 3 of 4 in 8 segments
    slope = np.polyfit([0, 2, 3], [2, 4, 9], 1)[0]
    expected = [5.0, np.std([2, 4, 9]), 2.0, 9.0, 2.0, 9.0, slope, *segments, 4.0]
    np.testing.assert_allclose(summary(steps), expected)


def test_numbers_a_step_and_vectors_of_one_number_are_the_same() -> None:
    inputs = [[1.0, 2.0, 4.0], [3.0, 1.0]]
    as_vectors = [np.array(series)[:, None] for series in inputs]
    features, rows = NumberFeatures.fit(inputs, vector=False)
    np.testing.assert_array_equal(features.transform(as_vectors), rows)


def test_vectors_are_standardised_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(3, 5, (20, 4))
    vectors[:, 2] = 0.1  # constant: its spread is rounding
    features, rows = NumberFeatures.fit(list(vectors), vector=True)
    np.testing.assert_allclose(rows, StandardScaler().fit_transform(vectors), atol=1e-12)
    others = rng.normal(size=(3, 4))
    others[:, 2] = 0.1
    np.testing.assert_allclose(
        features.transform(list(others)), StandardScaler().fit(vectors).transform(others), atol=1e-12
    )


def test_a_missing_number_stands_at_the_mean_of_those_present() -> None:
    vectors = [[1.0, math.nan], [3.0, 5.0], [math.inf, 7.0]]
    features, rows = NumberFeatures.fit(vectors, vector=True)
    np.testing.assert_allclose(rows, [[-1, 0], [1, -1], [0, 1]])
    np.testing.assert_allclose(features.mean, [2, 6])


@pytest.mark.parametrize("value", [[], np.zeros((0, 2)), [[math.nan, math.nan]], [[1e308, -1e308], [0.0, 1e308]]])
def test_a_series_of_nothing_or_of_extremes_has_finite_features(value: object) -> None:
    features, _ = NumberFeatures.fit([[[1.0, 2.0], [2.0, 3.0]], [[4.0, 4.0]]], vector=False)
    assert np.isfinite(features.transform([value])).all()
    assert np.isfinite(NumberFeatures.fit([value, value], vector=False)[1]).all()


def test_another_width_is_refused_with_its_row() -> None:
    features, _ = NumberFeatures.fit([[1.0, 2.0]], vector=True)
    with pytest.raises(DataError, match=r"row 2 has 3 number\(s\), and 2 are"):
        features.transform([[1.0, 2.0], [1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match=r"row 2 has 2 number\(s\) a step, and 1 are expected"):
        NumberFeatures.fit([[1.0], [[1.0, 2.0]]], vector=False)
