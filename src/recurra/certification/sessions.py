"""Live sessions of a run: an input in pieces, forked, saved and taken up again, and what `predict` says of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recurra.run import Run, TableRun, TagRun

PIECES = (1, 3, 2, 7, 5)  # of an input, characters or steps, over and over


def streamable(run: Run, inputs: list[Any]) -> list[Any]:
    """The inputs that a session reads as `predict` does: those with something in them that max_length does not cut.

    Raises:
        NotStreamable: the run has no session.
    """
    run.stream()
    answers = list(run.predict_rows(inputs))
    return [
        value
        for value, answer in zip(inputs, answers, strict=True)
        if len(value) and "cut" not in answer and "error" not in answer
    ]


def expected(run: Run, value: Any) -> Any:
    """What a session is to say after all of an input: what `predict` says; of other tasks, what one push says."""
    if isinstance(run, TagRun):
        return together(run, [list(run.predict([value])[0].tags)])
    return run.predict([value])[0] if isinstance(run, TableRun) else run.stream().push(value)


def expected_of_rest(run: Run, value: Any) -> Any:
    """What a session is to say after an input whose first half it has read before: a tagger of the rest alone."""
    answer = expected(run, value)
    return answer[middle(value) :] if isinstance(run, TagRun) else answer


def together(run: Run, answers: list[Any]) -> Any:
    """What the answers to the pieces of an input say of all of it: of a tagger the numbers of all tags."""
    if not isinstance(run, TagRun):
        return answers[-1]
    tags = [tag for answer in answers for tag in ([answer] if isinstance(answer, str) else answer)]
    return [run.labels.index(tag) for tag in tags]


def answers_in_pieces(run: Run, value: Any, session: Any) -> Iterator[Any]:
    """The answers after all of an input, read in several ways by a session that is used again and again."""
    session.reset()
    yield together(run, [session.push(value[start:stop]) for start, stop in pieces(value)])
    session.reset()
    begun = session.push(value[: middle(value)])
    forked = session.fork()
    with tempfile.TemporaryDirectory(prefix="recurra-certify-") as folder:
        session.save(Path(folder) / "session.safetensors")
        taken_up = run.stream(Path(folder) / "session.safetensors")
    for one in (forked, session, taken_up):
        yield together(run, [begun, one.push(value[middle(value) :])])
    if not isinstance(value, str):
        session.reset()
        yield together(run, [session.step(step) for step in value])


def pieces(value: Any) -> Iterator[tuple[int, int]]:
    """Where an input is cut."""
    start, number = 0, 0
    while start < len(value):
        stop = min(len(value), start + PIECES[number % len(PIECES)])
        yield start, stop
        start, number = stop, number + 1


def middle(value: Any) -> int:
    """Where an input is cut in two."""
    return len(value) // 2
