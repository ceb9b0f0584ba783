"""The n-gram model against its definition, counted with dictionaries; its laws; its files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from recurra.baselines import NgramModel, fit_ngrams, ngram_model, ngrams_from_files, ngrams_to_files
from recurra.data.corpus import read_corpus
from recurra.data.partition import Given
from recurra.errors import RunError

SIZE = 6  # 0 is the beginning
texts = st.lists(st.integers(1, SIZE - 1), max_size=60)


def by_definition(ids: list[int], order: int, context: list[int]) -> list[float]:
    """Interpolated Kneser–Ney by Chen and Goodman's formulas, with sets and counters."""
    text = [0, *ids]
    ngrams = {k: Counter(tuple(text[i : i + k]) for i in range(len(text) - k + 1)) for k in range(1, order + 1)}

    def counts(k: int) -> dict[tuple[int, ...], int]:
        if k == order:
            found = dict(ngrams[k])
        else:
            left = {(text[i - 1] if i else None, *text[i : i + k]) for i in range(len(text) - k + 1)}
            found = dict(Counter(one[1:] for one in left))
        if k == 1:
            found.pop((0,))
        return found  # type: ignore[return-value]

    def discount(k: int, count: int) -> float:
        n1, n2, n3, n4 = (sum(c == i for c in counts(k).values()) for i in (1, 2, 3, 4))
        of = {1: 0.5, 2: 1.0, 3: 1.5}
        if n1 and n2 and n3 and n4:
            y = n1 / (n1 + 2 * n2)
            estimated = {1: 1 - 2 * y * n2 / n1, 2: 2 - 3 * y * n3 / n2, 3: 3 - 4 * y * n4 / n3}
            if all(0 < d <= i for i, d in estimated.items()):
                of = estimated
        return min(of[min(count, 3)], count)

    def probability(k: int, h: tuple[int, ...], w: int) -> float:
        if k == 0:
            return 1 / SIZE
        following = {g[-1]: c for g, c in counts(k).items() if g[:-1] == h}
        lower = probability(k - 1, h[1:], w)
        total = sum(following.values())
        if not total:
            return lower
        own = following.get(w, 0)
        share = sum(discount(k, c) for c in following.values()) / total
        return (own - (discount(k, own) if own else 0)) / total + share * lower

    known = [0, *context][-(order - 1) :] if order > 1 else []
    return [probability(len(known) + 1, tuple(known), w) for w in range(SIZE)]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@given(ids=texts.filter(len), context=st.lists(st.integers(1, SIZE - 1), max_size=5))
def test_probabilities_are_those_of_the_definition(order: int, ids: list[int], context: list[int]) -> None:
    order = min(order, len(ids) + 1)
    model = fit_ngrams(np.array(ids, np.uint8), SIZE, 0, order)
    np.testing.assert_allclose(model.next(context), by_definition(ids, order, context), rtol=1e-5)


def test_estimated_discounts_are_those_of_the_definition() -> None:
    ids = np.random.default_rng(0).choice(5, 400, p=[0.7, 0.2, 0.06, 0.03, 0.01]) + 1
    model = fit_ngrams(ids, SIZE, 0, 3)
    for context in ([1, 1], [2, 1], [4, 4], [5, 5], [3], []):
        np.testing.assert_allclose(model.next(context), by_definition(ids.tolist(), 3, context), rtol=1e-5)


@given(ids=texts, context=st.lists(st.integers(0, SIZE - 1), max_size=6), order=st.integers(1, 6))
def test_probabilities_sum_to_one_and_none_is_zero(ids: list[int], context: list[int], order: int) -> None:
    probability = fit_ngrams(np.array(ids, np.uint8), SIZE, 0, order).next(context)
    assert probability.sum() == pytest.approx(1, abs=1e-6)
    assert (probability > 0).all()


@given(ids=texts, other=texts, order=st.integers(1, 6))
def test_the_loss_of_a_text_is_that_of_its_symbols_one_by_one(ids: list[int], other: list[int], order: int) -> None:
    model = fit_ngrams(np.array(ids, np.uint8), SIZE, 0, order)
    found = model.losses(np.array(other, np.uint8))
    expected = [-np.log(model.next(other[:i])[symbol]) for i, symbol in enumerate(other)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert model.loss(np.array(other)) == pytest.approx(np.mean(expected) if expected else 0.0)


def test_a_long_text_is_looked_up_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(0).integers(1, SIZE, 100).astype(np.uint16)
    model = fit_ngrams(ids, SIZE, 0, 4)
    whole = model.losses(ids)
    monkeypatch.setattr(ngram_model, "BLOCK", 7)
    np.testing.assert_array_equal(model.losses(ids), whole)


def test_a_text_of_too_many_ngrams_has_fewer_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(0).integers(1, SIZE, 500)
    monkeypatch.setattr(ngram_model, "MOST_NGRAMS", 200)
    model = fit_ngrams(ids, SIZE, 0, 5)
    assert len(model.orders) == 3
    np.testing.assert_allclose(model.next([1, 2]), by_definition(ids.tolist(), 3, [1, 2]), rtol=1e-5)


def test_the_last_of_a_long_text_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram_model, "MOST_SYMBOLS", 3)
    model = fit_ngrams(np.array([1, 1, 1, 2, 3, 4]), SIZE, 0, 2)
    np.testing.assert_array_equal(model.next([3]), fit_ngrams(np.array([2, 3, 4]), SIZE, 0, 2).next([3]))


