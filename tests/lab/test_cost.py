"""The experiment on cost."""

from __future__ import annotations

import re

from recurra.lab.cost import GATES, CostSizes, Point, beside, law, measure_bytes, sentence
from recurra.lab.verdict import ratio
from recurra.report.page import SAMPLE_LENGTH
from recurra.statistics import Interval

SIZES = CostSizes((1, 4), (2, 8), (8, 16, 64, 128), small=16)


def found(overhead: float) -> dict[Point, float]:
    """The taught law, and so much a step besides; a pattern of a thousandth stands for noise."""
    return {p: (p.B * p.T * p.H**2 + overhead * p.T) * (1.001 if sum(p) % 3 else 1.0) for p in SIZES.points()}


def say(overhead: float, factor: float) -> str:
    points = SIZES.points()
    ranges = {"all": points, "H ≤ 16": [p for p in points if p.H <= 16], "H > 16": [p for p in points if p.H > 16]}
    times = found(overhead)
    laws = {("lstm", "training", name): law(times, chosen) for name, chosen in ranges.items()}
    memory = {("lstm", "training"): law({p: p.B * p.T * p.H * 4.0 for p in points}, points)}
    pairs = [(1.0 + p.H / 1e4, factor * (1 + p.T / 1e3)) for p in points]
    ratios = {(cell, "rnn", "training", "H > 16"): ratio(*zip(*pairs, strict=True)) for cell in ("lstm", "gru")}
    return sentence(laws, memory, ratios, SIZES)  # type: ignore[arg-type]


def test_where_the_taught_law_holds_the_sentence_says_so() -> None:
    said = say(0.0, 4.0)
    assert said == (
        "Training an lstm, the exponent of H in time is as taught up to 16 and as taught above (taught: 2), there of B "
        "as taught and T as taught (1); over an rnn's time an lstm's is as taught (4), a gru's 4.0 (3); memory's "
        "exponents: as taught."
    )
    assert len(said) <= SAMPLE_LENGTH, "the page would cut it"


def test_a_cost_a_step_lowers_the_exponent_of_small_sizes() -> None:
    said = say(4_000.0, 2.0)
    assert re.search(r"in time is 0\.\d\d up to 16 and 1\.\d\d above \(taught: 2\)", said), said
    assert "an lstm's is 2.0 (4), a gru's 2.0 (3)" in said


def test_an_exponent_whose_interval_holds_the_taught_one_is_as_taught() -> None:
    assert beside(Interval(1.9, 1.7, 2.1, 9), 2.0) == "as taught"
    assert beside(Interval(1.2, 1.1, 1.3, 9), 2.0) == "1.20"
    assert beside(Interval(0.98, 0.97, 0.99, 9), 1.0) == "as taught", "what is sure may be too small to matter"


def test_memory_of_training_is_so_many_numbers_a_step_and_unit() -> None:
    """An Elman layer reads x and tanh keeps h; torch's kernel keeps no more, and one state before the first step."""
    held = measure_bytes(0, CostSizes((2,), (4, 8), (4,)))
    for point, kept in held["rnn", "training"].items():
        assert kept == 4 * point.B * point.H * (2 * point.T + 1)
    for cell in GATES:
        short, long = held[cell, "training"].values()
        assert short < long <= 2 * short
        assert all(kept > 0 for kept in held[cell, "inference"].values())
