"""A text in pieces: lower case and tokens are those of the whole."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.casing import lower_piece
from recurra.data.text import BpeTokenizer, CharTokenizer, Tokenizer, WordTokenizer

LETTERS = st.text(alphabet="ΣΣΑα 'abʰßİ1.\u0301\u00ad\ud800")
TEXTS = st.text(
    alphabet=st.sampled_from(" \n\t\x1c\u00a0\u3000'’sretlld.,-!?1٣aébΣ你好。😀\u0301\u200d_\0\ud800"), max_size=30
)


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    texts = ["it's the cats' 1,000.5 rest", "they'll rest, we've 3.14 a well-made street", "你好。 été 😀"] * 4
    return {
        "word": WordTokenizer(lowercase=False),
        "char": CharTokenizer(lowercase=False),
        "bpe": BpeTokenizer.train(texts, 300, 1, lowercase=False),
    }


@given(pieces=st.lists(LETTERS, max_size=5))
def test_pieces_are_lowered_as_the_whole_is(pieces: list[str]) -> None:
    text, waiting, cased = "", "", False
    for number, piece in enumerate(pieces, 1):
        lowered = lower_piece(waiting + piece, cased)
        text, waiting, cased = text + lowered.text, lowered.waiting, lowered.cased
        before = "a" if cased else ""
        assert text + (before + waiting).lower()[len(before) :] == "".join(pieces[:number]).lower()


@pytest.mark.parametrize(
    ("text", "waiting"), [("ΑΣ", "Σ"), ("ΑΣ'", "Σ'"), ("ΑΣ' ", ""), ("ΑΣΑ", ""), ("ab", ""), ("ΣΣ", "Σ")]
)
def test_only_a_sigma_waits_and_only_until_its_form_is_known(text: str, waiting: str) -> None:
    assert lower_piece(text, cased=False).waiting == waiting


def test_no_character_in_lower_case_has_another_lower_case() -> None:
    every = [chr(code).lower() for code in range(sys.maxunicode + 1)]
    assert all(one.lower() == one and "Σ" not in one for one in every)


@pytest.mark.parametrize("unit", ["word", "char", "bpe"])
@given(text=TEXTS, more=TEXTS)
def test_tokens_that_are_settled_are_those_of_the_whole(
    unit: str, text: str, more: str, tokenizers: dict[str, Tokenizer]
) -> None:
    tokenizer = tokenizers[unit]
    settled = tokenizer.settled(text)
    assert 0 <= settled <= len(text)
    parts = tokenizer.tokenize(text[:settled]) + tokenizer.tokenize(text[settled:] + more)
    assert parts == tokenizer.tokenize(text + more)


@pytest.mark.parametrize(
    ("unit", "text", "settled"),
    [
        ("word", "a charming fil", "a charming "),
        ("word", "it's 1,", "it's "),
        ("word", "end!sta", "end!"),
        ("word", "well-", ""),
        ("char", "abc", "abc"),
        ("bpe", "a charming fil", "a"),
        ("bpe", "你好。再见。也", "你好。再见"),
        ("bpe", "it'r", "it"),
        ("bpe", "word", ""),
    ],
)
def test_as_much_is_settled_as_can_be_known(
    unit: str, text: str, settled: str, tokenizers: dict[str, Tokenizer]
) -> None:
    assert text[: tokenizers[unit].settled(text)] == settled
