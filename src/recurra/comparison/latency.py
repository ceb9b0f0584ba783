"""What one step of a live session costs: batch 1, one thread, on the CPU, over inputs of the test data."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from recurra.comparison.measured import Measured
from recurra.data.partition import Given, check_unchanged
from recurra.data.table import Table
from recurra.errors import DataError, NotStreamable, RecurraError
from recurra.run import LanguageRun, Run, load_run
from recurra.training.devices import threads

WARM_UP, TIMED = 20, 300  # steps
LONGEST_SECONDS = 0.5  # of timed steps
INPUTS = 50
MOST_BYTES = 256 << 20  # of data files, beyond which reading them again would take longer than it tells
MICROSECONDS = 1e6


def step_microseconds(runs: list[Measured], given: Given) -> list[float | str]:
    """Of each run the median microseconds of one `session.step`, or a sentence that says why there is none.

    The test data are read once, as the first run cuts them.

    Args:
        runs: of one task and the same data.
        given: the data, where they came as Python objects.
    """
    inputs: list[Any] | str = ""
    found: list[float | str] = []
    with threads(1):
        for one in runs:
            try:
                run = load_run(one.path)
                session = run.stream()
                if inputs == "":
                    inputs = _test_inputs(run, given)
                found.append(inputs if isinstance(inputs, str) else _median(run, session, inputs))
            except NotStreamable as error:
                found.append(str(error).removeprefix(f"{one.path}: "))  # the same for every seed
            except RecurraError as error:
                found.append(f"not measured: {error}")
    return found


def _test_inputs(run: Run, given: Given) -> list[Any] | str:
    """Some inputs of the test data; or why there are none."""
    if given.data is None and not run.files:
        return "not measured: the data of these runs came as Python objects"
    try:
        paths = [Path(record.path) for record in run.files]
        if sum(path.stat().st_size for path in paths if path.is_file()) > MOST_BYTES:
            return f"not measured: the data are larger than {MOST_BYTES >> 20} MiB"
        check_unchanged(run.files)
        test = run.parts.read(run.settings, given, run.parts).test
    except (RecurraError, OSError) as error:
        return f"not measured: {error}"
    if isinstance(test, Table):
        test = test.select(range(min(INPUTS, len(test))))
    return run.test_inputs(run.parts.examples(test), TIMED if isinstance(run, LanguageRun) else INPUTS)


def _median(run: Run, session: Any, inputs: list[Any]) -> float | str:
    seconds: list[float] = []
    began = time.perf_counter()
    with torch.inference_mode():
        for value in inputs:
            session.reset()
            for step in _steps(run, value):
                before = time.perf_counter()
                try:
                    session.step(step)
                except DataError:  # a word that is no token of its own, say
                    continue
                seconds.append(time.perf_counter() - before)
                if len(seconds) >= WARM_UP + TIMED or time.perf_counter() - began > LONGEST_SECONDS:
                    return MICROSECONDS * statistics.median(seconds[min(WARM_UP, len(seconds) // 2) :])
    return MICROSECONDS * statistics.median(seconds) if seconds else "not measured: the test data have no step to take"


def _steps(run: Run, value: Any) -> Iterator[Any]:
    """What `session.step` takes of an input, one after the other."""
    if isinstance(run, LanguageRun):
        symbols = run.parts.symbols
        yield from (symbols.names[one] for one in symbols.encode(value) if int(one) not in symbols.silent_ids)
    elif isinstance(value, str):
        unit = getattr(run.settings, "text", None)
        yield from (value if unit is not None and unit.unit == "char" else value.split())
    else:
        yield from value
