"""Work in a process of its own: what it says, how it dies, and what stops it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recurra.comparison.isolation import Outcome, apart, here
from recurra.errors import DataError, WorkError
from recurra.training.protocol import Interrupted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forking is for Linux")
WAYS = pytest.mark.parametrize("do", [here, apart])


def failing(error: BaseException) -> None:
    raise error


@WAYS
def test_what_a_work_raises_is_told(do: object) -> None:
    assert callable(do)
    assert do(lambda: None) == Outcome()
    assert do(lambda: failing(DataError("is empty", "a.csv"))) == Outcome("a.csv: is empty", input_at_fault=True)
    assert do(lambda: failing(WorkError("the loss is “not” finite"))) == Outcome("the loss is “not” finite")
    assert do(lambda: failing(ZeroDivisionError("by zero"))) == Outcome("ZeroDivisionError: by zero")
    assert do(lambda: failing(MemoryError())).error.startswith("memory ran out")
    stopped = do(lambda: failing(Interrupted(signal.SIGTERM, "and is saved")))
    assert (stopped.signal, stopped.error) == (signal.SIGTERM, "training was stopped by SIGTERM and is saved")


def test_a_work_that_dies_says_how_and_this_process_lives() -> None:
    assert apart(lambda: os.kill(os.getpid(), signal.SIGKILL)).error == (
        "its process was ended by SIGKILL; did memory run out?"
    )
    assert apart(lambda: os._exit(7)).error == "its process ended with status 7 and without a word"


def test_a_work_has_a_peak_memory_of_its_own(tmp_path: Path) -> None:
    def work(size: int, name: str) -> None:
        content = bytearray(size)
        content[::4096] = b"1" * len(content[::4096])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        (tmp_path / name).write_text(str(peak))

    apart(lambda: work(400 << 20, "large"))
    apart(lambda: work(1 << 20, "small"))
    large, small = (int((tmp_path / name).read_text()) for name in ("large", "small"))
    assert large - small > 300 << 20


PROGRAM = """
import os, signal, sys, time
from recurra.comparison.isolation import apart
from recurra.training.interruption import stop_requests
from recurra.training.protocol import Interrupted

def work():
    with stop_requests() as request:
        print(os.getpid(), flush=True)
        while request.signal is None:
            time.sleep(0.01)
    raise Interrupted(request.signal, "and is saved")

print(apart(work), flush=True)
"""


def started() -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_a_signal_to_the_parent_stops_the_work_in_its_own_time() -> None:
    process, _ = started()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert (
        said
        == "Outcome(error='training was stopped by SIGINT and is saved', input_at_fault=False, signal=2, answer={})\n"
    )


def test_a_parent_that_is_killed_takes_the_work_with_it() -> None:
    process, child = started()
    process.kill()
    process.communicate(timeout=20)
    for _ in range(500):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":  # dead, and nobody has asked after it
            return
        time.sleep(0.01)
    raise AssertionError("the work outlived its parent")
