"""The run of each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra.data.partition import FileRecord
from recurra.run.language_run import LanguageRun
from recurra.run.run import Run
from recurra.run.table_run import TableRun
from recurra.run.tag_run import TagRun
from recurra.run.translate_run import TranslateRun
from recurra.tasks import Task

RUNS: dict[str, type[Run]] = {
    "classify": TableRun,
    "regress": TableRun,
    "tag": TagRun,
    "model": LanguageRun,
    "translate": TranslateRun,
}


def make_run(path: Path, task: Task, files: tuple[FileRecord, ...], result: dict[str, Any]) -> Run:
    """The run of a task, in its folder; arguments as of `Run`."""
    return RUNS[task.name](path, task, files, result)
