from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batching import fill, plan
from recurra.data.splits import cut

LENGTHS = st.lists(st.integers(0, 50), max_size=300)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 120), st.one_of(st.none(), st.integers(0, 9)))
def test_every_row_is_in_exactly_one_batch_and_batches_keep_their_bound(
    lengths: list[int], batch_size: int, batch_tokens: int, seed: int | None
) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    batches = plan(lengths, batch_size=batch_size, batch_tokens=batch_tokens, rng=rng)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert batch
        if batch_tokens:
            assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= batch_tokens
        else:
            assert len(batch) <= batch_size


def test_evaluation_goes_from_the_longest_to_the_shortest() -> None:
    assert plan([3, 9, 5, 9, 1], batch_size=2, batch_tokens=0, rng=None) == [[1, 3], [2, 0], [4]]


def test_a_token_budget_is_filled_before_a_new_batch_begins() -> None:
    assert plan([4, 4, 2, 2, 2], batch_size=1, batch_tokens=8, rng=None) == [[0, 1], [2, 3, 4]]
    assert plan([20, 1], batch_size=1, batch_tokens=8, rng=None) == [[0], [1]]


def test_training_batches_repeat_with_the_seed_and_change_with_it() -> None:
    lengths = list(range(100))
    first = plan(lengths, batch_size=4, batch_tokens=0, rng=np.random.default_rng(0))
    assert first == plan(lengths, batch_size=4, batch_tokens=0, rng=np.random.default_rng(0))
    assert first != plan(lengths, batch_size=4, batch_tokens=0, rng=np.random.default_rng(1))
    assert [max(batch) for batch in first] != sorted((max(batch) for batch in first), reverse=True)


def test_batches_of_like_length_hold_little_padding() -> None:
    lengths = np.random.default_rng(0).geometric(0.05, 20_000).tolist()
    batches = plan(lengths, batch_size=32, batch_tokens=0, rng=np.random.default_rng(0))
    assert fill(batches, lengths) > 0.9
    unsorted = [list(range(i, i + 32)) for i in range(0, 20_000, 32)]
    assert fill(unsorted, lengths) < 0.5


def test_fill_is_the_share_of_valid_steps() -> None:
    assert fill([[0, 1], [2]], [4, 2, 3]) == 9 / 11
    assert fill([], []) == 1.0


@given(st.integers(0, 200), st.floats(0.01, 0.99), st.integers(0, 2**64), st.integers(1, 40))
def test_a_cut_deals_every_row_once_and_leaves_none_empty(n: int, fraction: float, seed: int, classes: int) -> None:
    for strata in (None, [i % classes for i in range(n)]):
        rest, part = cut(n, fraction, seed, strata)
        assert sorted(rest + part) == list(range(n))
        assert rest == sorted(rest)
        assert part == sorted(part)
        assert len(part) == (0 if n < 2 else min(max(1, round(n * fraction)), n - 1))


def test_each_stratum_gives_its_share() -> None:
    strata = ["a"] * 100 + ["b"] * 50 + ["c"] * 10
    _, part = cut(160, 0.1, 0, strata)
    assert Counter(strata[i] for i in part) == {"a": 10, "b": 5, "c": 1}


def test_a_rare_stratum_keeps_a_row_in_the_rest() -> None:
    strata = ["a"] * 30 + ["b", "b", "c"]
    for seed in range(20):
        rest, _ = cut(33, 0.8, seed, strata)
        assert {strata[i] for i in rest} == {"a", "b", "c"}


def test_strata_may_be_lists_of_labels_and_all_may_be_different() -> None:
    assert len(cut(4, 0.5, 0, [["a"], ["a"], [], []])[1]) == 2
    assert len(cut(10, 0.3, 0, list(range(10)))[1]) == 3


def test_a_cut_is_fixed_by_its_seed_for_all_time() -> None:
    assert cut(20, 0.25, 0)[1] == [2, 4, 6, 8, 18]
    assert cut(20, 0.25, 1)[1] == [4, 7, 13, 14, 16]


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_rows_are_chosen_evenly(fraction: float) -> None:
    chosen = Counter(i for seed in range(2000) for i in cut(20, fraction, seed)[1])
    assert all(abs(chosen[i] - 2000 * fraction) < 120 for i in range(20))
