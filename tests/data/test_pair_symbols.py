"""Sentences as ids and back, BPE dropout, copies of unknown words, padded batches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.pairs import (
    BEGIN_ID,
    END_ID,
    PAD_ID,
    UNK_ID,
    BpeDropout,
    PairFeatures,
    SentenceSymbols,
    fit_sentences,
    lengths_of,
    plan_pairs,
    with_copies,
)
from recurra.data.pairs.bpe_dropout import VARIANTS
from recurra.data.pairs.words import JOINER, joined, words_of
from recurra.data.table import Table
from recurra.errors import DataError, RunError, SettingsError
from recurra.settings.translation import PairSymbolSettings

ENGLISH = [
    "The cat sat on the mat.",
    "A dog's life, isn't it?",
    "Two cats, two dogs  and 3.5 birds!",
    "the the the",
] * 3
FRENCH = [
    "Le chat est assis sur le tapis.",
    "Une vie de chien, non ?",
    "Deux chats, deux chiens et 3,5 oiseaux !",
    "le",
] * 3
TABLE = Table("a", {"source": ENGLISH, "target": FRENCH}, list(range(1, 13)))
UNITS = ("bpe", "word", "char")
anything = st.text(
    st.characters() | st.sampled_from([JOINER, "\ud800", "\0", "\n", " ", "'", "a", "é", "\u0301"]), max_size=30
)


def fitted(unit: str, **more: object) -> SentenceSymbols:
    return fit_sentences(ENGLISH + FRENCH, unit, vocabulary_size=320, min_count=1, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def symbols() -> dict[str, SentenceSymbols]:
    return {unit: fitted(unit) for unit in UNITS}


def test_words_are_cut_where_they_come_again() -> None:
    assert words_of("It's l'eau, no?") == ["It'", "￭s", "l'", "￭eau", "￭,", "no", "￭?"]
    assert words_of("ninety-seven 3.5") == ["ninety", "￭-", "￭seven", "3", "￭.", "￭5"]


@given(text=anything)
def test_words_are_joined_again_as_they_stood(text: str) -> None:
    assert joined(words_of(text)) == " ".join(text.split())


@pytest.mark.parametrize("unit", UNITS)
def test_any_text_has_ids_that_end_once(symbols: dict[str, SentenceSymbols], unit: str) -> None:
    @given(text=anything)
    def check(text: str) -> None:
        ids = symbols[unit].encode(text)
        assert ids.dtype == np.int64 and ids[-1] == END_ID and (ids[:-1] != END_ID).all()
        assert ((ids == UNK_ID) | (ids >= END_ID)).all() and ids.max() < len(symbols[unit])
        assert isinstance(symbols[unit].decode(ids), str)
        assert len(symbols[unit].surfaces(text)) == len(ids) - 1 == len(symbols[unit].labels(text)) - 1

    check()


@given(text=anything.filter(lambda text: not any("\ud800" <= sign <= "\udfff" for sign in text)))
def test_bpe_gives_every_text_back_sign_by_sign(text: str) -> None:
    found = _BPE.encode(text)
    assert _BPE.decode(found) == text and UNK_ID not in found


_BPE = fitted("bpe")


def test_characters_and_words_that_are_known_come_back(symbols: dict[str, SentenceSymbols]) -> None:
    for text in ENGLISH + FRENCH:
        assert symbols["char"].decode(symbols["char"].encode(text)) == text
        assert symbols["word"].decode(symbols["word"].encode(text)) == " ".join(text.split())
    assert symbols["word"].decode(symbols["word"].encode("The zebra mat.")) == "The <unk> mat."
    assert symbols["char"].decode(symbols["char"].encode("c中t")) == "c\ufffdt"


def test_decoding_stops_at_the_end_and_passes_over_what_is_no_text(symbols: dict[str, SentenceSymbols]) -> None:
    ids = symbols["word"].encode("the cat").tolist()
    assert symbols["word"].decode([BEGIN_ID, PAD_ID, *ids, *ids]) == "the cat"
    assert symbols["bpe"].decode([]) == "" == symbols["word"].decode([END_ID, 7])


def test_case_is_folded_where_it_is_asked_for() -> None:
    for unit in UNITS:
        low = fitted(unit, lowercase=True)
        assert low.decode(low.encode("THE Cat")) == "the cat"


def test_frequent_tokens_come_first_and_rare_ones_are_left_out() -> None:
    words = fit_sentences(["b a", "b c", "a b d"], "word", vocabulary_size=10)
    assert words.tokens == ("b", "a")  # what occurs once teaches the unknown word
    assert fit_sentences(["x y"], "word", vocabulary_size=10).tokens == ("x", "y")
    assert fit_sentences(["b a", "b c"], "word", vocabulary_size=2, min_count=1).tokens == ("b", "a")
    assert fit_sentences(["ba"], "char", vocabulary_size=9).tokens == ("a", "b")
    with pytest.raises(SettingsError, match="min_count: no token occurs 9 times"):
        fit_sentences(["a b"], "word", vocabulary_size=5, min_count=9)
    with pytest.raises(DataError, match="no token in the training texts"):
        fit_sentences(["", " "], "word", vocabulary_size=5)
    with pytest.raises(SettingsError, match="is below 256"):
        fit_sentences(["a"], "bpe", vocabulary_size=100)


def test_without_dropout_the_merges_are_the_librarys() -> None:
    whole = BpeDropout(_BPE, 0.0, seed=3)
    rng = np.random.default_rng(0)
    for text in [*ENGLISH, *FRENCH, "naïve 東京 \n\n x" + "y" * 100, ""]:
        assert whole.encode(text, rng).tolist() == _BPE.encode(text).tolist()


def test_dropout_spells_a_text_in_many_ways_and_never_another_text() -> None:
    varied = BpeDropout(_BPE, 0.3, seed=3)
    rng = np.random.default_rng(0)
    found = [tuple(varied.encode(ENGLISH[0], rng).tolist()) for _ in range(30)]
    assert len(set(found)) > 20
    assert {_BPE.decode(ids) for ids in found} == {ENGLISH[0]}
    assert min(map(len, found)) >= len(_BPE.encode(ENGLISH[0]))


def test_dropout_is_a_function_of_seed_and_step() -> None:
    def spelled(seed: int, step: int, before: int = 0) -> list[int]:
        varied = BpeDropout(_BPE, 0.3, seed)
        for other in range(before):  # what was read before says nothing
            varied.encode(FRENCH[other], np.random.default_rng(99))
        return varied.encode(ENGLISH[2], np.random.default_rng(step)).tolist()

    assert spelled(1, 5) == spelled(1, 5, before=3) != spelled(1, 6)
    assert spelled(1, 5) != spelled(2, 5)


def test_the_rate_of_dropout_is_the_share_of_merges_left_out() -> None:
    pair = BpeDropout(fit_sentences(["ab"] * 9, "bpe", vocabulary_size=257), 0.25, seed=0)
    apart = sum(len(pair.spelling("ab", number)) == 2 for number in range(VARIANTS))
    assert abs(apart / VARIANTS - 0.25) < 3 * (0.25 * 0.75 / VARIANTS) ** 0.5
    with pytest.raises(SettingsError, match="word has no merges"):
        BpeDropout(fitted("word"), 0.1, 0)


def test_an_unknown_word_is_copied_from_where_the_decoder_looked(symbols: dict[str, SentenceSymbols]) -> None:
    words = symbols["word"]
    source = "Zork sat on the mat, Zelda?"
    surfaces = words.surfaces(source)
    assert surfaces == ["Zork", "sat", "on", "the", "mat", JOINER + ",", "Zelda", JOINER + "?"]
    ids = [UNK_ID, *words.encode("sat.")[:-1].tolist(), UNK_ID, END_ID, UNK_ID]
    attention = np.zeros((5, 9))
    attention[[0, 3], [0, 6]] = 0.4
    attention[:, 8] = 0.6  # the end is no word
    assert with_copies(ids, attention, surfaces, words) == "Zork sat. Zelda"
    assert with_copies(ids, attention, [], words) == "<unk> sat. <unk>"


def test_a_copy_from_pieces_is_the_whole_word_they_are_in(symbols: dict[str, SentenceSymbols]) -> None:
    surfaces = symbols["bpe"].surfaces("a xylophone.")
    assert set(surfaces) == {"a", "xylophone", "."} and surfaces.count("xylophone") > 1
    attention = np.eye(len(surfaces))[[surfaces.index("xylophone") + 1]]
    assert with_copies([UNK_ID], attention, surfaces, symbols["word"]) == "xylophone"
    assert with_copies([UNK_ID], attention, [JOINER + "x", JOINER + "yz"], symbols["char"]) in ("x", "yz")


def test_an_answer_copies_nothing_from_beyond_what_was_read() -> None:
    features = PairFeatures.fit(TABLE, PairSymbolSettings(unit="word", min_count=1), max_length=2)
    attention = np.array([[0.1, 0.2, 0.7]])  # the last is the end, and the third word was cut
    assert features.answer([UNK_ID], attention, "the zebra mat") == "zebra"
    assert features.answer([UNK_ID]) == "<unk>" == features.answer([UNK_ID], np.zeros((1, 0)), "zebra")
    assert features.source_labels("the zebra mat") == ["the", "zebra", "<end>"]


def test_tokens_are_shown_as_they_are_read(symbols: dict[str, SentenceSymbols]) -> None:
    assert symbols["word"].labels("The zebra, no.") == ["The", "zebra", ",", "no", ".", "<end>"]
    assert symbols["char"].labels("a中") == ["a", "中", "<end>"]
    assert "".join(symbols["bpe"].labels("The zebra")) == "The zebra<end>"
    features = PairFeatures.fit(TABLE, PairSymbolSettings(unit="word", min_count=1))
    assert features.target_labels(features.target.encode("chien, ?").tolist()) == ["chien", ",", "?", "<end>"]


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("unit", UNITS)
def test_stored_features_give_the_same_ids(unit: str, joint: bool) -> None:
    settings = PairSymbolSettings(unit=unit, joint=joint, vocabulary_size=300)  # type: ignore[arg-type]
    features = PairFeatures.fit(TABLE, settings)
    again = PairFeatures.from_json(json.loads(json.dumps(features.to_json())), features.tokenizer_json)
    assert again.joint is joint is features.joint and again.max_length == features.max_length
    assert again.short_targets is features.short_targets is False
    for one, other in zip(ENGLISH, FRENCH, strict=True):
        first, second = features.encode(one, other), again.encode(one, other)
        assert first.source.tolist() == second.source.tolist() and first.target.tolist() == second.target.tolist()
    assert (features.source.tokens == features.target.tokens) is joint


def test_two_units_stand_side_by_side() -> None:
    features = PairFeatures.fit(
        TABLE, PairSymbolSettings(unit="bpe", target_unit="char", joint=False, vocabulary_size=300)
    )
    again = PairFeatures.from_json(features.to_json(), features.tokenizer_json)
    assert (again.source.unit, again.target.unit) == ("bpe", "char")
    assert again.dropouts(0.1, 0)[1] is None and again.dropouts(0.0, 0) == (None, None)


@pytest.mark.parametrize(
    ("change", "tokenizer"),
    [
        ({"kind": "text"}, None),
        ({"max_length": 0}, None),
        ({"joint": 1}, None),
        ({"source": {"unit": "word", "lowercase": False, "tokens": ["a", "a"]}}, None),
        ({"source": {"unit": "char", "lowercase": False, "tokens": ["ab"]}}, None),
        ({"source": {"unit": "line", "lowercase": False}}, None),
        ({"source": {"unit": "bpe", "lowercase": False}}, None),
        ({"source": {"unit": "bpe", "lowercase": False}}, "{"),
        ({"joint": False, "source": {"unit": "bpe", "lowercase": False}}, "["),
        ({"joint": False, "source": {"unit": "bpe", "lowercase": False}}, "[]"),
    ],
)
def test_damaged_features_are_refused(change: dict[str, object], tokenizer: str | None) -> None:
    features = PairFeatures.fit(TABLE, PairSymbolSettings(unit="word"))
    with pytest.raises(RunError):
        PairFeatures.from_json({**features.to_json(), **change}, tokenizer)


def test_what_is_beyond_the_longest_is_cut_and_counted() -> None:
    features = PairFeatures.fit(TABLE, PairSymbolSettings(unit="word", min_count=1), max_length=3)
    pair = features.encode("the cat sat on", "le chat est assis sur")
    assert pair.cut == 1 + 2
    assert pair.source[-1] == END_ID and len(pair.source) == 4
    assert len(pair.target) == 3 and END_ID not in pair.target  # nobody learns to end there
    assert features.encode("the cat sat", "le").cut == 0
    assert PairFeatures.fit(TABLE, PairSymbolSettings(unit="word")).max_length == 11


def test_short_targets_are_noticed() -> None:
    names = Table("a", {"source": ["fr", "de", "fr"], "target": ["Anne", "Karl der Große, König", "Luc"]}, [1, 2, 3])
    assert PairFeatures.fit(names, PairSymbolSettings(unit="char")).short_targets


def test_a_batch_is_padded_and_its_lengths_hold_the_end() -> None:
    features = PairFeatures.fit(TABLE, PairSymbolSettings(unit="word", min_count=1))
    pairs = [features.encode("the cat", "le chat est"), features.encode("", "")]
    batch = features.collate(pairs)
    le, chat, est = (features.target.encode(word)[0] for word in ("le", "chat", "est"))
    assert batch.target.values.tolist() == [[le, chat, est, END_ID], [END_ID, PAD_ID, PAD_ID, PAD_ID]]
    assert batch.target.lengths.tolist() == [4, 1] and batch.source.lengths.tolist() == [3, 1]
    assert torch.equal(features.collate_sources(pairs).values, batch.source.values)
    assert torch.equal(batch.to("cpu").target.values, batch.target.values)


def test_word_dropout_makes_sources_unknown_and_leaves_targets() -> None:
    features = PairFeatures.fit(TABLE, PairSymbolSettings(unit="word", min_count=1))
    pairs = features.encode_table(TABLE)
    plain = features.collate(pairs)
    some, again = (features.collate(pairs, word_dropout=0.4, rng=np.random.default_rng(0)) for _ in range(2))
    assert torch.equal(some.source.values, again.source.values)
    assert torch.equal(some.target.values, plain.target.values)
    changed = plain.source.values != some.source.values
    assert (some.source.values[changed] == UNK_ID).all() and (plain.source.values[changed] > END_ID).all()
    assert 0.2 < float(changed.sum() / (plain.source.values > END_ID).sum()) < 0.6


@given(
    lengths=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=60),
    tokens=st.sampled_from([0, 1, 40, 200]),
    seed=st.none() | st.integers(0, 3),
)
def test_every_pair_is_in_one_batch_and_no_batch_is_too_large(
    lengths: list[tuple[int, int]], tokens: int, seed: int | None
) -> None:
    def planned() -> list[list[int]]:
        rng = None if seed is None else np.random.default_rng(seed)
        return plan_pairs(lengths, batch_size=7, batch_tokens=tokens, rng=rng)

    batches = planned()
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert batches == planned() and all(batches)
    for batch in batches:
        longest = max(max(lengths[row]) for row in batch)
        assert (len(batch) * longest <= tokens or len(batch) == 1) if tokens else len(batch) <= 7


def test_batches_of_like_lengths_hold_little_padding(shared_data: Path) -> None:
    from recurra.data.pairs import read_line_pairs

    folder = shared_data / "multi30k_en_fr"
    table = read_line_pairs(folder / "val.en.gz", folder / "val.fr.gz")
    features = PairFeatures.fit(table, PairSymbolSettings(vocabulary_size=2000))
    lengths = lengths_of(features.encode_table(table))
    batches = plan_pairs(lengths, batch_size=0, batch_tokens=1000, rng=np.random.default_rng(0))
    padded = sum(len(batch) * max(lengths[row][1] for row in batch) for batch in batches)
    assert sum(target for _, target in lengths) / padded > 0.95
    assert all(features.target.decode(features.target.encode(text)) == text for text in table.columns["target"])
