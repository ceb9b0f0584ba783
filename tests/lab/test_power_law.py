"""The fit of a power law."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from recurra.lab.power_law import fit_power_law

GRID = list(itertools.product((1, 4, 16), (8, 32), (16, 64, 256)))
SIZES = {name: [float(point[index]) for point in GRID] for index, name in enumerate("BTH")}


def test_an_exact_law_gives_back_its_exponents_and_constant() -> None:
    values = [3e-6 * b * t**0.9 * h**1.75 for b, t, h in GRID]
    found = fit_power_law(SIZES, values)
    assert {name: one.mean for name, one in found.exponents.items()} == pytest.approx({"B": 1.0, "T": 0.9, "H": 1.75})
    assert found.constant == pytest.approx(3e-6)
    assert found.spread == pytest.approx(1)
    assert all(one.half < 1e-9 for one in found.exponents.values())
    assert found.at(B=2.0, T=10.0, H=100.0) == pytest.approx(3e-6 * 2 * 10**0.9 * 100**1.75)


def test_with_one_size_it_is_scipys_line_through_the_logarithms() -> None:
    sizes = [1.0, 2.0, 4.0, 8.0, 16.0]
    values = [1.0, 2.3, 3.9, 9.0, 15.0]
    line = stats.linregress(np.log(sizes), np.log(values))
    (found,) = fit_power_law({"H": sizes}, values).exponents.values()
    half = stats.t.ppf(0.975, 3) * line.stderr
    ends = (line.slope - half, line.slope + half)
    assert (found.mean, found.low, found.high) == pytest.approx((line.slope, *ends))
    assert found.count == 5


def test_the_intervals_hold_the_truth_in_19_of_20_noisy_measurements() -> None:
    source = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        values = [b * t * h**2 * np.exp(source.normal(0, 0.2)) for b, t, h in GRID]
        found = fit_power_law(SIZES, values).exponents["H"]
        held += found.low <= 2 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="3 measurements do not tell 3 numbers apart; vary each of B, H"):
        fit_power_law({"B": [1, 2, 3], "H": [1, 2, 5]}, [1, 2, 3])
    with pytest.raises(ValueError, match="vary each of B, H"):
        fit_power_law({"B": [1, 2, 4, 8], "H": [3, 3, 3, 3]}, [1, 2, 3, 4])
