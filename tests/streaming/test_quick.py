"""The native way of a session over numbers gives what the plain parts give, and they go on from each other's states."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra.engines.native import why_absent
from recurra.errors import InputError, SettingsError
from recurra.state import leaves
from recurra.streaming import Session
from recurra.tasks import Classify, ManyToOne, Regress
from recurra.tasks.streams import pipeline_of, session_of

from .tasks import drawn, numbers, predicted, series_task, text_task

MODELS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "gru, dilated": {"cell": "gru", "num_layers": 2, "dilation": (1, 3), "pooling": "mean"},
    "lstm, residual, every pooling": {
        "cell": "lstm",
        "num_layers": 3,
        "residual": True,
        "hidden_size": 19,
        "pooling": "last+mean+max+attention",
        "pool_inputs": True,
    },
}


@pytest.fixture(autouse=True)
def native() -> None:
    reason = why_absent()
    if reason is not None:
        pytest.skip(f"no native engine: {reason}")


def plain(task: ManyToOne, state: Any = None) -> Session:
    """A session of the three parts alone."""
    return Session(pipeline_of(task, "this model")._replace(quick=lambda: None), state)


@pytest.mark.parametrize("name", MODELS)
def test_each_way_goes_on_from_the_others_state(name: str, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(3, 2, (12, 2))
    for task in (series_task(**MODELS[name]), series_task(2, Regress, **MODELS[name])):
        one, other = session_of(task), plain(task)
        for t in range(8):
            answers = [session.step(x[t]) if t != 3 else session.push(x[3:6].tolist()) for session in (one, other)]
            assert numbers(answers[0]) == pytest.approx(numbers(answers[1]), abs=1e-5)
            for (path, a), (_, b) in zip(leaves(one.state), leaves(other.state), strict=True):
                assert a.shape == b.shape and a.dtype == b.dtype, path
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
            one.save(tmp_path / "one")
            other.save(tmp_path / "other")
            one, other = session_of(task, tmp_path / "other"), plain(task, tmp_path / "one")
        assert one._hold() is not None and other._hold() is None
        assert one.steps == other.steps == 10


def test_a_step_may_be_any_kind_of_numbers(tmp_path: Path) -> None:
    task = series_task(1, cell="gru")
    given = [2.0, 3, np.float32(1.5), np.array(4), np.array([5.0]), [6], torch.tensor([7.0]), (8.0,)]
    one, other = session_of(task), plain(task)
    for x in given:
        assert numbers(one.step(x)) == pytest.approx(numbers(other.step(x)), abs=1e-5)
    assert one._held is not None


def test_many_labels_and_several_labels_a_row_are_answered_as_predict_does() -> None:
    x = np.random.default_rng(0).normal(size=(40, 5, 2))
    many = drawn(Classify, {"input": list(x), "target": [f"label {i % 20}" for i in range(40)]})
    several = drawn(Classify, {"input": list(x), "target": [["a", "b"] if i % 2 else ["c"] for i in range(40)]})
    for task in (many, several):
        session = session_of(task)
        answer = [session.step(one) for one in x[0]][-1]
        expected = predicted(task, x[0])
        assert answer.label == expected.label
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_weights_written_or_exchanged_between_steps_are_seen() -> None:
    x = np.random.default_rng(1).normal(3, 2, (9, 2))
    task = series_task(cell="lstm", pooling="last+attention")
    one, other = session_of(task), plain(task)
    body = task.model.body
    cell = body.encoder.layers[0][0].cell

    def exchange() -> None:
        body.head.bias = torch.nn.Parameter(body.head.bias.detach() + 1)

    with torch.no_grad():
        changes = [lambda: cell.weight_hh.mul_(1.5), lambda: body.head.weight.neg_(), lambda: cell.bias_ih.add_(1)]
        for t, change in enumerate(changes):
            for session in (one, other):
                session.step(x[t])
            change()
            assert numbers(one.step(x[t])) == pytest.approx(numbers(other.step(x[t])), abs=1e-5)
    exchange()
    assert numbers(one.push(x[:1])) == pytest.approx(numbers(other.push(x[:1])), abs=1e-5)
    one.reset()
    other.reset()
    assert numbers(one.step(x[0])) == pytest.approx(numbers(other.step(x[0])), abs=1e-5)
    task.model.train()
    with pytest.raises(InputError, match=r"call eval\(\) first"):
        one.step(x[0])


def test_copies_share_no_memory() -> None:
    x = np.random.default_rng(1).normal(3, 2, (9, 2))
    session = session_of(series_task(cell="gru"))
    session.step(x[0])
    other, fork = copy.deepcopy(session), session.fork()
    kept = [leaf.clone() for _, leaf in leaves(session.state)]
    for t in range(5):
        other.step(-x[t])
        fork.step(-x[t])
    assert all(torch.equal(a, b) for a, (_, b) in zip(kept, leaves(session.state), strict=True))
    assert numbers(other.answer()) == numbers(fork.answer())


def test_a_model_that_only_the_parts_can_run_streams_all_the_same() -> None:
    for settings in ({"cell": "mingru"}, {"cell": "gru", "zoneout": 0.2}, {"cell": "lstm,transformer"}):
        session = session_of(series_task(**settings))
        session.step([1.0, 2.0])
        assert session._hold() is None and session.steps == 1


def test_weights_of_8_bits_answer_near_predict_however_the_input_is_cut(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(3, 2, (9, 2))
    task = series_task(cell="gru", num_layers=2, hidden_size=24)
    session = session_of(task, weights="int8")
    for one in x:
        answer = session.step(one)
    pushed = session_of(task, weights="int8")
    pushed.push(x[:4])
    pushed.save(tmp_path / "s")
    later = session_of(task, tmp_path / "s", weights="int8")
    assert numbers(later.push(x[4:])) == numbers(answer)
    assert numbers(answer) == pytest.approx(numbers(predicted(task, x)), abs=0.1)
    assert numbers(answer) != pytest.approx(numbers(predicted(task, x)), abs=1e-6)
    for other in (series_task(cell="mingru"), text_task("word")):
        with pytest.raises(SettingsError, match="this model, stream: weights 'int8' cannot be had"):
            session_of(other, weights="int8")
    with pytest.raises(SettingsError, match="weights: 'int9' is not known"):
        session_of(task, weights="int9")  # type: ignore[arg-type]
