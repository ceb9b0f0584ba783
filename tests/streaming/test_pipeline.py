"""A session knows no task: context of a convolution, symbols and chance stream through the same three parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from recurra.nn import Recurrent
from recurra.randomness import seed_of
from recurra.sequence import Sequence
from recurra.streaming import Pipeline, Session

SYMBOLS = "abcdefg "


class ConvolvedState(NamedTuple):
    """context [B, 2, D]: the last inputs; recurrent: the layer's; last [B, V]: the logits after the last step"""

    context: Tensor
    recurrent: Any
    last: Tensor


class Chance(NamedTuple):
    """seed [B], counter [B] int64"""

    seed: Tensor
    counter: Tensor


class Letters:
    """Text → one-hot symbols; nothing is held back."""

    def initial_state(self) -> tuple[()]:
        return ()

    def step(self, x: str, state: Any) -> tuple[Tensor, Any]:
        return nn.functional.one_hot(torch.tensor([SYMBOLS.index(x)]), len(SYMBOLS)).float(), state

    def run(self, chunk: str, state: Any) -> tuple[Sequence | None, Any]:
        if not chunk:
            return None, state
        values = torch.stack([self.step(one, state)[0] for one in chunk], 1)
        return Sequence(values, torch.tensor([len(chunk)])), state

    def rest(self, state: Any) -> tuple[None, Any]:
        return None, state


class Convolved:
    """A causal convolution of three steps, a GRU, logits of the next symbol."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.convolution = nn.Conv1d(len(SYMBOLS), 6, 3)
        self.layer, self.head = Recurrent("gru", 6, 10), nn.Linear(10, len(SYMBOLS))

    def check(self) -> None:
        self.layer.check_streamable()

    def initial_state(self, batch_size: int) -> ConvolvedState:
        zeros = torch.zeros(batch_size, 2, len(SYMBOLS))
        return ConvolvedState(zeros, self.layer.initial_state(batch_size), zeros[:, 0])

    def step(self, values: Tensor, state: ConvolvedState) -> tuple[Tensor, ConvolvedState]:
        logits, state = self.run(Sequence(values[:, None], torch.tensor([1])), state)
        return logits, state

    def run(self, x: Sequence | None, state: ConvolvedState) -> tuple[Tensor, ConvolvedState]:
        if x is None:
            return state.last, state
        values = torch.cat([state.context, x.values], 1)
        outputs, recurrent = self.layer(self.convolution(values.mT).mT, state.recurrent)
        logits = self.head(outputs[:, -1])
        return logits, ConvolvedState(values[:, -2:], recurrent, logits)


class Drawn:
    """The probabilities of the next symbol, and one drawn by (seed, counter)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def initial_state(self) -> Chance:
        return Chance(torch.tensor([self.seed]), torch.tensor([0]))

    def step(self, outputs: Tensor, state: Chance) -> tuple[Any, Chance]:
        return self.run(outputs, 1, state)

    def run(self, outputs: Tensor, steps: int, state: Chance) -> tuple[Any, Chance]:
        state = state._replace(counter=state.counter + steps)
        generator = torch.Generator().manual_seed(seed_of("draw", int(state.seed), int(state.counter)))
        drawn = torch.multinomial(outputs.softmax(-1)[0], 1, generator=generator)
        return (outputs.softmax(-1)[0].tolist(), SYMBOLS[int(drawn)]), state


def session(seed: int = 3, state: Any = None) -> Session:
    return Session(Pipeline(Letters(), Convolved(), Drawn(seed), "letters", lambda: "0" * 64), state)


def test_context_and_chance_do_not_depend_on_how_the_input_is_cut() -> None:
    text = "bad cafe fed"
    whole = session()
    probabilities, symbol = whole.push(text)
    for cut in range(len(text) + 1):
        parts = session()
        parts.push(text[:cut])
        found = [parts.step(one) for one in text[cut:]][-1] if cut < len(text) else parts.answer()
        assert found[0] == pytest.approx(probabilities, abs=1e-5) and found[1] == symbol
        assert parts.answer()[1] == symbol and parts.state.decoding == whole.state.decoding


def test_no_state_is_a_view_of_what_was_read() -> None:
    live = session()
    for read in (lambda: live.push("bad cafe fed"), lambda: live.step("a")):
        read()
        context = live.state.model.context
        assert context.is_contiguous() and context.untyped_storage().nbytes() == context.numel() * 4


def test_what_is_drawn_goes_on_in_another_session_and_follows_the_seed(tmp_path: Path) -> None:
    def generated(live: Session, symbol: str, count: int) -> str:
        made = ""
        for _ in range(count):
            symbol = live.step(symbol)[1]
            made += symbol
        return made

    first = session()
    start = generated(first, "a", 10)
    first.save(tmp_path / "s")
    taken_up = session(seed=99, state=tmp_path / "s")  # the seed is the state's
    rest = generated(first, start[-1], 30)
    assert generated(taken_up, start[-1], 30) == rest
    assert generated(session(), "a", 40) == start + rest
    assert generated(session(seed=4), "a", 40) != start + rest
    assert len(set(start + rest)) > 4
