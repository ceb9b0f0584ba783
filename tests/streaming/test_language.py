"""A language model live: what follows the text so far, however it came; draws go on wherever it is taken up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.symbols import fit_symbols
from recurra.errors import DataError, ShapeError, StateError
from recurra.settings.structure import from_keywords
from recurra.streaming import Session
from recurra.tasks import Model
from recurra.tasks.language_stream import language_session

TEXT = "It's the cats' ΑΣ 1,0.5 rest\nthey'll re-made, été 😀 你好。 cats rest "
UNITS = ("char", "byte", "word", "bpe")


def task(unit: str, lowercase: bool = False, weights: int = 0) -> Model:
    """A language model with weights drawn at random."""
    size = 290 if unit == "bpe" else 1000
    symbols = fit_symbols([TEXT * 4], unit, vocabulary_size=size, min_count=None, lowercase=lowercase)
    settings = from_keywords("model", hidden_size=9, embedding_size=6, num_layers=2, unit=unit)
    made = Model(settings, symbols)
    generator = torch.Generator().manual_seed(weights)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    made.model.eval()
    return made


def agree(model: Model, session: Session, text: str, answer: Any) -> None:
    expected = model.continuation(text).next
    for one in (answer, session.answer()):
        assert one.next == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("unit", "lowercase"), [(unit, case) for unit in UNITS for case in (False, True) if (unit, case) != ("byte", True)]
)
def test_a_text_in_any_two_pieces_is_followed_and_drawn_from_as_the_whole(unit: str, lowercase: bool) -> None:
    model = task(unit, lowercase)
    session = language_session(model, seed=3)
    agree(model, session, "", session.push(""))
    drawn = language_session(model, seed=3).push(TEXT).drawn
    for cut in range(0, len(TEXT) + 1, 3):
        session.reset()
        agree(model, session, TEXT[:cut], session.push(TEXT[:cut]))
        answer = session.push(TEXT[cut:])
        agree(model, session, TEXT, answer)
        assert answer.drawn == session.answer().drawn == drawn


@pytest.mark.parametrize("unit", UNITS)
def test_bytes_may_be_cut_inside_a_character_and_symbols_come_one_by_one(unit: str) -> None:
    model, content = task(unit), TEXT.encode()
    session, whole = language_session(model, seed=3), language_session(model, seed=3).push(TEXT)
    for index in range(len(content)):
        answer = session.push(content[index : index + 1])
    agree(model, session, TEXT, answer)
    session.reset()
    for symbol in model.symbols.encode(TEXT).tolist():
        answer = session.step(model.symbols.names[symbol])
    assert answer.next == pytest.approx(whole.next, abs=1e-5) and answer.drawn == whole.drawn
    assert session.steps == len(model.symbols.encode(TEXT))


def test_a_symbol_ends_the_word_before_it_and_draws_count_both() -> None:
    model = task("word")
    one, other = language_session(model), language_session(model)
    one.push("the cats'")  # the last word may go on
    assert one.steps == 1
    for word in ("the", "cats'"):
        other.step(word)
    assert one.step("rest").drawn == other.step("rest").drawn and one.steps == other.steps == 3
    assert one.state.decoding == other.state.decoding


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_drawn_goes_on_to_the_bit_where_it_is_taken_up(unit: str, tmp_path: Path) -> None:
    def drawn(session: Session, answer: Any, count: int) -> list[Any]:
        made = []
        for _ in range(count):
            answer = session.step(answer.drawn)
            made.append(answer)
        return made

    session = language_session(task(unit), seed=3)
    start = drawn(session, session.push("It's the c"), 8)
    session.save(tmp_path / "s")
    rest = drawn(session, start[-1], 20)
    again = language_session(task(unit), tmp_path / "s", seed=99)  # the seed is the state's
    assert drawn(again, start[-1], 20) == rest
    other = language_session(task(unit), seed=4)
    assert [one.drawn for one in drawn(other, other.push("It's the c"), 28)] != [one.drawn for one in start + rest]


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    session = language_session(task("char"))
    session.push("It's")
    session.save(tmp_path / "s")
    with pytest.raises(StateError, match=r"holds a state of the weights .*runs/b are"):
        language_session(task("char", weights=1), tmp_path / "s", "runs/b")
    with pytest.raises(StateError, match=r"logits is float32 \[\*, \d+\], expected float32"):
        language_session(task("byte"), tmp_path / "s")
    with pytest.raises(ShapeError, match=r"logits has shape"):
        language_session(task("byte"), session.state)


@pytest.mark.parametrize(
    ("call", "given", "message"),
    [
        ("step", "two symbols", "is 11 symbols, and one is expected"),
        ("step", 3, "takes one symbol as str, and this is int"),
        ("push", 3, "takes a piece of text as str or bytes, and this is int"),
    ],
)
def test_what_is_no_text_is_refused_and_the_session_goes_on(call: str, given: Any, message: str) -> None:
    model = task("char")
    session = language_session(model)
    session.push("It")
    with pytest.raises(DataError, match=message):
        getattr(session, call)(given)
    agree(model, session, "It's", session.push("'s"))
