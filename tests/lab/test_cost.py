"""The experiment on cost."""

from __future__ import annotations

from recurra.lab.cost import GATES, CostSizes, Point, beside, law, measure_bytes, sentence
from recurra.lab.verdict import ratio
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
    ratios = {(cell, "training"): ratio(*zip(*pairs, strict=True)) for cell in ("lstm", "gru")}
    return sentence(laws, memory, ratios, SIZES)  # type: ignore[arg-type]


def test_where_the_taught_law_holds_the_sentence_says_so() -> None:
    said = say(0.0, 4.0)
    assert "with H as taught up to 16 and as taught above" in said
    assert "lstm as taught (4 is taught), gru 4.0 (3 is taught)" in said
    assert said.endswith("memory with B as taught, T as taught, H as taught.")
    assert len(said) <= 300, "the page would cut it"


def test_a_cost_a_step_lowers_the_exponent_of_small_sizes() -> None:
    said = say(20_000.0, 2.0)
    assert "(2 is taught) up to 16" in said
    assert "lstm 2.0 (4 is taught)" in said


def test_an_exponent_whose_interval_holds_the_taught_one_is_as_taught() -> None:
    assert beside(Interval(1.9, 1.7, 2.1, 9), 2.0) == "as taught"
    assert beside(Interval(1.2, 1.1, 1.3, 9), 2.0) == "1.20 (2 is taught)"


def test_memory_of_training_grows_with_the_steps() -> None:
    held = measure_bytes(0, CostSizes((2,), (4, 8), (4,)))
    for cell in GATES:
        short, long = held[cell, "training"].values()
        assert 1.5 < long / short <= 2.0
        assert held[cell, "inference"][Point(2, 4, 4)] > 0
