"""However the input is cut, every answer is that of the whole input so far."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from recurra.cells import CELLS
from recurra.state import leaves
from recurra.streaming import Session
from recurra.tasks import ManyToOne, Regress
from recurra.tasks.streams import session_of

from .tasks import numbers, predicted, series_task, text_task

TEXT = "It's they'll ΑΣ'  ΑΣ re-made, 1,0.5 x😀\n你好。ok?! e\u0301t ΣΑΣ"
UNITS: dict[str, dict[str, Any]] = {
    "word": {"unit": "word"},
    "word with n-grams": {"unit": "word", "char_ngrams": True, "pool_inputs": True, "pooling": "mean+max"},
    "word as it is written": {"unit": "word", "lowercase": False},
    "char": {"unit": "char"},
    "char as it is written": {"unit": "char", "lowercase": False},
    "bpe": {"unit": "bpe"},
    "bpe as it is written": {"unit": "bpe", "lowercase": False, "cell": "gru"},
}
MODELS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "lstm, layers": {"cell": "lstm", "num_layers": 3, "residual": True, "dropout": 0.3, "pooling": "attention"},
    "gru, zoneout": {"cell": "gru", "zoneout": 0.2, "recurrent_dropout": 0.2, "pooling": "mean"},
    "every pooling": {"pooling": "last+mean+max+attention", "pool_inputs": True, "weight_dropout": 0.2},
    "feedforward": {"cell": "feedforward", "pooling": "max"},
}


def agree(session: Session, task: ManyToOne, whole: Any, answer: Any = None) -> None:
    """The session's answer, and the one it gave, are those of `predict` on the whole."""
    expected = numbers(predicted(task, whole))
    for one in (session.answer(), *([] if answer is None else [answer])):
        assert numbers(one) == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def text_tasks() -> dict[str, ManyToOne]:
    return {name: text_task(**settings) for name, settings in UNITS.items()}


@pytest.mark.parametrize("name", UNITS)
def test_a_text_in_any_two_pieces_is_the_whole_text(name: str, text_tasks: dict[str, ManyToOne]) -> None:
    task = text_tasks[name]
    session = session_of(task)
    agree(session, task, "")
    for cut in range(len(TEXT) + 1):
        session.reset()
        agree(session, task, TEXT[:cut], session.push(TEXT[:cut]))
        agree(session, task, TEXT, session.push(TEXT[cut:]))


@pytest.mark.parametrize("name", UNITS)
def test_a_text_in_many_pieces_answers_for_what_has_come(name: str, text_tasks: dict[str, ManyToOne]) -> None:
    task, draw = text_tasks[name], random.Random(0)
    for _ in range(4):
        session, at = session_of(task), 0
        while at < len(TEXT):
            piece = TEXT[at : at + draw.randint(0, 5)]
            at += len(piece)
            agree(session, task, TEXT[:at], session.push(piece))


@pytest.mark.parametrize("name", UNITS)
def test_bytes_may_be_cut_inside_a_character(name: str, text_tasks: dict[str, ManyToOne]) -> None:
    task, content = text_tasks[name], TEXT.encode()
    session = session_of(task)
    for index in range(len(content)):
        answer = session.push(content[index : index + 1])
        if index % 7 == 0:
            agree(session, task, content[: index + 1].decode(errors="ignore"), answer)
    agree(session, task, TEXT)


@pytest.mark.parametrize("name", UNITS)
def test_the_tokens_one_by_one_are_the_text(name: str, text_tasks: dict[str, ManyToOne]) -> None:
    task = text_tasks[name]
    session = session_of(task)
    tokens = task.features.tokenizer.tokenize(TEXT)
    for token in tokens:
        answer = session.step(token)
    agree(session, task, TEXT, answer)
    assert session.steps == len(tokens)


def test_a_token_ends_the_text_before_it() -> None:
    task = text_task("word")
    session = session_of(task)
    session.push("a well")
    assert session.steps == 1
    agree(session, task, "a well made", session.step("Made"))
    agree(session, task, "a well made rest", session.push("rest"))
    assert session.steps == 3


