"""The parts of a live pipeline, and what a session asks of each.

Preprocessing makes steps of raw input, the model reads steps, decoding makes an answer of what the model gives. Each is
a recurrence of its own: it has an `initial_state`, a `step` for one step and a `run` for many, and its state goes in
and comes out and is never kept. All that can change a later answer is in these states, so that a session saved and
restored goes on bit-equal:

- text that may yet become part of a longer token is bytes (`ByteTail`; see `TextPreprocessing`);
- a convolution's context is the last inputs, a state of the model;
- attention's memory is a ring of keys and values with a count, a state of the model;
- chance is (seed [B], counter [B]) int64, a state of the decoding: draw n is a function of seed and counter alone
  (`randomness.seed_of`), and the counter counts the steps read, not the calls, so that the draws do not depend on how
  the input was cut into pieces;
- shapes never change from step to step: what grows is a ring or has a bound.

A language model, say: preprocessing makes symbols of text, `Model.step` gives [B, V] logits of the next symbol and
`Model.run` those after each step, and decoding gives probabilities and the symbol drawn with (seed, counter). A model
whose answer needs its last output keeps that in its state, so that `run(None, state)` can give it. A tagger's decoding
gives a tag from `step` and a list of tags from `run`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from recurra.sequence import Sequence
from recurra.state import State


class Preprocessing(Protocol):
    """Raw input → steps of a batch of one."""

    def initial_state(self) -> State:
        """The state before any input."""

    def step(self, x: Any, state: State) -> tuple[Any, State]:
        """One step of input → its values (a tensor [1, …], or a named tuple of these), and the next state.

        Raises:
            DataError: it cannot be read.
        """

    def run(self, chunk: Any, state: State) -> tuple[Sequence | None, State]:
        """Some input → the steps that no later input changes, or None where there are none; and the next state.

        Raises:
            DataError: it cannot be read.
        """

    def rest(self, state: State) -> tuple[Sequence | None, State]:
        """The steps of what is held back, as if the input ended here, or None; and the state without them."""


class Model(Protocol):
    """Steps → outputs, in evaluation."""

    def check(self) -> None:
        """Refuse a model that cannot be stepped as it is now.

        Raises:
            NotStreamable, InputError
        """

    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    def step(self, values: Any, state: State) -> tuple[Any, State]:
        """The values of one step [B, …] → outputs, and the next state."""

    def run(self, x: Sequence | None, state: State) -> tuple[Any, State]:
        """Many steps → outputs, and the state after them; None: no step, and the outputs so far."""


class Decoding(Protocol):
    """Outputs → an answer."""

    def initial_state(self) -> State:
        """The state before any answer; () where it has none."""

    def step(self, outputs: Any, state: State) -> tuple[Any, State]:
        """The outputs of a model's `step` → an answer, and the next state."""

    def run(self, outputs: Any, steps: int, state: State) -> tuple[Any, State]:
        """The outputs of a model's `run` → an answer, and the next state.

        It is asked of what is read for good, and of what is held back as if the input ended there; the state that it
        then gives is not kept.

        Args:
            outputs: of `steps` steps; of none those so far.
            steps: how many; 0 too.
        """


class Quick(Protocol):
    """The three parts in one: the same answers, quicker. It holds a state while it steps."""

    def fits(self) -> bool:
        """Whether the model is as it was when this was made."""

    def step(self, x: Any) -> Any:
        """The answer after one step of input; None, and nothing done, where the three parts must look at it."""

    def run(self, x: Sequence) -> Any:
        """The answer after many steps as the preprocessing made them; None, and nothing done, as `step`."""

    def write(self, state: State) -> None:
        """Go on from a state of the model."""

    def state(self, like: State) -> State:
        """A copy of the model's state, in the structure of another."""


class Pipeline(NamedTuple):
    """What a session runs.

    name: for messages, such as the run's path; weights: the digest of all that the states belong to, asked for when one
    is saved or read; quick: makes what steps quicker, or None where nothing does; only for a preprocessing and a
    decoding without a state.
    """

    preprocessing: Preprocessing
    model: Model
    decoding: Decoding
    name: str
    weights: Callable[[], str]
    quick: Callable[[], Quick | None] = lambda: None
