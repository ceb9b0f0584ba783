"""A process that has everything imported and one thread, and forks a child for each job: `python -m faults.server`.

A job is a line of JSON on standard input; the answer is a line on standard output: {"statuses": …}, of `os.waitpid`.
A job in several copies starts them at the same instant.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

import recurra.cli.main
import recurra.workflow
from recurra.data.partition import Given
from recurra.errors import RecurraError, RunError
from recurra.files import locked, write_whole
from recurra.run import Run
from recurra.settings.structure import from_keywords
from recurra.training.progress import Silent

from .events import watch


def main() -> None:
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    work(json.loads(sys.stdin.readline()))  # the first training is slow, and the same for all
    tasks = Path("/proc/self/task")
    names = [(task / "comm").read_text().strip() for task in tasks.iterdir()] if tasks.is_dir() else ["main"]
    threads = sum(name != "jemalloc_bg_thd" for name in names)  # pyarrow's allocator takes care of its own in a fork
    print(json.dumps({"threads": threads}), file=answers, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        start = time.monotonic() + 0.05 * (job["copies"] > 1)
        children = []
        for copy in range(job["copies"]):
            children.append(os.fork())
            if children[-1] == 0:
                answers.close()
                while time.monotonic() < start:
                    pass
                os._exit(child(job | {"said": f"{job['said']}{copy}"}))
        print(json.dumps({"statuses": [os.waitpid(pid, 0)[1] for pid in children]}), file=answers, flush=True)


def child(job: dict[str, Any]) -> int:
    """The work of a job with its faults; what became of it is written to the file `said`."""
    said, status = Path(job["said"]), 0
    events: list[str] = []
    reached: list[str] = []

    def handler(event: str, nth: int, content: bytes | None) -> int | None:
        events.append(event)
        if job.get("probe"):
            with contextlib.suppress(RunError), locked(Path(job["folder"])):
                events.append(f"free at {event}")
        point, fault = job.get("kill"), job.get("fault")
        if point and [event, nth] == point[:2]:
            if len(point) == 2:
                kill(said)
            point[:] = [event.replace("write", "wrote"), nth, point[2]]  # so many bytes still reach the file
            return point.pop() % (len(content or b"") + 1)
        if [event, nth] == job.get("signal", [])[:2]:
            for number in job["signal"][2:]:
                signal.raise_signal(number)
        if fault and event == fault[0] and nth >= fault[1]:
            reached.append(event)
            if fault[2] == "short":
                return len(content or b"") // 3 + 1
            raise OSError(getattr(errno, fault[2]), os.strerror(getattr(errno, fault[2])))
        return None

    if job.get("spoil"):
        recurra.workflow.REPORTS["classify"] = (spoil_weights, WORDS)
    elif not job["report"]:  # drawing takes longer than all the rest
        recurra.workflow.REPORTS["classify"] = (without_pictures, WORDS)
    watch(handler)
    answer: dict[str, Any] = {}
    try:
        work(job)
    except RecurraError as error:
        _, status = recurra.cli.main._answer(error)
        answer = {"error": str(error), "kind": type(error).__name__}
    except BaseException as error:
        status, answer = 99, {"error": repr(error), "kind": type(error).__name__}
    said.write_text(json.dumps(answer | {"events": events, "reached": reached}))
    return status


def bound_memory(more: int) -> None:
    """Let the process take so many bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


WORDS = recurra.workflow.REPORTS["classify"][1]


def without_pictures(run: Run, *rest: Any) -> None:
    write_whole(run.path / "report.html", "a report")


def spoil_weights(run: Run, *rest: Any) -> None:
    next(run.model.parameters()).data.fill_(float("nan"))


def kill(said: Path) -> None:
    said.write_text("here")
    os.kill(os.getpid(), signal.SIGKILL)


def work(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    if "memory" in job:
        bound_memory(job["memory"])
    if job["verb"] == "predict":
        run = recurra.run.load_run(folder)
        run.predict(job["inputs"])
        return
    if job["verb"] == "resume":
        recurra.workflow.resume(folder, Silent())
        return
    settings = from_keywords("classify", **job["settings"])
    recurra.workflow.train(
        "classify", settings, given=Given(), out=folder, overwrite=job.get("overwrite", False), progress=Silent()
    )


if __name__ == "__main__":
    main()
