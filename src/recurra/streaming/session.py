"""A live sequence through a whole pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.sequence import Sequence
from recurra.state import State, check_state, owned
from recurra.state_file import load_state, save_state
from recurra.streaming.pipeline import Pipeline


class SessionState(NamedTuple):
    """The state of each part, and how many steps the model has read: steps [1] int64"""

    preprocessing: State
    model: State
    decoding: State
    steps: Tensor


class Session:
    """A live sequence: raw input goes in step by step or in pieces, and answers come out.

    How the input is cut makes no difference: every answer is that of the whole input so far. All that answers depend
    on is in `state`; nothing is kept on the model, so any number of sessions may share one. An input that is refused
    leaves the state as it was.

    Args:
        pipeline: what runs.
        state: to begin from: another session's `state`, or the path of one that a session saved; None: from the
            beginning.

    Raises:
        NotStreamable: the model needs whole sequences.
        InputError: the model is in training mode.
        StateError: the file is missing, damaged, or of another model or other weights.
        ShapeError: the state is not one of this pipeline.
    """

    def __init__(self, pipeline: Pipeline, state: SessionState | str | Path | None = None) -> None:
        pipeline.model.check()
        self._pipeline = pipeline
        initial = self._initial_state()
        if isinstance(state, str | Path):
            begin: SessionState = load_state(state, like=initial, weights=pipeline.weights(), name=pipeline.name)
        else:
            begin = initial if state is None else state
        check_state(begin, initial, f"{pipeline.name}, stream")
        self._state = begin

    @property
    def state(self) -> SessionState:
        """All that later answers depend on; it goes into another session of the same model."""
        return self._state

    @property
    def steps(self) -> int:
        """Steps that the model has read; what is held back is not counted."""
        return int(self._state.steps)

    def step(self, x: Any) -> Any:
        """One step of input; what was held back before it is taken as ended.

        Args:
            x: a vector (or a number where a step is one); a token of a text.

        Returns:
            The answer after it.

        Raises:
            DataError: it cannot be read.
        """
        preprocessing, model, decoding = self._parts()
        with torch.inference_mode():
            rest, prepared = preprocessing.rest(self._state.preprocessing)
            _, hidden, decoded, steps = self._state
            if rest is not None:
                outputs, hidden = model.run(rest, hidden)
                _, decoded = decoding.run(outputs, _steps_of(rest), decoded)
                steps = steps + _steps_of(rest)
            values, prepared = preprocessing.step(x, prepared)
            outputs, hidden = model.step(values, hidden)
            answer, decoded = decoding.step(outputs, decoded)
            self._state = SessionState(prepared, owned(hidden), decoded, steps + 1)
        return answer

    def push(self, chunk: Any) -> Any:
        """A piece of input: several steps, or some text.

        Args:
            chunk: steps as in training: numbers, or vectors; or a text, cut anywhere, as str or as UTF-8 bytes.

        Returns:
            The answer after it, as if the input ended here.

        Raises:
            DataError: it cannot be read.
        """
        preprocessing, model, decoding = self._parts()
        with torch.inference_mode():
            x, prepared = preprocessing.run(chunk, self._state.preprocessing)
            outputs, hidden = model.run(x, self._state.model)
            read = _steps_of(x)
            answer, decoded = decoding.run(outputs, read, self._state.decoding)
            rest, _ = preprocessing.rest(prepared)
            if rest is not None:
                outputs, _ = model.run(rest, hidden)
                answer, _ = decoding.run(outputs, _steps_of(rest), decoded)
            self._state = SessionState(prepared, owned(hidden), decoded, self._state.steps + read)
        return answer

    def answer(self) -> Any:
        """The answer to all input so far, as if it ended here; it may go on all the same."""
        preprocessing, model, decoding = self._parts()
        with torch.inference_mode():
            rest, _ = preprocessing.rest(self._state.preprocessing)
            outputs, _ = model.run(rest, self._state.model)
            return decoding.run(outputs, _steps_of(rest), self._state.decoding)[0]

    def reset(self) -> None:
        """Begin a new sequence."""
        self._state = self._initial_state()

    def fork(self) -> Session:
        """A second session that goes on from here; neither changes the other."""
        return Session(self._pipeline, self._state)  # a step makes a new state and never writes into the old one

    def save(self, path: str | Path) -> None:
        """Keep the state in a file, from which a session in another process goes on, bit-equal.

        Args:
            path: of the file, safetensors by its kind; one of that name is replaced, whole or not at all.

        Raises:
            InputError: the folder does not exist.
            WorkError: the disk is full or fails.
        """
        save_state(path, self._state, weights=self._pipeline.weights())

    def _initial_state(self) -> SessionState:
        preprocessing, model, decoding, *_ = self._pipeline
        with torch.inference_mode():
            count = torch.zeros(1, dtype=torch.int64)
            return SessionState(preprocessing.initial_state(), model.initial_state(1), decoding.initial_state(), count)

    def _parts(self) -> tuple[Any, Any, Any]:
        self._pipeline.model.check()
        return self._pipeline[:3]

    def __repr__(self) -> str:
        return f"Session({self._pipeline.name!r}, steps={self.steps})"


def _steps_of(x: Sequence | None) -> int:
    return 0 if x is None else int(x.lengths[0])
