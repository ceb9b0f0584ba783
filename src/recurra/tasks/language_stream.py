"""The session of a language model: text goes in, and each piece is answered by what follows and a symbol drawn."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.models import LanguageModelState, LanguageModelSteps
from recurra.models.sampling import check_sampling, draw, sample
from recurra.randomness import seed_of
from recurra.sequence import Sequence
from recurra.streaming import Pipeline, Session, SessionState, SymbolPreprocessing
from recurra.tasks.model import Model
from recurra.tasks.streams import stream_digest


class NextSymbol(NamedTuple):
    """What follows the text so far.

    next: the likeliest symbols with their probabilities. drawn: the name of a symbol sampled from all of them;
    `session.step(answer.drawn)` goes on with it.
    """

    next: dict[str, float]
    drawn: str


class Reading(NamedTuple):
    """The model's state, and the logits [B, V] of what follows."""

    model: LanguageModelState
    logits: Tensor


class Chance(NamedTuple):
    """What decides the draws: seed [1] int64 and symbols read [1] int64"""

    seed: Tensor
    counter: Tensor


class LanguageSteps:
    """A language model as a session steps it: before the text it has read the beginning.

    Args:
        task: symbols and model.
    """

    def __init__(self, task: Model) -> None:
        self._task, self._steps = task, LanguageModelSteps(task.model)

    def check(self) -> None:
        """Refuse a model in training mode whose dropouts would act.

        Raises:
            InputError
        """
        LanguageModelSteps(self._task.model)

    def initial_state(self, batch_size: int) -> Reading:
        """After the beginning."""
        steps = self._steps
        begin = torch.full((batch_size,), self._task.symbols.begin_id, device=self._task.device)
        logits, state = steps.step(begin, steps.initial_state(batch_size))
        return Reading(state, logits)

    def step(self, values: Tensor, state: Reading) -> tuple[Tensor, Reading]:
        """One symbol [B] → the logits of the next [B, V]."""
        logits, model = self._steps.step(values.to(self._task.device), state.model)
        return logits, Reading(model, logits)

    def run(self, x: Sequence | None, state: Reading) -> tuple[Tensor, Reading]:
        """Many symbols, or None → the logits of the next."""
        if x is None:
            return state.logits, state
        logits, model = self._steps.run(x.values.to(self._task.device), state.model)
        return logits, Reading(model, logits)


class Drawing:
    """Logits → the likeliest symbols, and one drawn by seed and the number of symbols read.

    Args:
        task: symbols.
        seed, temperature, top_k, top_p: of `recurra.models.sampling.sample`.
    """

    def __init__(self, task: Model, seed: int, temperature: float, top_k: int, top_p: float) -> None:
        check_sampling(temperature, top_k, top_p)
        self._task, self._seed = task, seed_of("stream", seed)
        self._temperature, self._top_k, self._top_p = temperature, top_k, top_p

    def initial_state(self) -> Chance:
        """Nothing drawn."""
        return Chance(torch.tensor([self._seed]), torch.zeros(1, dtype=torch.int64))

    def step(self, outputs: Tensor, state: Chance) -> tuple[NextSymbol, Chance]:
        """The answer after one symbol more."""
        return self.run(outputs, 1, state)

    def run(self, outputs: Tensor, steps: int, state: Chance) -> tuple[NextSymbol, Chance]:
        """The answer after some symbols more."""
        state = Chance(state.seed, state.counter + steps)
        logits = outputs.index_fill(1, self._task.silent, -torch.inf)
        chance = torch.tensor([draw(int(state.seed), int(state.counter))], dtype=torch.float64, device=logits.device)
        drawn = sample(logits, chance, temperature=self._temperature, top_k=self._top_k, top_p=self._top_p)
        return NextSymbol(self._task.likeliest(outputs[0]), self._task.symbols.names[int(drawn)]), state


def language_session(
    task: Model,
    state: SessionState | str | Path | None = None,
    name: str = "this model",
    *,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Session:
    """A live text through a language model.

    Args:
        task: symbols and model.
        state: to begin from: another session's, or the path of one that was saved (with its seed and draws).
        name: whose stream it is, for messages.
        seed: of the draws; a state given brings its own.
        temperature, top_k, top_p: of the draws.

    Raises:
        SettingsError: an option out of range.
        StateError: the file is missing, damaged, or of another run.
    """
    decoding = Drawing(task, seed, temperature, top_k, top_p)
    preprocessing = SymbolPreprocessing(task.symbols)
    return Session(Pipeline(preprocessing, LanguageSteps(task), decoding, name, lambda: stream_digest(task)), state)
