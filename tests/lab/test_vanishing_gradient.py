"""The experiment on the gradient: its sentence follows the measurement."""

from __future__ import annotations

from recurra.lab.gradient import Clipped
from recurra.lab.vanishing_gradient import PAIRS, GradientSizes, measure_gradients, sentence
from recurra.lab.verdict import ratio, short
from recurra.report.page import SAMPLE_LENGTH
from recurra.statistics import Paired

TINY = GradientSizes(
    steps=12, input_size=2, hidden_size=4, batch_size=2, seeds=3, distances=(1, 11), far=11, fit_from=2
)
SAME, MORE = ratio([1, 2, 3], [2, 1.5, 2]), ratio([1, 2, 3], [10.0, 20.2, 30.0])
FAR = {"rnn": 1.6e-13}


def both(found: Paired, **others: Paired) -> dict[str, dict[tuple[str, str], Paired]]:
    """The same ratio of all pairs, whatever they began with; of the last pair perhaps another."""
    pairs = {**dict.fromkeys(PAIRS, found), PAIRS[-1]: others.get("last", found)}
    return {"torch": pairs, "orthogonal": pairs}


def clipped(after: float) -> dict[tuple[str, str], list[Clipped]]:
    kept = Clipped(2.0, 0.2, 1.0, 1e-3, 1e-3)
    return {("rnn", "norm"): [kept, kept._replace(far_after=after)], ("rnn", "value"): [kept._replace(far_after=1.0)]}


def test_the_sentence_says_what_was_measured() -> None:
    said = sentence(FAR, both(MORE), clipped(1e-3), 49)  # type: ignore[arg-type]
    assert said.startswith(
        "Over 49 steps the gradient of a plain rnn is 1.6e-13; a gru's gates ×10 (begun orthogonal ×10)"
    )
    assert said.endswith("residual connections ×10; dilation ×10; clipping by norm leaves the share of far steps.")


def test_another_measurement_gives_another_sentence() -> None:
    said = sentence(FAR, both(SAME, last=MORE), clipped(1.1e-3), 49)  # type: ignore[arg-type]
    assert said.count("no difference found") == 7
    assert "dilation ×10; clipping by norm changes by up to 10 % the share of far steps." in said
    assert len(said) <= SAMPLE_LENGTH, "the page would cut it"


def test_a_small_experiment_gives_tables_a_picture_and_numbers() -> None:
    told: list[str] = []
    finding = measure_gradients(0, told.append, TINY)
    assert finding == measure_gradients(0, sizes=TINY), "the seed decides everything"
    assert finding.sentence != measure_gradients(1, sizes=TINY).sentence
    assert len(told) == 16
    begun_torch = finding.tables[0]
    assert [row[0] for row in begun_torch.rows][:3] == ["rnn", "gru", "lstm, forget bias 0"]
    gradients = finding.numbers["gradients"]["torch"]
    assert all(len(values) == 12 for values in gradients.values())
    assert f"a plain rnn is {short(gradients['rnn'][11])};" in finding.sentence
    assert [len(panel.lines) for panel in finding.drawings[0].panels] == [8, 8]
    (by_norm, by_value) = (next(r for r in finding.tables[3].rows if r[:2] == ["rnn", by]) for by in ("norm", "value"))
    assert by_norm[4] == "1.000000"
    assert float(str(by_value[4])) < 0.99
