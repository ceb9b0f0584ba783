"""What the rows of a comparison say of the seeds behind them."""

from __future__ import annotations

import math

import pytest

from recurra.comparison.rows import NO_DIFFERENCE, Entry, Row, rows_of
from tests.comparison.trainings import entries, training

T_OF_3 = 4.302652729911275  # Student's t of 2 degrees of freedom at 97.5 %, from a printed table


def rows(higher_is_better: bool = True, **groups: list[Entry]) -> dict[str, Row]:
    return {row.name: row for row in rows_of(groups, "accuracy", higher_is_better)}


def test_a_row_is_the_mean_with_students_interval() -> None:
    row = rows(lstm=entries([0.8, 0.9, 1.0]))["lstm"]
    assert row.interval.mean == pytest.approx(0.9)
    assert row.interval.half == pytest.approx(T_OF_3 * 0.1 / math.sqrt(3))
    assert row.difference is None and row.verdict == ""
    assert (row.seconds, row.examples_per_second, row.parameters) == (2.0, 100.0, 10.0)


def test_a_difference_is_paired_by_seed() -> None:
    found = rows(rnn=entries([0.8, 0.9, 1.0], "rnn"), gru=entries([0.85, 0.96, 1.04], "gru"))["gru"]
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(0.05)  # of 0.05, 0.06 and 0.04
    assert found.difference.low == pytest.approx(0.05 - T_OF_3 * 0.01 / math.sqrt(3))
    assert found.verdict == "better"
    assert rows(False, rnn=entries([0.8, 0.9, 1.0]), gru=entries([0.85, 0.96, 1.04]))["gru"].verdict == "worse"


def test_an_interval_that_holds_zero_shows_no_difference() -> None:
    found = rows(rnn=entries([0.8, 0.9, 1.0]), gru=entries([0.7, 1.0, 1.0]))["gru"]
    assert found.verdict == NO_DIFFERENCE == "no difference shown"


def test_equal_values_show_no_difference() -> None:
    found = rows(rnn=entries([0.8, 0.9]), gru=entries([0.8, 0.9]))["gru"]
    assert found.difference is not None and found.difference.p == 1.0
    assert found.verdict == NO_DIFFERENCE


def test_one_difference_in_every_seed_proves_nothing() -> None:
    found = rows(rnn=entries([0.5, 0.75]), gru=entries([0.75, 1.0]))["gru"]
    assert found.difference is not None and found.difference.mean == 0.25
    assert found.verdict == "alike in every seed: no test can be made"


def test_only_the_seeds_that_both_have_are_paired() -> None:
    found = rows(rnn=entries([0.8, 0.9, 1.0]), gru=entries([0.9, 0.5, 0.7], first_seed=2))["gru"]
    assert found.difference is not None
    assert (found.difference.count, found.difference.mean) == (1, pytest.approx(-0.1))
    assert found.verdict == ""
    assert found.notes == ("one seed in common with the first row: no difference can be shown",)
    assert rows(rnn=entries([0.8]), gru=entries([0.9], first_seed=5))["gru"].difference is None


def test_one_seed_has_no_interval_and_says_so() -> None:
    row = rows(lstm=entries([0.8]))["lstm"]
    assert row.notes == ("one seed: no interval",)
    content = row.to_dict()
    assert (content["mean"], content["low"], content["high"]) == (0.8, None, None)


def test_a_seed_without_a_number_takes_the_mean_away_and_is_counted() -> None:
    found = rows(rnn=entries([0.8, 0.9, 1.0]), lstm=entries([0.8, None, 1.0]))["lstm"]
    content = found.to_dict()
    assert content["values"] == [0.8, None, 1.0]
    assert content["mean"] is None and content["low"] is None
    assert content["difference"] == {"mean": None, "low": None, "high": None, "p": None, "pairs": 3}
    assert found.notes == ("1 of 3 seeds ended with no number (1), so there is no mean",)
    assert found.verdict == ""


def test_a_seed_that_failed_takes_the_mean_away_and_says_why() -> None:
    group = [Entry(training(seed=0, accuracy=0.8)), Entry(training(seed=1, error="the loss is not finite"))]
    found = rows(rnn=entries([0.8, 0.9]), lstm=group)["lstm"]
    assert math.isnan(found.interval.mean)
    assert found.notes == ("1 of 2 seeds failed (1): the loss is not finite",)
    alone = rows(lstm=[Entry(training(error="the loss is not finite"))])["lstm"]
    assert alone.notes == ("failed: the loss is not finite",)


def test_a_first_row_that_failed_leaves_the_others_their_means() -> None:
    found = rows(rnn=[Entry(training("rnn", error="no memory"))], lstm=entries([0.8]))["lstm"]
    assert found.interval.mean == 0.8
    assert found.difference is not None and math.isnan(found.difference.mean)


def test_a_plain_method_is_a_row_of_its_own_with_its_seconds() -> None:
    plain = {"baseline_linear_accuracy": 0.7, "baseline_linear_seconds": 0.5, "baseline_majority_loss": 1.0}
    found = rows(rnn=entries([0.8, 0.9], "rnn", result=plain), gru=entries([0.8, 0.9], "gru", result=plain))
    assert list(found) == ["rnn", "gru", "linear"]  # the majority has no accuracy here
    linear = found["linear"]
    assert (linear.kind, linear.values, linear.seconds) == ("plain", (0.7, 0.7), 0.5)
    assert linear.difference is not None and linear.difference.mean == pytest.approx(-0.15)


def test_costs_are_those_of_the_seeds_together() -> None:
    group = [
        Entry(training(seed=0, result={"training_seconds": 1.0}), 30.0, peak_memory_bytes=100.0),
        Entry(training(seed=1, result={"training_seconds": 4.0}), 10.0, peak_memory_bytes=300.0),
        Entry(training(seed=2, result={"training_seconds": 4.0}), 20.0, peak_memory_bytes=200.0),
    ]
    row = rows(lstm=group)["lstm"].to_dict()
    assert (row["training_seconds"], row["peak_memory_bytes"], row["step_microseconds"]) == (3.0, 300, 20.0)


def test_a_run_that_does_not_stream_has_an_empty_step_and_the_reason() -> None:
    row = rows(lstm=[Entry(training(seed=seed), no_step="both directions") for seed in (0, 1)])["lstm"].to_dict()
    assert row["step_microseconds"] is None
    assert row["notes"] == ["no step is timed: both directions"]
