"""Any text can be shown: valid, quiet and short."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.report.text import readable, shorten


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\u2028d", "a b c d"),
        ("a\0b\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("été 你好 👩\u200d👧", "été 你好 👩\u200d👧"),
    ],
)
def test_controls_and_surrogates_are_replaced_and_letters_stay(text, shown):
    assert readable(text) == shown


def test_a_long_text_loses_its_middle():
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("first words and the last", 12) == "first…last"


@given(st.text(st.characters(), max_size=40), st.integers(1, 30))
def test_every_text_becomes_short_writable_and_free_of_controls(text, limit):
    shown = shorten(text, limit)
    assert len(shown) <= limit
    shown.encode("utf-8")
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)
