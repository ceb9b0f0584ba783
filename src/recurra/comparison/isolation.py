"""A piece of work in a forked process of its own, so that its peak memory is its own and its death is only its own.

A fork is quick and has the data and the code already, but not the threads of its parent: it is safe as long as the
parent has imported torch and never computed with it. The child is in a process group of its own, so that a terminal's
Ctrl-C reaches the parent alone, which passes every signal on once. If the parent is killed, so is the child.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NoReturn

from recurra.errors import InputError, RecurraError
from recurra.memory import is_memory_fault
from recurra.training.interruption import STOPPING, StopNow, StopRequest, stop_requests

POSSIBLE = sys.platform == "linux"
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
WAIT_SECONDS = 0.2  # after which a signal to the parent is passed on
LONGEST_SENTENCE = 2000  # characters; a pipe takes 64 KiB at once, so the child never waits
PIPE_BYTES = 1 << 16


@dataclass(frozen=True)
class Outcome:
    """How a piece of work ended.

    error: a sentence where it failed. input_at_fault: whether for the user's input. signal: what stopped it. answer:
    plain values that it gave back, a few.
    """

    error: str = ""
    input_at_fault: bool = False
    signal: int | None = None
    answer: dict[str, Any] = field(default_factory=dict)


Work = Callable[[], dict[str, Any] | None]


def here(work: Work) -> Outcome:
    """Do it in this process; whatever it raises is told."""
    try:
        return Outcome(answer=work() or {})
    except RecurraError as error:
        stopped_by: int | None = getattr(error, "signal", None)
        return Outcome(str(error), isinstance(error, InputError), stopped_by)
    except Exception as error:
        if is_memory_fault(error):
            return Outcome("memory ran out; a smaller batch_size, max_length or hidden_size needs less")
        return Outcome(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def apart(work: Work) -> Outcome:
    """Do it in a forked process, and wait for its end; a signal that asks this process to stop is passed on."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    with stop_requests() as request, contextlib.closing(os.fdopen(reading, "rb", buffering=0)) as pipe:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads, such as NumPy's
            child = os.fork()
        if child == 0:
            _work_and_end(work, writing)
        os.close(writing)
        said, status = _ended(child, pipe.fileno(), request)
        if request.signal is not None:
            return Outcome(said.error if said else "", signal=request.signal)
    if said is not None:
        return said
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hint = "; did memory run out?" if name == "SIGKILL" else ""
        return Outcome(f"its process was ended by {name}{hint}")
    return Outcome(f"its process ended with status {os.waitstatus_to_exitcode(status)} and without a word")


def _ended(child: int, pipe: int, request: StopRequest) -> tuple[Outcome | None, int]:
    """What the child said, None where nothing, and its status."""
    passed_on = False
    while True:
        try:
            if request.signal is not None and not passed_on:
                passed_on = True
                os.kill(child, request.signal)
            if not select.select([pipe], [], [], WAIT_SECONDS)[0]:
                ended, status = os.waitpid(child, os.WNOHANG)
                if not ended:
                    continue
                return None, status
            content = os.read(pipe, PIPE_BYTES)  # nothing, where the child was killed
            _, status = os.waitpid(child, 0)
            return Outcome(**json.loads(content)) if content else None, status
        except StopNow as again:  # a second signal: the child stops at once
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, again.signal)


def _work_and_end(work: Work, pipe: int) -> NoReturn:
    """The child's whole life."""
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        outcome = here(work)
        os.write(pipe, json.dumps(asdict(replace(outcome, error=outcome.error[:LONGEST_SENTENCE]))).encode())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    finally:
        os._exit(1)
