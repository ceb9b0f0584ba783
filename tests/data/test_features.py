from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.augmentation import Augment
from recurra.data.encoded import Encoded
from recurra.data.features import (
    SeriesFeatures,
    TextFeatures,
    TextValues,
    check_training_inputs,
    features_from_json,
    vectors,
)
from recurra.data.ngrams import ngram_ids
from recurra.data.table import Place, Table
from recurra.data.text import WordTokenizer
from recurra.errors import DataError, RunError, SettingsError
from recurra.settings.groups import TextSettings

TEXTS = ["the cat sat", "the dog sat down", "a cat"]
PLACE = Place("a.csv", 7, "text")


def text_features(max_length: int = 0, **settings: Any) -> TextFeatures:
    return TextFeatures.fit(TEXTS, TextSettings(**settings), max_length)


def test_a_batch_of_texts_is_ids_padded_with_zero() -> None:
    features = text_features()
    # by frequency, then alphabet: cat 2, sat 2, the 2, then a, dog, down
    batch = features.collate([features.encode("the cat sat"), features.encode("never"), features.encode("")])
    assert batch.values.tolist() == [[4, 2, 3], [1, 0, 0], [0, 0, 0]]
    assert batch.values.dtype == torch.int64
    assert batch.lengths.tolist() == [3, 1, 0]


def test_ngrams_stand_beside_each_word_and_padding_is_zero() -> None:
    features = text_features(char_ngrams=True, ngram_buckets=50)
    batch = features.collate([features.encode("the a"), features.encode("unseen"), features.encode("")])
    assert isinstance(batch.values, TextValues)
    token, ngrams = batch.values
    assert token.tolist() == [[4, 5], [1, 0], [0, 0]]
    most = len(ngram_ids("unseen", 50))
    assert ngrams.shape == (3, 2, most)
    for row, step, word in [(0, 0, "the"), (0, 1, "a"), (1, 0, "unseen"), (1, 1, ""), (2, 0, "")]:
        ids = ngram_ids(word, 50) if word else []
        assert ngrams[row, step].tolist() == ids + [0] * (most - len(ids))


def test_a_word_has_at_most_forty_ngrams_however_long() -> None:
    features = text_features(char_ngrams=True)
    assert features.collate([features.encode("x" * 1_000_000)]).values.ngrams.shape == (1, 1, 40)


@pytest.mark.parametrize("char_ngrams", [False, True])
def test_no_rows_and_no_steps_make_empty_batches(char_ngrams: bool) -> None:
    features = text_features(char_ngrams=char_ngrams)
    assert features.collate([]).first.shape == (0, 0)
    assert features.collate([features.encode("")]).first.shape == (1, 0)


def test_what_max_length_cuts_is_counted() -> None:
    encoded = text_features(max_length=2).encode("the cat sat down")
    assert (encoded.length, encoded.cut) == (2, 2)
    assert encoded.values.token.tolist() == [4, 2]


def test_the_longest_length_kept_is_a_percentile_within_bounds() -> None:
    assert text_features().max_length == 4
    texts = ["a " * 10] * 2000 + ["a " * 500]
    assert TextFeatures.fit(texts, TextSettings(), 0).max_length == 10
    assert TextFeatures.fit(["a " * 5000], TextSettings(), 0).max_length == 4096
    assert TextFeatures.fit([""], TextSettings(), 0).max_length == 1
    assert TextFeatures.fit(["a " * 5000], TextSettings(), 4500).max_length == 4500


@pytest.mark.parametrize("unit", ["word", "char", "bpe"])
def test_text_features_come_back_from_json_with_the_same_answers(unit: str) -> None:
    features = text_features(unit=unit, vocabulary_size=300, char_ngrams=unit == "word", lowercase=False)
    again = features_from_json(json.loads(json.dumps(features.to_json())), features.tokenizer_json)
    assert again.to_json() == features.to_json()
    for text in ["The cat sat", "unseen \ud800 \0 日本", ""]:
        old, new = features.encode(text), again.encode(text)
        assert new.length == old.length
        assert new.values.token.tolist() == old.values.token.tolist()


def test_bpe_reads_any_text_without_unknown_tokens() -> None:
    features = text_features(unit="bpe", vocabulary_size=260)
    assert 1 not in features.encode("日本 <pad> \0").values.token.tolist()
    assert 0 not in features.encode("日本 <pad> \0").values.token.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "image"},
        {"kind": 1},
        {"unit": "line"},
        {"lowercase": 1},
        {"max_length": 0},
        {"max_length": True},
        {"vocabulary": ["a"]},
        {"vocabulary": None},
        {"char_ngrams": True, "ngram_buckets": 1},
        {"unit": "bpe"},
    ],
)
def test_damaged_text_features_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RunError):
        features_from_json({**text_features().to_json(), **change})


