import math

import pytest

from recurra.training.schedule import Plateau, rate_factor


def test_a_constant_rate_stays_at_its_highest():
    assert [rate_factor("constant", step, 10) for step in (0, 5, 9, 12)] == [1, 1, 1, 1]


def test_the_rate_rises_in_equal_steps_over_the_warm_up_under_every_schedule():
    for schedule in ("constant", "cosine", "plateau"):
        assert [rate_factor(schedule, step, 100, warmup_steps=4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
        assert rate_factor(schedule, 4, 100, warmup_steps=4) == 1.0


def test_a_cosine_starts_at_one_is_half_in_the_middle_and_ends_at_zero():
    assert rate_factor("cosine", 0, 8) == 1.0
    assert rate_factor("cosine", 2, 8) == pytest.approx(0.5 * (1 + math.sqrt(0.5)))
    assert rate_factor("cosine", 4, 8) == pytest.approx(0.5)
    assert rate_factor("cosine", 8, 8) == pytest.approx(0.0)
    assert rate_factor("cosine", 9, 8) == pytest.approx(0.0)


def test_a_cosine_counts_from_the_end_of_the_warm_up():
    assert rate_factor("cosine", 6, 10, warmup_steps=2) == pytest.approx(0.5)


def test_a_cosine_follows_the_time_where_the_time_is_ahead_of_the_steps():
    assert rate_factor("cosine", 1, 100, time_fraction=0.5) == pytest.approx(0.5)
    assert rate_factor("cosine", 50, 100, time_fraction=0.1) == pytest.approx(0.5)


def test_a_warm_up_longer_than_the_training_is_allowed():
    assert rate_factor("cosine", 5, 5, warmup_steps=10) == pytest.approx(0.6)
    assert rate_factor("cosine", 10, 5, warmup_steps=10) == 1.0


def test_a_plateau_is_cut_by_half_after_two_evaluations_without_improvement():
    plateau, factors = Plateau(), []
    for improved in (True, False, True, False, False, False, False, False):
        plateau = plateau.after(improved)
        factors.append(plateau.factor)
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rate_factor("plateau", 7, 10, plateau=plateau.factor) == 0.25
