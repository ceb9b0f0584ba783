"""Fixtures of the fault tests: the forking process, and a training that was never stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .forks import Forks, what_counts


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Trainings in children of a process of its own."""
    one = Forks(tmp_path_factory.mktemp("forks"))
    yield one
    one.close()


@pytest.fixture(scope="session")
def never_stopped(forks: Forks) -> Path:
    """The folder of a training that ran through."""
    folder = forks.folder / "never stopped"
    assert forks.train(folder).exit_status == 0
    return folder


@pytest.fixture(scope="session")
def expected(never_stopped: Path) -> dict[str, Any]:
    """What a training that was stopped must end with."""
    return what_counts(never_stopped)
