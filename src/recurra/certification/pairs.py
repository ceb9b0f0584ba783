"""The pairs that only a run has: its predictions in other orders, its sessions, and all of it in another process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from recurra.certification.another_process import AnotherProcess
from recurra.certification.numbers import apart, numbers_of
from recurra.certification.sessions import answers_in_pieces, expected, expected_of_rest, streamable
from recurra.errors import NotStreamable
from recurra.laws.pairs import Case, Found, Pair
from recurra.laws.subject import DoesNotApply
from recurra.run import Run, TranslateRun, load_run

WIDE_BEAM = 5


def pairs_of(run: Run, inputs: list[Any]) -> dict[str, Pair]:
    """The pairs by name.

    Args:
        run: what is certified.
        inputs: as `run.predict_rows` takes them.
    """
    alone = [answer for value in inputs for answer in run.predict_rows([value])]
    live: dict[int, Any] = {}
    not_live = "there is no input that a session can read"
    try:
        read = streamable(run, inputs)
        live = {place: value for place, value in enumerate(inputs) if any(value is one for one in read)}
    except NotStreamable as error:
        not_live = str(error)
    process = AnotherProcess(run, live)

    def together(case: Case) -> Iterator[Found]:
        """Inputs predicted together, and each by itself."""
        yield from _compared(list(run.predict_rows(inputs)), alone)

    def shuffled(case: Case) -> Iterator[Found]:
        """Inputs predicted in the opposite order, in two parts."""
        backwards = inputs[::-1]
        cut = len(inputs) // 3
        found = [*run.predict_rows(backwards[:cut]), *run.predict_rows(backwards[cut:])]
        yield from _compared(found[::-1], alone)

    def sessions(case: Case) -> Iterator[Found]:
        """Inputs in pieces through a live session: forked, saved and taken up again, and reset for the next."""
        _needs(live, not_live)
        session = run.stream()
        for value in live.values():
            whole = numbers_of(expected(run, value))
            for answer in answers_in_pieces(run, value, session):
                yield Found(None, apart(numbers_of(answer), whole))

    def loaded(case: Case) -> Iterator[Found]:
        """The folder loaded once more."""
        yield from _compared(list(load_run(run.path, run.parts.device).predict_rows(inputs)), alone)

    def predicted_elsewhere(case: Case) -> Iterator[Found]:
        """The folder loaded and the inputs predicted in a process of its own."""
        yield from _compared(process.ask(case).predictions, alone)

    def resumed_elsewhere(case: Case) -> Iterator[Found]:
        """Each row begun here, its state written to a file, and gone on with in a process of its own."""
        case.subject.check_streamable()
        for row, answer in process.ask(case).rows.items():
            yield from case.apart([answer], [row])

    def sessions_elsewhere(case: Case) -> Iterator[Found]:
        """Each session saved in the middle of its input, and taken up in a process of its own."""
        _needs(live, not_live)
        found = process.ask(case).sessions
        for place, value in live.items():
            yield Found(None, apart(found[place], numbers_of(expected_of_rest(run, value))))

    def searched(case: Case) -> Iterator[Found]:
        """The log probabilities that searches of two kinds found, and of the same answers told to the model."""
        assert isinstance(run, TranslateRun)
        for beam in (1, WIDE_BEAM):
            found = run.parts.found(inputs, beam=beam)
            told = run.parts.told(inputs, [one.tokens.tolist() for one in found])
            for one, nats in zip(found, told, strict=True):
                yield Found(None, apart([one.log_probability], [nats]))

    more: dict[str, Pair] = {"search": searched} if isinstance(run, TranslateRun) else {}
    return {
        **more,
        "sessions": sessions,
        "predictions together": together,
        "predictions shuffled": shuffled,
        "loaded again": loaded,
        "predicted in another process": predicted_elsewhere,
        "resumed in another process": resumed_elsewhere,
        "sessions in another process": sessions_elsewhere,
    }


def _needs(live: dict[int, Any], reason: str) -> None:
    if not live:
        raise DoesNotApply(reason)


def _compared(found: list[dict[str, Any]], alone: list[dict[str, Any]]) -> Iterator[Found]:
    """How far answers are apart: by their numbers where they hold some, else by whether they are the same."""
    if not alone:
        raise DoesNotApply("there are no inputs to predict")
    if len(found) != len(alone):
        yield Found(None, math.inf)
        return
    for one, other in zip(found, alone, strict=True):
        numbers = numbers_of(other)
        distance = apart(numbers_of(one), numbers)
        yield Found(None, distance if numbers or one == other else math.inf)