@pytest.mark.parametrize("name", MODELS)
def test_series_by_steps_and_chunks_answer_for_what_has_come(name: str) -> None:
    for task in (series_task(**MODELS[name]), series_task(1, Regress, **MODELS[name])):
        width = task.features.input_size
        x = np.random.default_rng(1).normal(3, 2, (6, width))
        session = session_of(task)
        agree(session, task, [])
        for t in range(2):
            agree(session, task, x[: t + 1], session.step(x[t] if width > 1 else float(x[t, 0])))
        agree(session, task, x[:2], session.push([]))
        agree(session, task, x[:5], session.push(x[2:5].tolist()))
        agree(session, task, x, session.step(torch.from_numpy(x[5])))
        assert session.steps == 6


@pytest.mark.parametrize("name", MODELS)
def test_texts_stream_through_every_model(name: str) -> None:
    task = text_task("word", **MODELS[name])
    session = session_of(task)
    for cut in range(0, len(TEXT), 9):
        agree(session, task, TEXT[: cut + 9], session.push(TEXT[cut : cut + 9]))


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_streams(cell: str) -> None:
    task = series_task(cell=cell, num_layers=2, pooling="last+mean")
    x = np.random.default_rng(1).normal(3, 2, (9, 2))
    session = session_of(task)
    for t in range(3):
        agree(session, task, x[: t + 1], session.step(x[t]))
    agree(session, task, x, session.push(x[3:]))


def test_a_stream_goes_on_where_predict_would_cut() -> None:
    short, long = series_task(max_length=3), series_task(max_length=100)
    x = np.random.default_rng(1).normal(3, 2, (30, 2))
    session = session_of(short)
    agree(session, long, x, session.push(x))
    assert numbers(session.answer()) != pytest.approx(numbers(predicted(short, x)), abs=1e-5)


def test_forks_and_sessions_of_one_model_go_their_own_ways() -> None:
    task = series_task(cell="lstm", num_layers=2, pooling="last+attention")
    names = {key: sorted(one.__dict__) for key, one in task.model.named_modules()}
    weights = {key: value.clone() for key, value in task.model.state_dict().items()}
    x = np.random.default_rng(1).normal(3, 2, (8, 2))
    first, second = session_of(task), session_of(task)
    first.push(x[:3])
    kept = [leaf.clone() for _, leaf in leaves(first.state)]
    fork = first.fork()
    for t in range(5):  # in turns
        fork.step(-x[t])
        second.step(x[7 - t])
    assert all(torch.equal(a, b) for a, (_, b) in zip(kept, leaves(first.state), strict=True))
    agree(first, task, x[:3])
    agree(fork, task, np.concatenate([x[:3], -x[:5]]))
    agree(second, task, x[:2:-1])
    first.reset()
    agree(first, task, [])
    agree(first, task, x, first.push(x))
    assert names == {key: sorted(one.__dict__) for key, one in task.model.named_modules()}
    assert all(torch.equal(weights[key], value) for key, value in task.model.state_dict().items())


def test_the_state_keeps_its_shapes_and_holds_no_chunk_alive() -> None:
    for task, pieces in (
        (series_task(pooling="last+mean", num_layers=2), [np.ones((500, 2)), np.ones((1, 2)), np.ones((7, 2))]),
        (text_task("word"), ["a " * 500 + "b", "", "x" * 3000]),
    ):
        session = session_of(task)
        before = [(name, leaf.shape, leaf.dtype) for name, leaf in leaves(session.state)]
        for piece in pieces:
            session.push(piece)
            assert before == [(name, leaf.shape, leaf.dtype) for name, leaf in leaves(session.state)]
            for name, leaf in leaves(session.state.model):
                assert leaf.untyped_storage().nbytes() == leaf.numel() * leaf.element_size(), name
