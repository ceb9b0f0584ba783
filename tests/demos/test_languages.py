"""The demonstration on number words: its data keep their promises, and a small run of it works."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from recurra.cli.main import main
from recurra.demos import DEMOS
from recurra.demos.language_words import LANGUAGES, LanguageWords, language_words
from recurra.demos.languages import NUMBERS, languages
from recurra.errors import MissingExtra


@pytest.fixture(scope="module")
def words() -> LanguageWords:
    return language_words(0, train=NUMBERS[0], valid=NUMBERS[1], test=NUMBERS[2])


def test_no_text_stands_in_two_parts_and_none_has_two_languages(words: LanguageWords) -> None:
    times = Counter(text for part in (words.train, words.valid, words.test) for text in part["text"])
    assert set(times.values()) == {1}
    given = sum(NUMBERS) * len(LANGUAGES)
    assert sum(times.values()) + words.dropped == given
    assert 0 < words.dropped < 0.1 * given


def test_every_language_is_in_every_part_in_nearly_equal_shares(words: LanguageWords) -> None:
    assert len(LANGUAGES) >= 15
    for part, numbers in zip((words.train, words.valid, words.test), NUMBERS, strict=True):
        counted = Counter(part["language"])
        assert set(counted) == set(LANGUAGES.values())
        assert 0.6 * numbers <= min(counted.values()) <= max(counted.values()) <= numbers


def test_a_number_is_said_as_its_language_says_it() -> None:
    some = {code: LANGUAGES[code] for code in ("en", "de", "fr", "es", "it", "nl", "da", "no", "sv")}
    data = language_words(0, train=1000, valid=0, test=0, languages=some)
    said = set(zip(data.train["text"], data.train["language"], strict=True))
    for text, language in (
        ("seven hundred and forty-two", "English"),
        ("siebenhundertzweiundvierzig", "German"),
        ("sept cent quarante-deux", "French"),
        ("setecientos cuarenta y dos", "Spanish"),
        ("settecentoquarantadue", "Italian"),
        ("zeshonderdzestien", "Dutch"),
    ):
        assert (text, language) in said
    assert "ni" not in data.train["text"]  # nine in Danish, Norwegian and Swedish
    assert all(not any(one.isdigit() for one in text) for text in data.train["text"])


def test_the_seed_decides_the_numbers() -> None:
    first, again, other = (language_words(seed, train=5, valid=2, test=5) for seed in (1, 1, 2))
    assert first == again
    assert first.test != other.test


def test_without_num2words_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)  # type: ignore[arg-type]
    with pytest.raises(MissingExtra, match=r"num2words cannot be imported .*pip install 'recurra\[demo\]'"):
        language_words(0, train=1, valid=1, test=1)
    assert main(["demo", "languages", "--out", str(tmp_path / "demo")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'recurra[demo]'" in line


def test_a_small_run_ends_with_three_rows_samples_and_a_report(tmp_path: Path) -> None:
    assert DEMOS["languages"] is languages
    done = languages(tmp_path, "none", numbers=(4, 2, 4), epochs=1)
    (table,) = done.tables
    assert [row[0] for row in table.rows] == [
        "gru, one direction", "gru, two directions", "linear, words and character n-grams",
    ]  # fmt: skip
    one, both, linear = (row[1] for row in table.rows)
    assert all(0 <= accuracy <= 1 for accuracy in (one, both, linear))
    assert linear > 0.3  # of twenty languages and more
    assert f"Two directions minus one: {100 * (both - one):+.1f} points" in table.note
    assert len(done.samples) == 7 and done.samples[-1] == table.note
    page = done.report.read_text()
    assert page.count("data:image/png;base64,") == 1 and "http://" not in page
    assert (tmp_path / "plots" / "confusion.csv").exists()
