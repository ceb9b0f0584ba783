from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.symbols import Symbols, Unseen, fit_symbols, symbols_from_json
from recurra.data.symbols.bpe import LONGEST_STRETCH
from recurra.data.symbols.words import LONGEST_WORD
from recurra.errors import DataError, RunError, SettingsError

TEXT = "The cat's hat , it said :\n\n  'tis the <unk> don't we'll  12,5 naïve 東京 \r\n\tἜργα ΟΔΟΣ İ 😀 e\u0301\n" * 3
UNITS = ("char", "byte", "bpe", "word")
signs = st.sampled_from([*sorted(set(TEXT)), "\x1c", "\u00a0", "\ud800", "ß", "!"])
texts = st.lists(signs | st.sampled_from(["  ", "\n\n", "   b", "\n a", "'s"]), max_size=40).map("".join)


def fitted(unit: str, text: str = TEXT, lowercase: bool = False, size: int = 300, count: int | None = 1) -> Symbols:
    return fit_symbols([text], unit, vocabulary_size=size, min_count=count, lowercase=lowercase)


@pytest.fixture(scope="module")
def all_symbols() -> dict[str, Symbols]:
    spaced = TEXT + "a   b \n\n  c\n\n\nd    e " * 20  # so that BPE learns runs of spaces too
    plain = {unit: fitted(unit, spaced) for unit in UNITS}
    assert {"  ", "\n\n"} <= set(plain["bpe"].names)
    return plain | {f"{unit} folded": fitted(unit, lowercase=True) for unit in ("char", "bpe", "word")}


