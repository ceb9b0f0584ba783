"""Trainings that never were, for the tests of rows and of what may be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra.comparison.measured import Measured
from recurra.comparison.rows import Entry
from recurra.settings.structure import from_keywords

FILES = (("train", "a" * 64),)


def training(
    cell: str = "lstm",
    seed: int = 0,
    accuracy: float | None = 0.5,
    *,
    task: str = "classify",
    path: str = "",
    files: tuple[tuple[str, str], ...] = FILES,
    error: str = "",
    result: dict[str, Any] | None = None,
    **settings: Any,
) -> Measured:
    """A training that came to an accuracy, None where that was no number."""
    found = {"metric": "accuracy", "accuracy": accuracy, "training_seconds": 2.0, "parameters": 10} | (result or {})
    return Measured(
        Path(path or f"runs/{cell}-{seed}"),
        task,
        from_keywords(task, cell=cell, seed=seed, **settings),
        files,
        {} if error else found,
        [
            {"step": 1, "seconds": 1.0, "valid_accuracy": 0.25, "examples_per_second": rate}
            for rate in (90.0, 100.0, 400.0)
        ],
        error,
    )


def entries(values: list[float | None], cell: str = "lstm", first_seed: int = 0, **more: Any) -> list[Entry]:
    """A training for each value."""
    return [Entry(training(cell, first_seed + index, value, **more)) for index, value in enumerate(values)]
