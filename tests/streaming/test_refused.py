"""What a stream refuses, in a sentence, and then goes on as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.vocabulary import Vocabulary
from recurra.errors import DataError, InputError, NotStreamable, ShapeError, StateError
from recurra.streaming.tail import HELD, ByteTail
from recurra.streaming.text import TextStreamState
from recurra.tasks import ManyToOne
from recurra.tasks.streams import session_of, stream_digest

from .tasks import numbers, predicted, series_task, text_task


@pytest.mark.parametrize(
    ("call", "given", "message"),
    [
        ("step", [1.0, 2.0, 3.0], "has 3 numbers a step, and in training it had 2"),
        ("step", 1.0, "has 1 number a step, and in training it had 2"),
        ("step", [[1.0, 2.0]], "a list of numbers or of vectors is expected"),
        ("step", [1.0, float("nan")], "nan is no finite number"),
        ("step", [1.0, 1e300], "too far from the training data"),
        ("step", ["1", "2"], "a number is expected"),
        ("step", "12", "a number is expected"),
        ("step", None, "is missing|is NoneType|a number is expected"),
        ("step", [True, False], "is bool"),
        ("push", [[1.0, 2.0], [1.0]], "step 2 has 1 number"),
        ("push", [[1.0, 2.0, 3.0]], "has 3 numbers a step, and in training it had 2"),
        ("push", [[1.0, 2.0], [1.0, float("inf")]], "step 2, feature 2: inf"),
        ("push", "text", "a list of numbers or of vectors is expected"),
    ],
)
def test_a_series_refuses_what_is_no_step_of_it(call: str, given: Any, message: str) -> None:
    task = series_task()
    session = session_of(task)
    session.push([[1.0, 2.0]])
    state = session.state
    with pytest.raises(DataError, match=message):
        getattr(session, call)(given)
    assert session.state is state
    session.step([3, 4])
    assert numbers(session.answer()) == pytest.approx(numbers(predicted(task, [[1, 2], [3, 4]])), abs=1e-5)


@pytest.mark.parametrize(
    ("unit", "call", "given", "message"),
    [
        ("word", "step", "two words", "'two words' is not one word; push takes pieces"),
        ("word", "step", " ", "is not one word"),
        ("word", "step", 3, "takes one token of a text, and this is int"),
        ("char", "step", "ab", "'ab' is not one character"),
        ("char", "step", "", "is not one character"),
        ("bpe", "step", "not a token", "is no token of this run's BPE"),
        ("word", "push", ["a"], "as str or bytes, and this is list"),
        ("word", "push", b"ab\xff", "byte 3 of this piece is no UTF-8"),
        ("word", "push", "x" * (HELD + 1), f"{HELD + 2} bytes of text have come without the end of a word"),
    ],
)
def test_a_text_refuses_what_is_no_piece_of_it(unit: str, call: str, given: Any, message: str) -> None:
    task = text_task(unit)
    session = session_of(task)
    session.push("a")
    state = session.state
    with pytest.raises(DataError, match=message):
        getattr(session, call)(given)
    assert session.state is state
    session.push(" rest")
    assert numbers(session.answer()) == pytest.approx(numbers(predicted(task, "a rest")), abs=1e-5)


def test_what_follows_a_torn_character_is_its_other_bytes() -> None:
    session = session_of(text_task("word"))
    session.push("é".encode()[:1])
    for call in (session.push, session.step):
        with pytest.raises(DataError, match="end inside a character"):
            call("a")
    with pytest.raises(DataError, match="byte 1 of this piece is no UTF-8"):
        session.push(b"a")
    session.push("é".encode()[1:])
    session.push("a")


def test_a_model_that_reads_both_ways_is_refused_with_the_layer_and_the_mend() -> None:
    with pytest.raises(NotStreamable, match=r"layers\.0.*bidirectional.*train with bidirectional=False to stream"):
        session_of(text_task("word", bidirectional=True))


def test_single_vectors_have_no_time() -> None:
    task = series_task()
    task.features = replace(task.features, vector=True)
    with pytest.raises(NotStreamable, match=r"reads single vectors.*use predict for each, or train on series"):
        session_of(task)


def test_a_model_in_training_is_refused_at_the_first_call_and_at_any_later_one() -> None:
    task = series_task()
    session = session_of(task)
    task.model.train()
    for call in (lambda: session_of(task), lambda: session.step([1, 2]), lambda: session.push([]), session.answer):
        with pytest.raises(InputError, match=r"training mode; call eval\(\) first"):
            call()
    task.model.eval()
    session.step([1, 2])


def saved(task: ManyToOne, path: Path) -> Path:
    session = session_of(task, name="runs/first")
    session.push("a rest " if task.features.kind == "text" else [[1.0, 2.0]])
    session.save(path)
    return path


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    path = saved(series_task(), tmp_path / "s")
    for task, message in (
        (series_task(cell="gru"), r"encoder\.layers\.0 is LSTMState\(hidden, cell\), expected GRUState\(hidden\)"),
        (series_task(num_layers=2), r"encoder\.layers is 1 parts, expected 2 parts"),
        (series_task(hidden_size=6), r"hidden is float32 \[\*, 5\], expected float32 \[\*, 6\]"),
        (series_task(pooling="mean"), r"pooling is LastState\(last, steps\), expected MeanState\(total, steps\)"),
        (text_task("word"), r"preprocessing is 0 parts, expected TextStreamState"),
    ):
        with pytest.raises(StateError, match=f"{path}: state.*{message}.*from another model"):
            session_of(task, path)
        with pytest.raises(ShapeError, match="state"):
            session_of(task, session_of(series_task(), path).state)


def test_a_state_of_other_weights_or_another_vocabulary_is_refused_by_both_names(tmp_path: Path) -> None:
    task = text_task("word")
    path = saved(task, tmp_path / "s")
    digest = stream_digest(task)
    session_of(text_task("word"), path)  # the same weights, loaded anew
    other = text_task("word", seed=1)
    with pytest.raises(StateError, match=f"{path} holds a state of the weights {digest[:12]}.*runs/other are .*"):
        session_of(other, path, "runs/other")
    words = task.features.vocabulary.tokens
    task.features = replace(task.features, vocabulary=Vocabulary((*words[:2], words[3], words[2], *words[4:])))
    with pytest.raises(StateError, match="holds a state of the weights"):
        session_of(task, path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    task = text_task("word")
    path = saved(task, tmp_path / "s")
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for length in (0, 7, 8, header - 1, header, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(StateError, match="is damaged"):
            session_of(task, path)
    for index in (0, 20, header - 30, header, header + 2000, len(content) - 1):
        path.write_bytes(content[:index] + bytes([content[index] ^ 4]) + content[index + 1 :])
        with pytest.raises(StateError):
            session_of(task, path)


def test_a_state_made_by_hand_that_holds_no_text_is_refused() -> None:
    task = text_task("word")
    session = session_of(task)
    held = torch.full((1, HELD), 255, dtype=torch.uint8)
    one = torch.ones(1, dtype=torch.int64)
    for length in (one, -one, 5000 * one):
        tail = TextStreamState(ByteTail(held, length), 0 * one, one)
        other = session_of(task, session.state._replace(preprocessing=tail))
        with pytest.raises(StateError, match="the state's text is"):
            other.push("a")
