from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.augmentation import Augment
from recurra.data.ngrams import ngram_ids
from recurra.data.text import _TOKEN, BpeTokenizer, CharTokenizer, WordTokenizer
from recurra.data.vocabulary import PAD_ID, RESERVED, UNK_ID, Vocabulary
from recurra.errors import RunError, SettingsError

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog"] * 5


@pytest.fixture(scope="module")
def bpe() -> BpeTokenizer:
    return BpeTokenizer.train(TEXTS, 270, 1, lowercase=True)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't panic: 3.14!", ["don't", "panic", ":", "3.14", "!"]),
        ("it 's well-made , wo n't", ["it", "'s", "well-made", ",", "wo", "n't"]),
        ("1,000.50 and 1,2x", ["1,000.50", "and", "1,2x"]),
        ("end.Start a-", ["end", ".", "start", "a", "-"]),
        ("L’été 東京 हिन्दी e\u0301te", ["l’été", "東京", "हिन्दी", "e\u0301te"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("a\0b \ud800", ["a", "\0", "b", "\ud800"]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_words_numbers_and_signs(text: str, tokens: list[str]) -> None:
    assert WordTokenizer().tokenize(text) == tokens


def test_case_is_kept_where_asked() -> None:
    assert WordTokenizer(lowercase=False).tokenize("No") == ["No"]
    assert CharTokenizer(lowercase=False).tokenize("No") == ["N", "o"]
    assert CharTokenizer().tokenize("No") == ["n", "o"]


@given(st.text(st.characters()))
def test_any_text_is_tokenized_and_words_lose_nothing_but_spaces(text: str) -> None:
    assert "".join(WordTokenizer(lowercase=False).tokenize(text)) == "".join(text.split())
    assert "".join(CharTokenizer(lowercase=False).tokenize(text)) == text


@given(st.text(st.characters(), max_size=20))
def test_bpe_tokenizes_any_text(bpe: BpeTokenizer, text: str) -> None:
    assert set(bpe.tokenize(text)) <= set(bpe.tokens())
    assert bool(bpe.tokenize(text)) == bool(text)


def test_bpe_merges_what_is_frequent_and_stores_it_exactly(bpe: BpeTokenizer) -> None:
    assert bpe.tokenize("The cat") == ["the", "Ġcat"]
    assert len(bpe.tokens()) == 270
    again = BpeTokenizer.from_json(bpe.to_json(), lowercase=True)
    assert again.tokens() == bpe.tokens()
    assert again.tokenize("the unseen dog") == bpe.tokenize("the unseen dog")
    assert BpeTokenizer.train(TEXTS, 270, 1, lowercase=True).to_json() == bpe.to_json()


def test_bpe_below_the_256_bytes_is_refused() -> None:
    with pytest.raises(SettingsError, match="vocabulary_size: 100 is below 256"):
        BpeTokenizer.train(TEXTS, 100, 1, lowercase=True)


def test_a_damaged_tokenizer_is_refused_in_a_sentence(bpe: BpeTokenizer) -> None:
    whole = json.loads(bpe.to_json())
    vocabulary, merges = whole["model"]["vocab"], whole["model"]["merges"]

    def changed(**parts: object) -> str:
        return json.dumps({"model": {**whole["model"], **parts}})

    first, second = list(vocabulary)[:2]
    for text in (
        "", "[]", "null", "{}", "[" * 100_000, bpe.to_json()[:-5], '{"model": 3}',
        changed(type="WordPiece"),
        changed(vocab=[]),
        changed(vocab={}),
        changed(vocab={**vocabulary, first: vocabulary[second]}),
        changed(vocab={**vocabulary, first: "0"}),
        changed(vocab={**vocabulary, first: 2**70}),
        changed(vocab={**vocabulary, first: 1.5}),
        changed(vocab={token: i for token, i in vocabulary.items() if i < 200}),
        changed(merges=[*merges, ["never", "seen"]]),
        changed(merges=[["a"]]),
        changed(merges=[[1, 2]]),
        changed(merges="abc"),
    ):  # fmt: skip
        with pytest.raises(RunError, match="tokenizer"):
            BpeTokenizer.from_json(text, lowercase=True)


@pytest.mark.parametrize("piece", ["1,", "a-", "'s", "x", "-", " "])
def test_a_long_text_is_tokenized_in_time_that_grows_with_it(piece: str) -> None:
    text = piece * (400_000 // len(piece))  # a quadratic pattern would take minutes here
    assert "".join(WordTokenizer().tokenize(text)) == "".join(text.split())


def test_a_vocabulary_keeps_the_most_frequent_and_orders_ties_by_the_alphabet() -> None:
    built = Vocabulary.build([["b", "a", "c"], ["c", "d"]], size=3)
    assert built.tokens == (*RESERVED, "c", "a", "b")
    assert built.encode(["c", "never", "a"]).tolist() == [2, UNK_ID, 3]
    assert built.encode([]).dtype == np.int64
    assert Vocabulary.build(Counter(a=3, b=1), size=9, min_count=2).tokens == (*RESERVED, "a")


@given(st.lists(st.lists(st.sampled_from([*"abcdef", *RESERVED]))), st.randoms(use_true_random=False))
def test_a_vocabulary_does_not_depend_on_the_order_of_its_texts(texts: list[list[str]], random: object) -> None:
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    built = Vocabulary.build(texts, size=4)
    assert built == Vocabulary.build(shuffled, size=4)
    assert len(set(built.tokens)) == len(built)
    assert Vocabulary.from_json(json.loads(json.dumps(built.to_json()))) == built


def test_no_text_can_write_padding() -> None:
    built = Vocabulary.build([["<pad>", "<unk>", "a"]], size=9)
    assert built.tokens == (*RESERVED, "a")
    assert PAD_ID not in built.encode(["<pad>", "<unk>"]).tolist()


@pytest.mark.parametrize("data", [None, {}, ["<pad>"], ["a", "b"], [*RESERVED, "a", "a"], [*RESERVED, 1]])
def test_a_damaged_vocabulary_is_refused(data: object) -> None:
    with pytest.raises(RunError, match="vocabulary"):
        Vocabulary.from_json(data)


def test_ngrams_are_those_of_the_word_with_its_boundaries() -> None:
    import zlib

    grams = ["<wh", "whe", "her", "ere", "re>", "<whe", "wher", "here", "ere>", "<wher", "where", "here>"]
    assert ngram_ids("where", 100) == [1 + zlib.crc32(gram.encode()) % 99 for gram in grams]
    assert ngram_ids("", 100) == []
    assert ngram_ids("a", 100) == [1 + zlib.crc32(b"<a>") % 99]


@given(st.text(st.characters(), max_size=12), st.integers(2, 50))
def test_ngram_rows_lie_in_the_table_and_never_on_its_padding(word: str, buckets: int) -> None:
    assert all(1 <= row < buckets for row in ngram_ids(word, buckets))


def test_a_table_of_one_ngram_row_is_refused() -> None:
    with pytest.raises(SettingsError, match="ngram_buckets: 1 is below 2"):
        ngram_ids("word", 1)


def test_learned_tokens_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from recurra.data.text import BpeTokenizer; from recurra.data.vocabulary import Vocabulary\n"
        "from recurra.data.ngrams import ngram_ids; from recurra.data.splits import cut\n"
        "t = ['the cat sat', 'the dog sat', 'a log']\n"
        "print(BpeTokenizer.train(t, 270, 1, True).to_json(), Vocabulary.build([s.split() for s in t], 5).tokens,"
        " ngram_ids('word', 99), cut(30, .3, 1, [s for s in 'abcab' * 6]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_character_noise_disturbs_about_its_share_and_repeats_with_the_generator() -> None:
    text = "abcdefghij" * 100
    augment = Augment(char_noise=0.1)
    blurred = augment.blur(text, np.random.default_rng(0))
    assert blurred == augment.blur(text, np.random.default_rng(0))
    assert blurred != augment.blur(text, np.random.default_rng(1))
    assert set(blurred) <= set(text)
    hits = int((np.random.default_rng(0).random(1000) < 0.1).sum())
    assert 60 < hits < 140
    assert 0 < abs(len(blurred) - len(text)) < hits
    assert Augment().blur(text, np.random.default_rng(0)) is text


@given(st.text(st.characters(), max_size=6), st.integers(0, 100))
def test_noise_leaves_no_text_empty_that_was_not(text: str, seed: int) -> None:
    blurred = Augment(char_noise=0.9).blur(text, np.random.default_rng(seed))
    assert bool(blurred.strip()) == bool(text.strip())


def test_word_dropout_makes_about_its_share_unknown_and_nothing_else() -> None:
    tokens = np.arange(2, 1002)
    dropped = Augment(word_dropout=0.2).drop(tokens, np.random.default_rng(0))
    assert 150 < (dropped == UNK_ID).sum() < 250
    assert ((dropped == tokens) | (dropped == UNK_ID)).all()
    assert tokens.tolist() == list(range(2, 1002))


@given(st.text(max_size=60), st.booleans())
def test_a_text_split_stretch_by_stretch_has_the_tokens_of_the_whole(text: str, lowercase: bool) -> None:
    whole = _TOKEN.findall(text.lower() if lowercase else text)
    assert WordTokenizer(lowercase).tokenize(text) == whole
    assert WordTokenizer(lowercase).tokenize(text) == whole  # from memory the same
