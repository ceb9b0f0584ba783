"""Ways to call the command line in a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from recurra.cli.main import main


class Answer(NamedTuple):
    """What a command gave back."""

    status: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command line in this process."""

    def run(*arguments: str | Path) -> Answer:
        status = main([str(argument) for argument in arguments])
        return Answer(status, *capsys.readouterr())

    return run


@pytest.fixture
def process() -> Call:
    """Call the command line in a process of its own."""

    def run(*arguments: str | Path, stdin: str = "", **environment: str) -> Answer:
        program = "import sys; from recurra.cli.main import main; sys.exit(main())"
        command = [sys.executable, "-c", program, *map(str, arguments)]
        done = subprocess.run(
            command, input=stdin, capture_output=True, encoding="utf-8", env=os.environ | environment, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run
