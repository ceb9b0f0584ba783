"""Verdicts in words."""

from __future__ import annotations

import math

import pytest

from recurra.lab.verdict import geometric, ratio, short, span, times


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.6e-13, "1.6e-13"), (0.577, "0.58"), (0.0123, "0.012"), (0.00099, "9.9e-04"), (1.42, "1.4"), (44.7, "45"),
        (449.0, "450"), (9876.0, "9900"), (12345.0, "1.2e+04"), (0.0, "0"), (-0.5, "-0.50"), (1.0, "1.0"),
        (math.nan, "nan"),
    ],
)  # fmt: skip
def test_two_digits_of_a_number(value: float, text: str) -> None:
    assert short(value) == text


def test_a_ratio_that_every_pair_shows_is_told_with_its_interval() -> None:
    found = ratio([1.0, 2.0, 4.0], [99.0, 200.0, 404.0])
    assert found.differs
    assert times(found) == "×100"
    low, high = (float(end) for end in span(found).split(" to "))
    assert 90 < low < 100 <= high < 110


def test_a_ratio_that_goes_both_ways_is_no_difference_found() -> None:
    found = ratio([1.0, 2.0, 4.0], [2.0, 1.9, 2.0])
    assert times(found) == "no difference found"


def test_what_has_no_logarithm_cannot_be_said() -> None:
    found = ratio([1.0, 2.0], [0.0, 1.0])
    assert (times(found), span(found)) == ("not to be said", "")
    assert times(ratio([1.0], [2.0])) == "not to be said"  # one seed has no interval


def test_the_geometric_mean_lies_in_its_interval() -> None:
    found = geometric([1e-4, 1e-6])
    assert (found.mean, found.count) == (pytest.approx(1e-5), 2)
    assert found.low < found.mean < found.high
    assert found.low * found.high == pytest.approx(found.mean**2)
