"""How often the decoder is told the truth, over the training."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.settings.names import ForcingSchedule
from recurra.tasks.teacher_forcing import forcing_ratio


def test_a_constant_is_the_same_at_every_step() -> None:
    assert {forcing_ratio("constant", step, 10, 0.5) for step in range(12)} == {0.5}


def test_a_line_falls_by_equal_steps() -> None:
    assert [forcing_ratio("linear", step, 4, 0.2) for step in range(6)] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0.2])


@pytest.mark.parametrize("total", [10, 1000, 50_000])
def test_the_inverse_sigmoid_is_that_of_the_paper_with_its_middle_in_the_middle(total: int) -> None:
    assert forcing_ratio("inverse_sigmoid", total // 2, total, 0.0) == pytest.approx(0.5)
    low, high = 1.0, float(total)
    for _ in range(200):  # k ln k = total / 2 by halving
        k = (low + high) / 2
        low, high = (k, high) if k * math.log(k) < total / 2 else (low, k)
    for step in (0, total // 10, total):
        assert forcing_ratio("inverse_sigmoid", step, total, 0.0) == pytest.approx(k / (k + math.exp(step / k)))
    assert forcing_ratio("inverse_sigmoid", total // 2, total, 0.4) == pytest.approx(0.7)


@given(
    schedule=st.sampled_from(["constant", "linear", "inverse_sigmoid"]),
    total=st.integers(0, 10**7),
    last=st.floats(0, 1),
    steps=st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)),
)
def test_a_ratio_never_rises_and_stays_between_last_and_one(
    schedule: ForcingSchedule, total: int, last: float, steps: tuple[int, int]
) -> None:
    early, late = (forcing_ratio(schedule, step, total, last) for step in sorted(steps))
    assert last - 1e-12 <= late <= early <= 1