def test_a_tokenizer_of_another_run_is_refused() -> None:
    mine = text_features(unit="bpe", vocabulary_size=260)
    other = TextFeatures.fit(["zzzz yyyy"], TextSettings(unit="bpe", vocabulary_size=260), 0)
    with pytest.raises(RunError, match="does not fit the vocabulary"):
        features_from_json(mine.to_json(), other.tokenizer_json)


def test_augmentation_repeats_with_its_generator_and_keeps_ngrams() -> None:
    features = text_features(char_ngrams=True)
    augment = Augment(word_dropout=0.5)
    first = features.encode("the cat sat", augment=augment, rng=np.random.default_rng(3))
    again = features.encode("the cat sat", augment=augment, rng=np.random.default_rng(3))
    plain = features.encode("the cat sat")
    assert first.values.token.tolist() == again.values.token.tolist() != plain.values.token.tolist()
    assert first.values.ngrams.tolist() == plain.values.ngrams.tolist()
    with pytest.raises(TypeError, match="rng"):
        features.encode("the cat", augment=augment)


@pytest.mark.parametrize(("value", "words"), [(None, "is missing"), (3, "is int; a text"), (["a"], "is list")])
def test_what_is_no_text_is_refused_with_its_place(value: object, words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv, line 7, column 'text': the input {words}"):
        text_features().encode(value, place=PLACE)


def test_a_vocabulary_without_any_token_is_refused() -> None:
    with pytest.raises(SettingsError, match="min_count: no token occurs 9 times"):
        text_features(min_count=9)


def test_training_refuses_an_empty_input_with_its_line() -> None:
    features = text_features()
    table = Table("a.csv", {"text": ["a cat", " "]}, [2, 3])
    encoded = [features.encode(text) for text in table.column("text")]
    check_training_inputs(encoded[:1], table.place)
    with pytest.raises(DataError, match=r"a\.csv, line 3: the input is empty"):
        check_training_inputs(encoded, table.place)


def test_series_are_standardised_by_the_training_steps_and_padded_with_zeros() -> None:
    series = [[[1.0, 5.0], [3.0, 5.0]], np.array([[5, 5]])]
    features = SeriesFeatures.fit(series, 0)
    assert features.input_size == 2
    assert features.mean.tolist() == [3, 5]
    assert features.std.tolist() == [np.sqrt(8 / 3), 1]  # a constant feature is only centred
    batch = features.collate([features.encode(one) for one in series])
    expected = torch.tensor([[[-2, 0], [0, 0]], [[2, 0], [0, 0]]]) / torch.tensor([8 / 3]).sqrt()
    torch.testing.assert_close(batch.values, expected)
    assert batch.lengths.tolist() == [2, 1]


def test_numbers_are_steps_and_with_vector_one_step() -> None:
    assert SeriesFeatures.fit([[1, 2, 3]], 0).encode([4, 5]).values.shape == (2, 1)
    features = SeriesFeatures.fit([[1, 2, 3], [2, 4, 6]], 0, vector=True)
    assert features.encode(np.array([1, 2, 3])).values.shape == (1, 3)
    assert features.collate([features.encode([1, 2, 3])] * 2).values.shape == (2, 1, 3)


def test_rounding_is_not_taken_for_variation() -> None:
    assert SeriesFeatures.fit([[[0.1]] * 1000, [[0.1]] * 777], 0).std.tolist() == [1.0]


def test_an_empty_series_and_a_long_one() -> None:
    features = SeriesFeatures.fit([[[1, 2], [3, 4]]], 1)
    assert features.encode([]).values.shape == (0, 2)
    assert features.encode([]).length == 0
    assert features.encode([[1, 2]] * 5)[1:] == (1, 4)
    assert features.collate([]).values.shape == (0, 0, 2)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 2], [3]], "step 2 has 1 number a step, and step 1 has 2"),
        ([[1, 2], 3], "step 2 is a number where others are vectors"),
        ([[1, 2], [3, "x"]], "step 2 is 'x'; a number is expected"),
        ([[1, 2], [3, None]], "step 2 is missing"),
        ([[1, 2], [float("nan"), 3]], "step 2, feature 1: nan is no finite number"),
        ([[1, float("inf")]], "step 1, feature 2: inf"),
        ([[1, 10**400]], "step 1 is an integer too large"),
        ([True, False], "step 1 is bool"),
        ([[1, 2, 3]], "has 3 numbers a step, and in training it had 2"),
        ([1, 2], "has 1 number a step, and in training it had 2; give each step as a list of 2"),
        ([[[1, 2]]], r"is of shape \(1, 1, 2\)"),
        (3.0, "is a single number"),
        ("1 2", "is '1 2'; a list of numbers"),
        (None, "is missing; a list of numbers"),
        ({"a": 1}, "is dict"),
        ([[]], "step 1 is an empty vector"),
        ([[1e300, 0]], "step 1, feature 1: 1e.300 is too far from the training data"),
    ],
)
def test_a_series_that_cannot_be_used_is_refused_with_line_and_step(value: Any, words: str) -> None:
    features = SeriesFeatures.fit([[[1, 2], [3, 4]]], 0)
    with pytest.raises(DataError, match=rf"a\.csv, line 7, column 'text': .*{words}"):
        features.encode(value, place=PLACE)


