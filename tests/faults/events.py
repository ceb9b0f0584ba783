"""What a training does to the disk and to the model, as a stream of named events, so that a test can stop at one.

Only in a forked child: it replaces functions of `os` and of the package, and nothing puts them back.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

PART = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part")
Handler = Callable[[str, int, bytes | None], int | None]


def label(path: str | Path) -> str:
    """`…/checkpoints/.step-00000004.safetensors.1a2b3c4d.part` → `checkpoint`; other files by their own name."""
    name = Path(path).name
    part = PART.fullmatch(name)
    name = part[1] if part else name
    return "checkpoint" if name.startswith("step-") else name


def watch(handler: Handler) -> None:
    """Call `handler(event, nth, content)` before each event (after it, where its name is in the past).

    For an event "write NAME", `content` is what is about to be written, and the handler may answer how many bytes of
    it are taken: a short write.
    """
    seen: Counter[str] = Counter()

    def emit(event: str, content: bytes | None = None) -> int | None:
        seen[event] += 1
        return handler(event, seen[event], content)

    _watch_disk(emit)
    _watch_training(emit)


def _watch_disk(emit: Any) -> None:
    names: dict[int, str] = {}
    real_open, real_write, real_fsync, real_close = os.open, os.write, os.fsync, os.close
    real_replace, real_unlink = Path.replace, Path.unlink

    def open_(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if PART.fullmatch(Path(os.fspath(path)).name):
            emit(f"open {label(path)}")
        handle = real_open(path, flags, *rest, **more)
        folder = Path(path).is_dir()
        names[handle] = f"folder {label(path)}" if folder else label(path)
        return handle

    def write(handle: int, content: Any) -> int:
        if handle not in names:
            return real_write(handle, content)
        taken = emit(f"write {names[handle]}", bytes(content))
        written = real_write(handle, content if taken is None else content[:taken])
        emit(f"wrote {names[handle]}")
        return written

    def fsync(handle: int) -> None:
        emit(f"fsync {names[handle]}")
        real_fsync(handle)
        emit(f"fsynced {names[handle]}")

    def close(handle: int) -> None:
        names.pop(handle, None)
        real_close(handle)

    def replace(self: Path, target: Any) -> Path:
        emit(f"rename {label(target)}")
        moved = real_replace(self, target)
        emit(f"renamed {label(target)}")
        return moved

    def unlink(self: Path, missing_ok: bool = False) -> None:
        there = self.exists()
        if there:
            emit(f"remove {'leftover' if PART.fullmatch(self.name) else label(self)}")
        real_unlink(self, missing_ok)
        if there:
            emit(f"removed {'leftover' if PART.fullmatch(self.name) else label(self)}")

    os.open, os.write, os.fsync, os.close = open_, write, fsync, close
    Path.replace, Path.unlink = replace, unlink  # type: ignore[method-assign]


def _watch_training(emit: Any) -> None:
    import recurra.run
    import recurra.tasks.many_to_one
    import recurra.training.checkpoint
    import recurra.training.loop
    import recurra.training.step
    import recurra.workflow
    from recurra.tasks import ManyToOneTraining

    def watched(real: Any, before: str, after: str) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            if before:
                emit(before)
            answer = real(*arguments, **more)
            if after:
                emit(after)
            return answer

        return call

    def around(owner: Any, name: str, before: str = "", after: str = "") -> None:
        setattr(owner, name, watched(getattr(owner, name), before, after))

    around(recurra.tasks.many_to_one, "partition", before="read the data", after="data are read")
    around(recurra.workflow, "clear", before="clear", after="cleared")
    around(recurra.workflow, "save_beginning", before="save the beginning", after="beginning is saved")
    around(recurra.workflow, "load_beginning", after="beginning is loaded")
    reports = recurra.workflow.REPORTS
    report, words = reports["classify"]
    reports["classify"] = (watched(report, "report", "reported"), words)
    around(recurra.workflow, "save_end", before="save the end")
    around(ManyToOneTraining, "batch", before="batch", after="batch is made")
    around(ManyToOneTraining, "loss", after="forward is done")
    around(recurra.training.step, "gradient_norm", before="backward is done")
    around(recurra.training.step, "set_rate", before="gradients are clipped")
    around(recurra.training.loop, "take_step", after="step is taken")
    around(ManyToOneTraining, "evaluate", before="evaluate", after="evaluated")
    training = recurra.training.loop.Training
    around(training, "save", before="save", after="saved")
    around(training, "resume", before="resume", after="resumed")
    around(recurra.training.checkpoint, "parse_safetensors", before="checkpoint is read", after="checkpoint is parsed")
    around(recurra.training.loop, "restore_optimiser", before="restore the optimiser", after="optimiser is restored")
