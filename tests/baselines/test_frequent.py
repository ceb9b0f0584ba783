"""The most frequent tag of each word, and of an unknown word its ending's."""

from __future__ import annotations

import json

import pytest

from recurra.baselines import FrequentTag
from recurra.errors import RunError

SENTENCES = [["The", "dog", "walked", "."], ["Bush", "walks", "the", "walk", "."], ["the", "walk", "."]]
TAGS = [["DET", "NOUN", "VERB", "."], ["PROPN", "VERB", "DET", "VERB", "."], ["DET", "NOUN", "."]]


def fitted() -> FrequentTag:
    return FrequentTag.fit(SENTENCES, TAGS)


def test_a_known_word_has_its_most_frequent_tag_with_its_case_first() -> None:
    assert fitted().predict(["the", "THE", "walked", "bush", "walk"]) == ["DET", "DET", "VERB", "PROPN", "NOUN"]


def test_an_unknown_word_has_the_tag_of_its_longest_known_ending() -> None:
    model = fitted()
    assert model.predict(["talked", "hog", "Rush"]) == ["VERB", "NOUN", "PROPN"]
    assert model.predict(["zzz", ""]) == [model.endings["x"]] * 2
    assert model.predict([]) == []


def test_the_stored_one_gives_the_same_answers() -> None:
    model = fitted()
    again = FrequentTag.from_files(model.to_files())
    assert again == model


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"words": {"a": 1}}, {"endings": []}, {"tag": None}, {"seconds": "1"}, {"kind": "x"}]
)
def test_a_damaged_file_is_refused(change: dict[str, object]) -> None:
    files = fitted().to_files()
    files["baselines.json"] = json.dumps({**json.loads(files["baselines.json"]), **change}).encode()
    with pytest.raises(RunError, match=r"baselines\.json is damaged"):
        FrequentTag.from_files(files)
    with pytest.raises(RunError, match=r"baselines\.json is damaged"):
        FrequentTag.from_files({"baselines.json": b"{"})
