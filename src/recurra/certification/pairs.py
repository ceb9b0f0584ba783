"""The pairs that only a run has: its predictions, in other orders, loaded again, in another process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from recurra.certification.another_process import AnotherProcess
from recurra.errors import RunError
from recurra.laws.pairs import Answer, Case, Found, Pair
from recurra.laws.subject import DoesNotApply
from recurra.run import Run, load_run


def pairs_of(run: Run, inputs: list[Any]) -> dict[str, Pair]:
    """The pairs by name.

    Args:
        run: what is certified.
        inputs: as `run.predict_rows` takes them.
    """
    alone = [answer for value in inputs for answer in run.predict_rows([value])]

    def together(case: Case) -> Iterator[Found]:
        """Inputs predicted together, and each by itself."""
        yield from _apart(list(run.predict_rows(inputs)), alone)

    def shuffled(case: Case) -> Iterator[Found]:
        """Inputs predicted in the opposite order, in two halves."""
        backwards = inputs[::-1]
        middle = len(inputs) // 3
        found = [*run.predict_rows(backwards[:middle]), *run.predict_rows(backwards[middle:])]
        yield from _apart(found[::-1], alone)

    def loaded(case: Case) -> Iterator[Found]:
        """The folder loaded once more."""
        yield from _apart(list(load_run(run.path, run.parts.device).predict_rows(inputs)), alone)

    process = AnotherProcess(run)

    def predicted_elsewhere(case: Case) -> Iterator[Found]:
        """The folder loaded and the inputs predicted in a process of its own."""
        yield from _apart(process.predictions(case), alone)

    def resumed_elsewhere(case: Case) -> Iterator[Found]:
        """Each row begun here, its state written to a file, and gone on with in a process of its own."""
        case.subject.check_streamable()
        for row, outputs, state in process.continued(case):
            yield from case.apart([Answer(outputs, state)], [row])

    return {
        "predictions together": together,
        "predictions shuffled": shuffled,
        "loaded again": loaded,
        "predicted in another process": predicted_elsewhere,
        "resumed in another process": resumed_elsewhere,
    }


def _apart(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> Iterator[Found]:
    """How far answers are apart: by their numbers where they hold some, else by whether they are the same."""
    if len(found) != len(expected):
        raise RunError(f"{len(found)} answers to {len(expected)} inputs")
    if not expected:
        raise DoesNotApply("there are no inputs to predict")
    for one, other in zip(found, expected, strict=True):
        numbers, others = list(_numbers(one)), list(_numbers(other))
        if len(numbers) != len(others) or not (numbers or one == other):
            yield Found(None, math.inf)
            continue
        scale = max([1.0, *map(abs, others)])
        yield Found(None, max((abs(a - b) / scale for a, b in zip(numbers, others, strict=True)), default=0.0))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool | str) or value is None:
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _numbers(value[key])
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part)