def cut(text: str | bytes, random_source: random.Random) -> list[str] | list[bytes]:
    places = sorted(random_source.randint(0, len(text)) for _ in range(random_source.randint(0, 6)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]  # type: ignore[return-value]


@pytest.mark.parametrize("kind", [*UNITS, "char folded", "bpe folded", "word folded"])
@given(text=texts, chance=st.randoms(use_true_random=False), as_bytes=st.booleans())
def test_a_text_in_pieces_is_the_whole_text(
    all_symbols: dict[str, Symbols], kind: str, text: str, chance: random.Random, as_bytes: bool
) -> None:
    symbols = all_symbols[kind]
    whole: str | bytes = text.encode("utf-8", "replace") if as_bytes else text
    encoder = symbols.encoder()
    found = []
    for piece in cut(whole, chance):
        found.append(encoder.feed(piece))
        encoder = symbols.encoder(encoder.tail)  # as if the process had been another from here on
    found.append(encoder.finish())
    assert np.concatenate(found).tolist() == symbols.encode(whole).tolist()
    assert symbols.encode(whole).dtype == symbols.dtype


@pytest.mark.parametrize("kind", UNITS)
@given(text=texts, chance=st.randoms(use_true_random=False))
def test_ids_one_by_one_are_the_text_of_all(
    all_symbols: dict[str, Symbols], kind: str, text: str, chance: random.Random
) -> None:
    symbols = all_symbols[kind]
    ids = [*symbols.encode(text).tolist(), symbols.begin_id]
    decoder = symbols.decoder()
    found = ""
    for i in ids:
        found += decoder.feed([i])
        decoder = symbols.decoder(decoder.tail)
    assert found + decoder.finish() == symbols.decode(ids)


@pytest.mark.parametrize("kind", ["byte", "bpe"])
@given(text=st.text())
def test_bytes_and_bpe_give_any_text_back(all_symbols: dict[str, Symbols], kind: str, text: str) -> None:
    assert all_symbols[kind].decode(all_symbols[kind].encode(text)) == text
    assert all_symbols[kind].unseen(text) == ()


def test_characters_give_every_seen_text_back_and_mark_the_others() -> None:
    symbols = fitted("char", "ab\r\n ")
    assert symbols.decode(symbols.encode("b a\r\n\nb")) == "b a\r\n\nb"
    assert symbols.decode(symbols.encode("a東\U0010ffffb")) == "a\ufffd\ufffdb"
    assert symbols.encode("東").tolist() == [symbols.unk_id]
    assert symbols.unseen("a東b\U0010ffff") == (Unseen("東", 1), Unseen("\U0010ffff", 3))
    assert [symbols.names[i] for i in symbols.newline_ids] == ["\n"]


def test_words_are_what_stands_between_spaces_and_the_newline_is_one_of_them() -> None:
    symbols = fitted("word", " = The <unk> = \n \n a b <eos> c\r\n", count=1)
    ids = symbols.encode(" = The <unk> = \n \n a  b\n").tolist()
    assert [symbols.names[i] for i in ids] == ["=", "The", "<unk>", "=", "<eos>", "<eos>", "a", "b", "<eos>"]
    assert ids[2] == symbols.unk_id
    assert symbols.decode(ids) == "= The <unk> =\n\na b\n"
    assert symbols.encode("<eos>").tolist() == list(symbols.newline_ids)
    assert symbols.unseen("a <unk> the c x") == (Unseen("the", 8), Unseen("x", 14))


def test_words_that_occur_once_teach_the_unknown_word_where_the_text_has_none() -> None:
    assert set(fitted("word", "a b a", count=None).names) == {"<begin>", "<unk>", "<eos>", "a"}
    assert "b" in fitted("word", "a b a <unk>", count=None).names
    assert "b" in fitted("word", "a b", count=None).names  # no word occurs twice


@pytest.mark.parametrize("unit", UNITS)
def test_stored_symbols_are_the_same(unit: str) -> None:
    symbols = fitted(unit, lowercase=unit != "byte")
    again = symbols_from_json(json.loads(json.dumps(symbols.to_json())), symbols.tokenizer_json)
    assert again.names == symbols.names
    assert again.encode(TEXT).tolist() == symbols.encode(TEXT).tolist()
    assert (again.begin_id, again.unk_id, len(again)) == (symbols.begin_id, symbols.unk_id, len(symbols))


@pytest.mark.parametrize("unit", UNITS)
def test_no_text_holds_the_beginning(unit: str) -> None:
    symbols = fitted(unit)
    ids = symbols.encode(TEXT + "<begin> <pad>")
    assert symbols.begin_id not in ids
    assert symbols.begin_id < len(symbols)
    assert len(symbols.names) == len(symbols)
    assert symbols.decode([symbols.begin_id]) == ""
    assert symbols.decode([symbols.begin_id, *symbols.encode("The")]) == "The"
    assert symbols.begin_id in symbols.silent_ids


@pytest.mark.parametrize("unit", UNITS)
def test_symbols_fitted_in_pieces_are_those_of_the_whole(unit: str) -> None:
    pieces = [TEXT[i : i + 7] for i in range(0, len(TEXT), 7)]
    in_pieces = fit_symbols(pieces, unit, vocabulary_size=290, min_count=2)
    assert in_pieces.names == fitted(unit, size=290, count=2).names


def test_rare_characters_are_left_out() -> None:
    assert fitted("char", "aaabbc", size=2).names == ("<begin>", "<unk>", "a", "b")
    assert fitted("char", "aaabbc", count=3).names == ("<begin>", "<unk>", "a")


def test_a_stretch_without_spaces_needs_no_endless_memory() -> None:
    bpe, word = fitted("bpe"), fitted("word")
    for symbols, bound in ((bpe, LONGEST_STRETCH), (word, LONGEST_WORD)):
        encoder = symbols.encoder()
        ids = []
        for _ in range(300):
            ids += encoder.feed("x" * 100).tolist()
            assert len(encoder.tail) < bound
        ids += [*encoder.feed(" " * 5000 + "y x").tolist(), *encoder.finish().tolist()]
        assert ids == symbols.encode("x" * 30000 + " " * 5000 + "y x").tolist()
    assert bpe.decode(bpe.encode("x" * 30000 + " " * 5000)) == "x" * 30000 + " " * 5000


def test_a_character_cut_in_two_is_held_and_what_is_no_character_is_marked() -> None:
    symbols = fitted("char", "é\ufffda")
    encoder = symbols.encoder()
    first, second = "é".encode()[:1], "é".encode()[1:]
    assert encoder.feed(first).tolist() == []
    assert symbols.decode(encoder.feed(second)) == "é"
    assert encoder.feed(first).tolist() == []
    assert symbols.decode(encoder.feed("a")) == "\ufffda"
    encoder.feed(first)
    assert symbols.decode(encoder.finish()) == "\ufffd"
    raw = fitted("byte")
    assert raw.encode(b"\xff\x00").tolist() == [255, 0]
    assert raw.decode([0xC3]) == "\ufffd"


def test_small_vocabularies_take_small_numbers() -> None:
    assert fitted("char").dtype == np.uint8
    assert fitted("byte").dtype == np.uint8
    assert fitted("bpe").dtype == np.uint16
    words = " ".join(map(str, range(70_000)))
    assert fitted("word", words, size=70_000).dtype == np.int32


@pytest.mark.parametrize(
    ("unit", "text", "options", "words"),
    [
        ("char", "", {}, "the training text is empty"),
        ("word", " ", {}, "the training text is empty"),
        ("char", "ab", {"count": 2}, "no symbol occurs 2 times"),
        ("bpe", "ab", {"size": 100}, "vocabulary_size: 100 is below 256"),
        ("byte", "ab", {"lowercase": True}, "bytes have no case"),
        ("line", "ab", {}, "unit: 'line' is not known"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(unit: str, text: str, options: dict[str, int], words: str) -> None:
    with pytest.raises((DataError, SettingsError), match=words):
        fitted(unit, text, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "text"},
        {"unit": "line"},
        {"unit": "bpe"},
        {"lowercase": None},
        {"vocabulary": ["<pad>", "<unk>", "ab"]},
        {"vocabulary": ["<pad>"]},
        {"vocabulary": [1]},
        {"unit": "word"},
    ],
)
def test_damaged_symbols_are_refused(damage: dict[str, object]) -> None:
    with pytest.raises(RunError):
        symbols_from_json(fitted("char").to_json() | damage)
