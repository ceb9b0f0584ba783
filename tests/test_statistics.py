"""Intervals and paired tests: against scipy, by hand, and by their coverage on simulated metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from recurra.statistics import (
    bootstrap_interval,
    mean_interval,
    paired_bootstrap,
    paired_difference,
    sign_flip_test,
)

RNG_SEED = 20_260


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.81, 0.84, 0.83]
    found = mean_interval(values)
    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.half == pytest.approx((expected[1] - expected[0]) / 2)


def test_the_paired_test_is_students() -> None:
    first, second = [0.81, 0.84, 0.83, 0.80], [0.85, 0.86, 0.84, 0.83]
    found = paired_difference(first, second)
    assert found.p == pytest.approx(stats.ttest_rel(second, first).pvalue)
    assert found.mean == pytest.approx(0.025)
    assert found.differs is (found.p < 0.05)


def test_one_value_has_no_interval_and_a_nan_is_not_left_out() -> None:
    alone = mean_interval([0.9])
    assert alone.mean == 0.9
    assert not alone.known
    assert math.isnan(paired_difference([0.9], [0.8]).p)
    assert math.isnan(mean_interval([0.9, math.nan, 0.8]).mean)
    assert math.isnan(paired_difference([0.9, 0.8], [0.9, math.nan]).p)
    assert math.isnan(sign_flip_test([0.9, 0.8], [0.9, math.nan]))


def test_equal_values_are_no_difference_and_a_constant_gain_is_one() -> None:
    same = paired_difference([1.0, 2.0], [1.0, 2.0])
    assert (same.p, same.differs) == (1.0, False)
    gain = paired_difference([1.0, 2.0], [2.0, 3.0])
    assert (gain.p, gain.differs) == (0.0, True)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 2.0]), ([[1.0]], [[2.0]])])
def test_what_is_no_list_of_pairs_is_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match=r"needed"):
        paired_difference(first, second)


def test_changes_of_sign_are_counted_by_hand() -> None:
    # of the 8 changes of sign of 1, 2, 3 only +++ and --- reach a sum of 6; 1, -2, 3 has 2, which 6 of 8 reach
    assert sign_flip_test([0, 0, 0], [1, 2, 3]) == 2 / 8
    assert sign_flip_test([0, 0, 0], [1, -2, 3]) == 6 / 8


def test_many_changes_of_sign_are_drawn_and_agree_with_scipy() -> None:
    generator = np.random.default_rng(RNG_SEED)
    first = generator.normal(size=30)
    second = first + generator.normal(0.25, 1.0, size=30)
    expected = stats.permutation_test((second - first,), np.mean, permutation_type="samples", random_state=1).pvalue
    assert sign_flip_test(first, second) == pytest.approx(expected, abs=0.02)


def test_the_bootstrap_is_scipys() -> None:
    values = np.random.default_rng(RNG_SEED).exponential(size=80)
    found = bootstrap_interval(values, samples=6000)
    low, high = stats.bootstrap((values,), np.mean, n_resamples=6000, random_state=1).confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)


def test_the_bootstrap_keeps_pairs_together() -> None:
    generator = np.random.default_rng(RNG_SEED)
    hard = generator.normal(0, 5.0, size=200)  # what makes a row hard is common to both methods
    found = paired_bootstrap(hard, hard + 0.1 + generator.normal(0, 0.1, size=200))
    assert found.mean == pytest.approx(0.1, abs=0.03)
    assert found.half < 0.02
    with pytest.raises(ValueError, match="equal shapes"):
        paired_bootstrap([1.0, 2.0], [1.0])


def test_the_bootstrap_takes_any_statistic_and_constant_rows() -> None:
    rows = np.array([[3.0, 4.0], [1.0, 2.0], [2.0, 4.0], [5.0, 8.0]])  # right answers and answers of a row
    found = bootstrap_interval(rows, lambda some: float(some[:, 0].sum() / some[:, 1].sum()))
    assert found.mean == pytest.approx(11 / 18)
    assert found.low < found.mean < found.high
    constant = bootstrap_interval([2.0, 2.0, 2.0])
    assert (constant.low, constant.high) == (2.0, 2.0)
    assert not bootstrap_interval([2.0]).known


@pytest.mark.parametrize("count", [3, 5])
def test_students_interval_covers_the_truth_of_a_few_simulated_seeds(count: int) -> None:
    generator = np.random.default_rng(RNG_SEED)
    trials = 2000
    inside = 0
    for _ in range(trials):
        found = mean_interval(0.84 + 0.01 * generator.normal(size=count))
        inside += found.low <= 0.84 <= found.high
    assert inside / trials == pytest.approx(0.95, abs=0.015)


def test_the_paired_interval_covers_the_truth_and_p_is_uniform_without_a_difference() -> None:
    generator = np.random.default_rng(RNG_SEED)
    inside, small = 0, 0
    trials = 2000
    for _ in range(trials):
        seeds = generator.normal(0.8, 0.05, size=3)
        found = paired_difference(seeds, seeds + 0.01 * generator.normal(size=3))
        inside += found.low <= 0 <= found.high
        small += found.p < 0.05
    assert inside / trials == pytest.approx(0.95, abs=0.015)
    assert small / trials == pytest.approx(0.05, abs=0.015)


def test_the_bootstrap_covers_the_truth_of_simulated_accuracies() -> None:
    generator = np.random.default_rng(RNG_SEED)
    trials = 300
    inside = 0
    for trial in range(trials):
        right = generator.random(200) < 0.85
        found = bootstrap_interval(right, samples=400, seed=trial)
        inside += found.low <= 0.85 <= found.high
    assert inside / trials == pytest.approx(0.95, abs=0.035)
