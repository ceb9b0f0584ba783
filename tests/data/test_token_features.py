"""Tokens as numbers: words, shapes, affixes, characters; unknown ones, empty lists, pieces, faults."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from recurra.data.table import Place
from recurra.data.token_features import (
    AFFIXES,
    MOST_CHARACTERS,
    TokenFeatures,
    affixes_of,
    pieces,
    shape_of,
    word_of,
)
from recurra.data.vocabulary import UNK_ID
from recurra.errors import DataError, RunError, SettingsError

SENTENCES = [["The", "cat", "sat", "in", "1999", "."], ["the", "CAT", "sang", "in", "2024", "."], ["cat", "."]]


def fitted(**options: object) -> TokenFeatures:
    return TokenFeatures.fit(SENTENCES, vocabulary_size=100, **options)  # type: ignore[arg-type]


def test_words_are_known_without_case_and_numbers_by_their_digits() -> None:
    features = fitted()
    the, cat, number = (features.words.ids[word] for word in ("the", "cat", "0000"))
    values = features.encode(["THE", "Cat", "1812", "dog"]).values
    assert values.token.tolist() == [the, cat, number, UNK_ID]
    assert features.knows("1812") and not features.knows("dog")
    assert fitted(lowercase=False).encode(["THE"]).values.token.tolist() == [UNK_ID]


def test_a_shape_says_case_digits_and_other_signs() -> None:
    assert [shape_of(one) for one in ("Word", "WORD", "iPhone", "1999-2024", "U.S.", "naïve", "")] == [
        "Xxx", "XX", "xXxx", "dd-dd", "X.X.", "xx", "",
    ]  # fmt: skip
    assert word_of("B2B", True) == "b0b" and word_of("B2B", False) == "B0B"


def test_affixes_are_beginnings_and_ends_and_short_words_have_fewer() -> None:
    assert affixes_of("singing") == ["^s", "^si", "^sin", "g$", "ng$", "ing$", "ging$"]
    assert affixes_of("at") == ["^a", "^at", "", "t$", "at$", "", ""]
    values = fitted().encode(["at", "zz"]).values
    assert values.affixes.shape == (2, AFFIXES)
    assert values.affixes[0, 2] == 0 and values.affixes[1, 0] == UNK_ID and values.affixes[1, 2] == 0


def test_characters_keep_their_case_and_a_long_token_its_ends() -> None:
    features = fitted()
    t, capital = features.characters.ids["t"], features.characters.ids["T"]
    assert features.encode(["tT"]).values.characters.tolist() == [t, capital]
    long = features.encode(["t" * 100 + "T" * 100]).values
    assert long.counts.tolist() == [MOST_CHARACTERS]
    assert long.characters.tolist() == [t] * (MOST_CHARACTERS // 2) + [capital] * (MOST_CHARACTERS // 2)
    assert fitted(use_characters=False).encode(["tT"]).values.counts.tolist() == [0]


def test_a_batch_is_padded_with_zeros_in_every_part() -> None:
    features = fitted()
    encoded = [features.encode(["cat", "sat", "a"]), features.encode([]), features.encode(["in"])]
    batch = features.collate(encoded)
    token, shape, affixes, characters = batch.values
    assert batch.lengths.tolist() == [3, 0, 1] and characters.shape == (3, 3, 3)
    mask = batch.mask()
    for part in (token, shape, affixes, characters):
        assert not part[~mask].any() and bool(part[mask].reshape(4, -1).any(1).all())
    assert characters[2, 0].tolist() == [*features.encode(["in"]).values.characters.tolist(), 0]
    assert features.collate([features.encode([])]).values.characters.shape == (1, 0, 0)
    assert features.collate([]).batch_size == 0


def test_a_text_is_cut_at_blanks_and_an_empty_one_has_no_tokens() -> None:
    features = fitted()
    one, other = features.encode(" the  cat\tsat "), features.encode(["the", "cat", "sat"])
    assert all(np.array_equal(a, b) for a, b in zip(one.values, other.values, strict=True)) and one.length == 3
    assert features.encode("").length == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "the input is missing; a list of tokens is expected"),
        (3, "the input is int"),
        ({"a": 1}, "the input is dict"),
        (["a", None], "token 2 is missing; a text is expected"),
        (["a", 3], "token 2 is int"),
        (["", "a"], "token 1 is empty"),
    ],
)
def test_what_is_no_list_of_tokens_is_refused_with_its_place(value: object, words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.jsonl, line 7, column 'tokens': {words}"):
        fitted().encode(value, place=Place("a.jsonl", 7, "tokens"))


def test_what_leaves_nothing_to_learn_is_refused() -> None:
    with pytest.raises(DataError, match="no training tokens"):
        TokenFeatures.fit([[], []], vocabulary_size=10)
    with pytest.raises(SettingsError, match="min_count: no word occurs 9 times"):
        TokenFeatures.fit(SENTENCES, vocabulary_size=10, min_count=9)


def test_pieces_are_the_list_again() -> None:
    features = fitted()
    whole = features.encode(["The", "cat", "sat", "in", "1999", "."])
    assert pieces(whole, 6) == [whole]
    parts = pieces(whole, 4)
    assert [one.length for one in parts] == [4, 2]
    for name in whole.values._fields:
        assert np.array_equal(np.concatenate([getattr(one.values, name) for one in parts]), getattr(whole.values, name))


def test_stored_features_give_the_same_numbers() -> None:
    features = fitted()
    again = TokenFeatures.from_json(json.loads(json.dumps(features.to_json())))
    assert again == features
    tokens = [["The", "unknown", "CAT", "ﬁ"]]
    for one, other in zip(*(f.collate([f.encode(t) for t in tokens]).values for f in (features, again)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["words", "characters", "affixes", "shapes", "lowercase", "use_characters"])
def test_damaged_features_are_refused_by_name(name: str) -> None:
    saved = copy.deepcopy(fitted().to_json())
    saved[name] = 3
    with pytest.raises(RunError, match=name):
        TokenFeatures.from_json(saved)
