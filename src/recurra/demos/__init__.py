"""Demonstrations that train on real data and need no download: the table of them, and the way to run one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recurra.demos.cells import cells
from recurra.demos.digits import digits
from recurra.demos.hello import hello
from recurra.demos.languages import languages
from recurra.demos.numbers import numbers
from recurra.demos.result import DemoResult
from recurra.errors import MissingExtra, RunError
from recurra.files import make_folder
from recurra.settings.names import Progress, check_name

DEMOS: dict[str, Callable[[Path, Progress], DemoResult]] = {
    "numbers": numbers, "digits": digits, "hello": hello, "languages": languages, "cells": cells,
}  # fmt: skip


def run(name: str, out: Path, progress: Progress = "none") -> DemoResult:
    """Run a demonstration into a new folder.

    Raises:
        SettingsError: there is none of that name.
        RunError: the folder has something in it.
        MissingExtra: a library that it needs is not installed; no folder is left.
    """
    check_name("demo", name, DEMOS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there already; give another --out")
    was_there = out.exists()
    make_folder(out)
    try:
        return DEMOS[name](out, progress)
    except MissingExtra:  # before anything was written
        if not was_there:
            out.rmdir()
        raise


__all__ = ["DEMOS", "DemoResult", "run"]
