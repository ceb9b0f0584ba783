"""Pairs that are made: numbers in two languages, replies and headlines of a play."""

from __future__ import annotations

from pathlib import Path

import pytest

from recurra.demos.numbers_data import MOST_WORDS, tables, words
from recurra.demos.speeches import headline, reductions, replies, speeches

PLAY = """First Citizen:
Before we proceed any further, hear me speak.
Now.

All:
Speak, speak.

All:
We have a house that no man of the city would ever take from us again; no.

A line without a speaker

First Citizen:
Ay.
"""


def test_a_speech_is_answered_by_the_one_that_follows_it() -> None:
    spoken = speeches(PLAY)
    assert spoken[0] == ("First Citizen", "Before we proceed any further, hear me speak. Now.")
    assert [speaker for speaker, _ in spoken] == ["First Citizen", "All", "All", "First Citizen"]
    pairs = replies(spoken)
    assert pairs.source == [spoken[0].text, spoken[2].text] and pairs.target == ["Speak, speak.", "Ay."]
    assert pairs.scene == ["0", "0"]


def test_a_headline_keeps_the_first_words_that_say_something() -> None:
    assert headline("If we proceed any further, hear me speak") == "Proceed any further hear speak"
    assert headline("We will") == ""
    pairs = reductions(speeches(PLAY))
    assert pairs.source == [
        "Before we proceed any further, hear me speak",
        "We have a house that no man of the city would ever take from us again",
    ]
    assert pairs.target[1] == "House no man city ever take"


def test_a_real_play_has_thousands_of_replies(shared_data: Path) -> None:
    spoken = speeches((shared_data / "tiny_shakespeare" / "input.txt").read_text())
    pairs = replies(spoken)
    assert len(spoken) > 7000 and len(pairs.source) > 6000
    assert all(pairs.source) and all(pairs.target) and len(set(pairs.scene)) > 100
    short = reductions(spoken)
    assert len(short.source) > 3000
    assert all(
        len(target.split()) < len(source.split()) for source, target in zip(short.source, short.target, strict=True)
    )


def test_numbers_to_test_on_are_never_seen_and_longer_ones_have_more_words() -> None:
    pytest.importorskip("num2words")
    train, _, test, longer = made = tables(seed=0, count=400, aside=40)
    assert [len(table["source"]) for table in made] == [400, 40, 40, 40]
    sources = [set(table["source"]) for table in made]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 520
    assert dict(zip(test["source"], test["target"], strict=True))["ninety-seven"] == "quatre-vingt-dix-sept"
    most = max(len(words(text)) for table in made[:3] for text in table["source"])
    assert most == MOST_WORDS < min(len(words(text)) for text in longer["source"])
    assert train["source"][:3] == ["zero", "one", "two"] and train["target"][:3] == ["zéro", "un", "deux"]
    assert tables(seed=0, count=400, aside=40) == made != tables(seed=1, count=400, aside=40)