def test_a_bigram_cannot_tell_hel_from_hell() -> None:
    corpus = read_corpus([], "char", given=Given("hello"), valid="0", test="0")
    symbols = corpus.symbols
    model = fit_ngrams(corpus.train.ids, len(symbols), symbols.begin_id, 2)
    likeliest = [symbols.names[int(model.next(symbols.encode(p)).argmax())] for p in ("", "h", "he", "hel", "hell")]
    assert likeliest == ["h", "e", "l", "l", "l"]


def test_loaded_ngrams_are_the_same_to_the_last_bit() -> None:
    ids = np.random.default_rng(0).integers(1, SIZE, 300)
    model = fit_ngrams(ids, SIZE, 0, 4)
    files = ngrams_to_files(model)
    other = ngrams_from_files(files, size=SIZE)
    np.testing.assert_array_equal(other.losses(ids), model.losses(ids))
    assert other.seconds == model.seconds
    assert ngrams_to_files(other) == files


def words(change: dict[str, Any]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: files | {"baselines.json": json.dumps(json.loads(files["baselines.json"]) | change).encode()}


def numbers(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def damage(files: dict[str, bytes]) -> dict[str, bytes]:
        arrays = safetensors.numpy.load(files["baselines.safetensors"])
        arrays[name] = np.ascontiguousarray(change(arrays[name]))
        return files | {"baselines.safetensors": safetensors.numpy.save(arrays)}

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (words({"kind": "classes"}), "kind is expected to be one of ngrams"),
        (words({"format": 2}), "format"),
        (words({"size": 7}), "keys.1 is expected to be every symbol"),
        (words({"size": True}), "size is expected to be a whole number"),
        (words({"begin_id": 6}), "begin_id"),
        (words({"orders": 4}), "backoff.3 is expected to be of shape"),
        (words({"orders": 2}), "backoff.2"),
        (words({"orders": 10**9}), "orders"),
        (words({"seconds": "1"}), "seconds"),
        (numbers("keys.2", lambda keys: keys[::-1]), "keys.2 is expected to be rising"),
        (numbers("keys.2", lambda keys: keys - 10), "keys.2"),
        (numbers("keys.3", lambda keys: keys + 10**9), "keys.3"),
        (numbers("keys.3", lambda keys: keys.astype(np.int32)), "keys.3"),
        (numbers("probability.2", lambda values: values[1:]), "probability.2 is expected to be of shape"),
        (numbers("probability.1", lambda values: values * 0), "probability.1 is expected to be above 0"),
        (numbers("backoff.1", lambda values: values * np.float32("nan")), "backoff.1 is expected to be finite"),
        (numbers("backoff.1", lambda values: values + 1), "backoff.1 is expected to be above 0 and at most 1"),
        (lambda files: {"baselines.json": files["baselines.json"]}, "baselines.safetensors is missing"),
    ],
)
def test_damage_is_refused_by_name(damage: Callable[[dict[str, bytes]], dict[str, bytes]], said: str) -> None:
    model: NgramModel = fit_ngrams(np.array([1, 2, 3, 1, 2, 4, 5, 1]), SIZE, 0, 3)
    with pytest.raises(RunError, match=said):
        ngrams_from_files(damage(ngrams_to_files(model)), Path("run"))


def test_ngrams_of_another_run_are_refused() -> None:
    with pytest.raises(RunError, match="size is expected to be 7, the symbols of this run"):
        ngrams_from_files(ngrams_to_files(fit_ngrams(np.array([1, 2]), SIZE, 0, 2)), size=7)


def test_characters_of_a_real_text(shared_data: Path) -> None:
    corpus = read_corpus([shared_data / "tiny_shakespeare" / "input.txt"], "char", test="0")
    assert corpus.valid is not None
    model = fit_ngrams(corpus.train.ids, len(corpus.symbols), corpus.symbols.begin_id, 4)
    assert model.loss(corpus.valid.ids) == pytest.approx(1.719, abs=0.002)