def test_nesting_without_end_is_refused() -> None:
    deep: Any = 1.0
    for _ in range(500):
        deep = [deep]
    with pytest.raises(DataError, match="line 7"):
        SeriesFeatures.fit([[1]], 0).encode(deep, place=PLACE)


def test_training_series_of_other_widths_are_refused_with_the_line() -> None:
    table = Table("a.jsonl", {"x": [[[1, 2]], [[1, 2, 3]]]}, [1, 2])
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: .*3 numbers a step, and earlier rows have 2"):
        SeriesFeatures.fit(table.column("x"), 0, place=table.place)
    with pytest.raises(DataError, match="no training input"):
        SeriesFeatures.fit([[]], 0)
    with pytest.raises(DataError, match="too large to be standardised"):
        SeriesFeatures.fit([[1e300, -1e300]], 0)


def test_a_vector_is_one_step() -> None:
    features = SeriesFeatures.fit([[1, 2], [3, 4]], 0, vector=True)
    with pytest.raises(DataError, match="has 2 vectors, and one is expected"):
        features.encode([[1, 2], [3, 4]])


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), min_size=1, max_size=5))
def test_series_features_come_back_from_json_exactly(series: list[list[float]]) -> None:
    features = SeriesFeatures.fit(series, 0)
    again = features_from_json(json.loads(json.dumps(features.to_json())))
    assert again.to_json() == features.to_json()
    np.testing.assert_array_equal(again.encode(series[0]).values, features.encode(series[0]).values)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [1.0]},
        {"std": [0.0, 1.0]},
        {"std": ["a", 1]},
        {"mean": [], "std": []},
        {"max_length": 0},
        {"vector": 0},
    ],
)
def test_damaged_series_features_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="features"):
        features_from_json({**SeriesFeatures.fit([[[1, 2]]], 0).to_json(), **change})


def test_numeric_columns_make_vectors() -> None:
    table = Table("a.csv", {"a": ["1", "2.5"], "b": [3, "x"]}, [2, 3])
    assert vectors(table.select([0]), ["a", "b"]) == [[1.0, 3.0]]
    with pytest.raises(DataError, match=r"a\.csv, line 3, column 'b': is 'x'; a finite number"):
        vectors(table, ["a", "b"])


def test_collating_texts_with_ngrams_is_a_handful_of_numpy_calls() -> None:
    import time

    features = text_features(char_ngrams=True)
    inputs: list[Encoded] = [features.encode("the cats sat down sensibly " * 5) for _ in range(32)]
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        features.collate(inputs)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.002


@given(st.text(alphabet="ab' \tÀ-.,1\u2003", max_size=30), st.booleans(), st.integers(1, 5))
def test_ids_looked_up_by_stretch_are_those_of_the_tokens(text: str, lowercase: bool, max_length: int) -> None:
    features = TextFeatures.fit(["a b' À 1.1 ab", "A-b b"], TextSettings(lowercase=lowercase), max_length)
    for _ in range(2):  # the second time from memory
        found = features.encode(text)
        tokens = WordTokenizer(lowercase).tokenize(text)
        assert found.values.token.tolist() == features.vocabulary.encode(tokens[:max_length]).tolist()
        assert (found.length, found.cut) == (min(len(tokens), max_length), max(0, len(tokens) - max_length))
