"""What a comparison came to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recurra
from recurra.comparison.rows import Entry, Row, known_whole
from recurra.html import html_table
from recurra.report.comparison import known
from recurra.settings.tasks import TaskSettings
from recurra.standing import SMALLER_IS_BETTER

LEVEL = 0.95
MEBIBYTE = 1 << 20
CSV_HEADER = (
    "row", "cell", "seed", "run", "error", "metric", "test", "valid", "training_seconds", "test_seconds", "steps",
    "epochs", "stopped", "examples_per_second", "parameters", "peak_memory_bytes", "step_microseconds",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Cells, or runs, on the same data.

    path: the folder. task: its name. metric: what is compared, on test data. higher_is_better: whether more of it is.
    rows: a cell each, the first being what the others are compared with, then the plain methods. groups: the trainings
    behind each row of a cell, by its name. settings: of all runs, but for what the rows' names say. budget: of every
    training; empty where they differ. notes: what holds for all.
    """

    path: Path
    task: str
    metric: str
    higher_is_better: bool
    rows: tuple[Row, ...]
    groups: dict[str, list[Entry]]
    settings: TaskSettings
    budget: str
    notes: tuple[str, ...]

    @property
    def about_budget(self) -> str:
        """A sentence."""
        if not self.budget:
            return "The budgets differ, as the names of the rows say."
        return f"The same budget for all: {self.budget}."

    @property
    def failed(self) -> bool:
        """Whether a training failed."""
        return any(entry.run.error for entries in self.groups.values() for entry in entries)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values fit for JSON."""
        return {
            "recurra": recurra.__version__,
            "task": self.task,
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "level": LEVEL,
            "budget": self.budget,
            "notes": list(self.notes),
            "rows": [row.to_dict() for row in self.rows],
            "runs": [dict(zip(CSV_HEADER, row, strict=True)) for row in self.runs_table()],
        }

    def runs_table(self) -> list[list[str | int | float | None]]:
        """A row for each training, under CSV_HEADER."""
        return [self._training(name, entry) for name, entries in self.groups.items() for entry in entries]

    def place(self, path: Path) -> str:
        """A run's path, seen from the folder where it lies inside."""
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else str(path)

    def _training(self, name: str, entry: Entry) -> list[str | int | float | None]:
        run = entry.run
        return [
            name,
            run.cell,
            run.seed,
            self.place(run.path),
            run.error or None,
            self.metric,
            *(
                known(run.number(one))
                for one in (self.metric, f"valid_{self.metric}", "training_seconds", "test_seconds")
            ),
            known_whole(run.number("steps")),
            known(run.number("epochs")),
            run.result.get("stopped"),
            known(run.examples_per_second),
            known_whole(run.number("parameters")),
            known_whole(entry.peak_memory_bytes),
            known(entry.step_microseconds),
        ]

    def result_table(self) -> tuple[list[str], list[list[str | int | float | None]]]:
        """Header and rows: the metric with its interval, and the difference to the first row."""
        first = self.rows[0].name
        header = ["cell", self.metric, "± 95 %", f"minus {first}", "± 95 %", "p", ""]
        rows: list[list[str | int | float | None]] = []
        for row in self.rows:
            difference = row.difference
            rows.append(
                [
                    shown_name(row),
                    known(row.interval.mean),
                    known(row.interval.half),
                    None if difference is None else known(difference.mean),
                    None if difference is None else known((difference.high - difference.low) / 2),
                    None if difference is None else known(difference.p),
                    "; ".join([*([row.verdict] if row.verdict else []), *row.notes]),
                ]
            )
        return header, rows

    def cost_table(self) -> tuple[list[str], list[list[str | int | float | None]]]:
        """Header and rows: what training and a step cost."""
        header = ["cell", "parameters", "training s", "examples/s", "peak MiB", "step µs"]
        rows: list[list[str | int | float | None]] = []
        for row in self.rows:
            seconds = known(row.seconds)
            rows.append(
                [
                    shown_name(row),
                    known_whole(row.parameters),
                    None if seconds is None else round(seconds, 2),
                    known_whole(row.examples_per_second),
                    known_whole(row.peak_memory_bytes / MEBIBYTE),
                    known_whole(row.step_microseconds),
                ]
            )
        return header, rows

    def __repr__(self) -> str:
        return f"Comparison({str(self.path)!r}, {self.task}, {', '.join(row.name for row in self.rows)})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        header, rows = self.result_table()
        return html_table(f"{self.task}: {self.metric} on test data. {self.about_budget}", header, rows)


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better."""
    return metric not in SMALLER_IS_BETTER


def shown_name(row: Row) -> str:
    """A plain method is told from a cell."""
    return f"{row.name} (plain)" if row.kind == "plain" else row.name


def untimed(comparison: Comparison) -> list[str]:
    """For each reason why no step was timed, a sentence that names its rows."""
    names: dict[str, list[str]] = {}
    for row in comparison.rows:
        for reason in row.no_step:
            names.setdefault(reason, []).append(row.name)
    return [f"No step of {', '.join(those)} is timed: {reason}." for reason, those in names.items()]


def has_numbers(row: Row) -> bool:
    """Whether a row has a mean."""
    return math.isfinite(row.interval.mean)
