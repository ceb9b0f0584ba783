"""Each word's most likely translation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.baselines import WordByWord
from recurra.data.table import Table
from recurra.errors import RunError
from recurra.tasks.pair_baselines import fit_word_by_word, plain_answers, plain_scores

SOURCES = [["the", "house"], ["the", "book"], ["a", "book"], ["the", "House"]]
TARGETS = [["das", "Haus"], ["das", "Buch"], ["ein", "Buch"], ["das", "Haus"]]


def slow_model_1(sources: list[list[str]], targets: list[list[str]], rounds: int) -> dict[tuple[str, str], float]:
    """Brown et al. word for word, by dictionaries."""
    others = {word for target in targets for word in target}
    likely = {(one, other): 1.0 for source in sources for one in [*source, ""] for other in others}
    for _ in range(rounds):
        counts: dict[tuple[str, str], float] = {}
        totals: dict[str, float] = {}
        for source, target in zip(sources, targets, strict=True):
            for other in target:
                whole = sum(likely[one, other] for one in [*source, ""])
                for one in [*source, ""]:
                    share = likely[one, other] / whole
                    counts[one, other] = counts.get((one, other), 0.0) + share
                    totals[one] = totals.get(one, 0.0) + share
        likely = {(one, other): counts.get((one, other), 0.0) / totals[one] for one, other in likely}
    return likely


def test_words_have_the_translations_of_model_1() -> None:
    model = WordByWord.fit(SOURCES, TARGETS)
    assert model.words == {"the": "das", "house": "Haus", "book": "Buch", "a": "ein", "House": "Haus"}
    likely = slow_model_1(SOURCES, TARGETS, rounds=5)
    for word, translation in model.words.items():
        others = {other for one, other in likely if one == word}
        assert translation == min(others, key=lambda other: (-likely[word, other], other))


@given(
    pairs=st.lists(
        st.tuples(*[st.lists(st.sampled_from("abcde"), min_size=1, max_size=5)] * 2), min_size=3, max_size=12
    )
)
def test_first_choices_are_the_likeliest_of_model_1(pairs: list[tuple[list[str], list[str]]]) -> None:
    sources, targets = [one for one, _ in pairs], [other for _, other in pairs]
    likely = slow_model_1(sources, targets, rounds=5)
    for word, translation in WordByWord.fit(sources, targets).words.items():
        most = max(value for (one, _), value in likely.items() if one == word)
        assert likely[word, translation] >= most - 1e-12


def test_a_word_never_seen_is_its_own() -> None:
    model = WordByWord.fit(SOURCES, TARGETS)
    assert model.predict(["The", "zebra", "BOOK"]) == ["das", "zebra", "Buch"]
    assert model.predict([]) == []
    assert WordByWord.fit([[], ["a"]], [["x"], []]).words == {}


def test_the_stored_one_gives_the_same_answers() -> None:
    model = WordByWord.fit(SOURCES, TARGETS)
    assert WordByWord.from_files(model.to_files()) == model


@pytest.mark.parametrize("change", [{"format": 2}, {"words": {"a": 1}}, {"words": []}, {"seconds": "1"}, {"kind": "x"}])
def test_a_damaged_file_is_refused(change: dict[str, object]) -> None:
    files = WordByWord.fit(SOURCES, TARGETS).to_files()
    files["baselines.json"] = json.dumps({**json.loads(files["baselines.json"]), **change}).encode()
    with pytest.raises(RunError, match=r"baselines\.json is damaged"):
        WordByWord.from_files(files)
    with pytest.raises(RunError, match=r"baselines\.json is damaged"):
        WordByWord.from_files({"baselines.json": b"{"})


def test_the_source_and_its_words_stand_beside_a_translator() -> None:
    sides = {
        "source": ["the book.", "the house.", "a book", "the"],
        "target": ["das Buch.", "das Haus.", "ein Buch", "das"],
    }
    table = Table("a", sides, [1, 2, 3, 4])
    baseline = fit_word_by_word(table)
    assert plain_answers(baseline, ["The book."]) == {"copy": ["The book."], "words": ["das Buch."]}
    scores = plain_scores(baseline, ["the house.", "x"], ["das Haus.", "x"])
    assert (scores["baseline_words_exact_match"], scores["baseline_copy_exact_match"]) == (1.0, 0.5)
    assert {"baseline_copy_bleu", "baseline_words_rouge_l", "baseline_copy_seconds", "baseline_words_seconds"} <= set(
        scores
    )


def test_on_real_pairs_words_are_nearer_than_the_source(shared_data: Path) -> None:
    from recurra.data.pairs import read_line_pairs

    folder = shared_data / "multi30k_en_fr"
    train = read_line_pairs(folder / "train.en.gz", folder / "train.fr.gz").select(range(3000))
    test = read_line_pairs(folder / "val.en.gz", folder / "val.fr.gz").select(range(200))
    baseline = fit_word_by_word(train)
    assert (baseline.words["dog"], baseline.words["woman"]) == ("chien", "femme")
    scores = plain_scores(baseline, test.columns["source"], test.columns["target"])
    assert scores["baseline_words_bleu"] > scores["baseline_copy_bleu"] and scores["baseline_words_chrf"] > 30
