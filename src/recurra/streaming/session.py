"""A live sequence through a whole pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.sequence import Sequence
from recurra.state import State, check_state, owned
from recurra.state_file import load_state, save_state
from recurra.streaming.pipeline import Pipeline, Quick


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
        self._state: SessionState | None  # the newest, or None while `_quick` holds it
        self._held: SessionState | None  # from which `_quick` went on, or None where it holds nothing
        self._stepped: int  # steps since then
        self._quick: Quick | None
        self._tried: bool  # whether `_quick` was asked for
        initial = self._initial_state()
        if isinstance(state, str | Path):
            begin: SessionState = load_state(state, like=initial, weights=pipeline.weights(), name=pipeline.name)
        else:
            begin = initial if state is None else state
        check_state(begin, initial, f"{pipeline.name}, stream")
        self._go_on(begin)

    @property
    def state(self) -> SessionState:
        """All that later answers depend on; it goes into another session of the same model."""
        if self._state is None:
            assert self._held is not None and self._quick is not None
            with torch.inference_mode():
                model = self._quick.state(self._held.model)
                self._state = self._held._replace(model=model, steps=self._held.steps + self._stepped)
        return self._state

    @property
    def steps(self) -> int:
        """Steps that the model has read; what is held back is not counted."""
        return int(self.state.steps)

    def step(self, x: Any) -> Any:
        """One step of input; what was held back before it is taken as ended.

        Args:
            x: a vector (or a number where a step is one); a token of a text.

        Returns:
            The answer after it.

        Raises:
            DataError: it cannot be read.
        """
        if self._held is not None and self._quick is not None:
            answer = self._quick.step(x)
            if answer is not None:
                self._state, self._stepped = None, self._stepped + 1
                return answer
        answer = self._quickly(lambda quick: quick.step(x), 1)
        if answer is not None:
            return answer
        preprocessing, model, decoding = self._parts()
        with torch.inference_mode():
            _, hidden, decoded, steps = state = self.state
            rest, prepared = preprocessing.rest(state.preprocessing)
            if rest is not None:
                outputs, hidden = model.run(rest, hidden)
                _, decoded = decoding.run(outputs, _steps_of(rest), decoded)
                steps = steps + _steps_of(rest)
            values, prepared = preprocessing.step(x, prepared)
            outputs, hidden = model.step(values, hidden)
            answer, decoded = decoding.step(outputs, decoded)
            self._now(SessionState(prepared, owned(hidden), decoded, steps + 1))
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
            state = self.state
            x, prepared = preprocessing.run(chunk, state.preprocessing)
            if x is not None:
                answer = self._quickly(lambda quick: quick.run(x), _steps_of(x))
                if answer is not None:
                    return answer
            outputs, hidden = model.run(x, state.model)
            read = _steps_of(x)
            answer, decoded = decoding.run(outputs, read, state.decoding)
            rest, _ = preprocessing.rest(prepared)
            if rest is not None:
                outputs, _ = model.run(rest, hidden)
                answer, _ = decoding.run(outputs, _steps_of(rest), decoded)
            self._now(SessionState(prepared, owned(hidden), decoded, state.steps + read))
        return answer

    def answer(self) -> Any:
        """The answer to all input so far, as if it ended here; it may go on all the same."""
        preprocessing, model, decoding = self._parts()
        with torch.inference_mode():
            state = self.state
            rest, _ = preprocessing.rest(state.preprocessing)
            outputs, _ = model.run(rest, state.model)
            return decoding.run(outputs, _steps_of(rest), state.decoding)[0]

    def reset(self) -> None:
        """Begin a new sequence."""
        self._go_on(self._initial_state())

    def fork(self) -> Session:
        """A second session that goes on from here; neither changes the other."""
        return Session(self._pipeline, self.state)  # no step writes into a state that was given out

    def save(self, path: str | Path) -> None:
        """Keep the state in a file, from which a session in another process goes on, bit-equal.

        Args:
            path: of the file, safetensors by its kind; one of that name is replaced, whole or not at all.

        Raises:
            InputError: the folder does not exist.
            WorkError: the disk is full or fails.
        """
        save_state(path, self.state, weights=self._pipeline.weights())

    def _go_on(self, state: SessionState) -> None:
        """From a state, with the model as it is now."""
        self._now(state)
        self._quick, self._tried = None, False

    def _now(self, state: SessionState) -> None:
        """This is the newest state."""
        self._state, self._held, self._stepped = state, None, 0

    def _quickly(self, read: Callable[[Quick], Any], steps: int) -> Any:
        """What `_quick` makes of the next steps; None where it makes nothing of them, or there is none."""
        while (quick := self._hold()) is not None:
            answer = read(quick)
            if answer is not None:
                self._state, self._stepped = None, self._stepped + steps
                return answer
            if quick.fits():
                return None  # it is the input: the parts say what it is
            self._go_on(self.state)
        return None

    def _hold(self) -> Quick | None:
        """What makes single steps quicker, with the state in it; None where nothing does."""
        if self._held is None:
            state = self.state
            if self._quick is not None and not self._quick.fits():
                self._go_on(state)
            if not self._tried:
                self._quick, self._tried = self._pipeline.quick(), True
            if self._quick is None:
                return None
            self._quick.write(state.model)
            self._held = state
        return self._quick

    def __getstate__(self) -> dict[str, Any]:
        """For copies: memory that is written to is not shared."""
        copied = {"_state": self.state, "_quick": None, "_tried": False, "_held": None, "_stepped": 0}
        return {"_pipeline": self._pipeline, **copied}

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
