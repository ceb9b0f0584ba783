"""What a user sees while a model trains, on standard error; nothing here is part of the training."""

from __future__ import annotations

import contextlib
import json
import time
from abc import ABC, abstractmethod
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from recurra.settings.names import Progress as ProgressKind
from recurra.training.step import StepRecord

SECONDS_BETWEEN_UPDATES = 0.2  # drawing takes about a millisecond, so under a percent of the time

WIDTH_FOR_A_BAR = 100  # columns; in a narrower terminal the numbers need them all


class ProgressDisplay(ABC):
    """Told of every step and evaluation; shows what its kind shows.

    A display that cannot write any more (a closed terminal) falls silent, and training goes on.
    """

    def start(self, total_steps: int, *, metric: str, step: int = 0) -> None:  # noqa: B027  most have nothing to do
        """Training starts: at most `total_steps`, of which `step` are done."""

    def step(self, record: StepRecord) -> None:  # noqa: B027
        """A step was taken."""

    @abstractmethod
    def evaluation(self, record: dict[str, Any]) -> None:
        """An evaluation was made: the line of metrics.jsonl."""

    def note(self, text: str) -> None:  # noqa: B027
        """Something that the user should know."""

    def close(self) -> None:  # noqa: B027
        """Training ended, in whatever way."""


def make_progress(kind: ProgressKind, stream: TextIO) -> ProgressDisplay:
    """The display of a kind; `auto` is a bar in a terminal, else one line an evaluation."""
    if kind == "auto":
        kind = "bar" if stream.isatty() else "lines"
    if kind == "bar":
        return Bar(stream)
    if kind == "lines":
        return Lines(stream)
    if kind == "json":
        return JsonLines(stream)
    return Silent()


class Silent(ProgressDisplay):
    """Shows nothing."""

    def evaluation(self, record: dict[str, Any]) -> None:
        """Nothing."""


class Lines(ProgressDisplay):
    """One line an evaluation."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def evaluation(self, record: dict[str, Any]) -> None:
        """The line."""
        _write(self.stream, evaluation_text(record))

    def note(self, text: str) -> None:
        """The note on a line of its own."""
        _write(self.stream, text)


class JsonLines(ProgressDisplay):
    """One JSON object an evaluation, the same as in metrics.jsonl; a note is an object with the key `note`."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def evaluation(self, record: dict[str, Any]) -> None:
        """The object."""
        _write(self.stream, json.dumps(record))

    def note(self, text: str) -> None:
        """The note as an object."""
        _write(self.stream, json.dumps({"note": text}))


class Bar(ProgressDisplay):
    """A bar that moves with the steps, below one line an evaluation."""

    def __init__(self, stream: TextIO) -> None:
        console = Console(file=stream)
        numbers = TextColumn("{task.fields[numbers]}", markup=False)
        self._progress = Progress(
            *((numbers, BarColumn(bar_width=None)) if console.width >= WIDTH_FOR_A_BAR else (numbers,)),
            console=console,
            auto_refresh=False,  # no thread of its own: it is drawn between two steps
            transient=True,
            expand=True,
        )
        self._metric_name, self._metric = "", ""
        self._first_step = self._total = 0
        self._examples = self._tokens = 0
        self._began = self._drawn = time.perf_counter()

    def start(self, total_steps: int, *, metric: str, step: int = 0) -> None:
        """Draw the bar."""
        self._metric_name, self._total, self._first_step = metric, total_steps, step
        self._metric, self._examples, self._tokens = "", 0, 0
        self._began = time.perf_counter()
        with contextlib.suppress(OSError, ValueError):
            for earlier in self._progress.tasks:  # a refit is a second training on the same bar
                self._progress.remove_task(earlier.id)
            self._progress.add_task("", total=total_steps, completed=step, numbers=f"{step}/{total_steps}")
            self._progress.start()

    def step(self, record: StepRecord) -> None:
        """Move the bar, if the last time is long enough ago."""
        self._examples += record.examples
        self._tokens += record.tokens
        now = time.perf_counter()
        if now - self._drawn < SECONDS_BETWEEN_UPDATES or not self._progress.tasks:
            return
        self._drawn = now
        with contextlib.suppress(OSError, ValueError):
            self._progress.update(
                self._progress.tasks[0].id, completed=record.step, numbers=self._numbers(record, now - self._began)
            )
            self._progress.refresh()

    def evaluation(self, record: dict[str, Any]) -> None:
        """Print the line above the bar."""
        value = record.get(f"valid_{self._metric_name}")
        self._metric = "" if value is None else f"  {self._metric_name} {value:.3f}"
        self.note(evaluation_text(record))

    def note(self, text: str) -> None:
        """Print it above the bar."""
        with contextlib.suppress(OSError, ValueError):
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away; the lines stay."""
        with contextlib.suppress(OSError, ValueError):
            self._progress.stop()

    def _numbers(self, record: StepRecord, seconds: float) -> str:
        left = (self._total - record.step) * seconds / max(1, record.step - self._first_step)
        return (
            f"{record.step}/{self._total}  loss {record.loss:.3f}{self._metric}  norm {record.gradient_norm:.2f}  "
            f"{short(self._examples / seconds)} ex/s  {short(self._tokens / seconds)} tok/s  {clock(left)} left"
        )


def evaluation_text(record: dict[str, Any]) -> str:
    """An evaluation on one line."""
    metrics = [
        f"{name.replace('_', ' ', 1)} {'not finite' if value is None else f'{value:.4f}'}"
        for name, value in record.items()
        if name.startswith("valid_")
    ]
    return "  ".join(
        [
            f"step {record['step']}",
            f"epoch {record['epoch']:.2f}",
            *([] if record["train_loss"] is None else [f"train loss {record['train_loss']:.4f}"]),
            *metrics,
            *([] if record["gradient_norm"] is None else [f"norm {record['gradient_norm']:.2f}"]),
            *([f"{record['skipped']} skipped"] if record.get("skipped") else []),
            f"{record['examples_per_second']:,.0f} examples/s",
            f"{record['tokens_per_second']:,.0f} tokens/s",
            clock(record["seconds"]),
        ]
    )


def short(number: float) -> str:
    """950 → "950", 12345 → "12k", 3456789 → "3.5M"."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}" if number < 10 * size else f"{number / size:.0f}{unit}"
    return f"{number:.0f}"


def clock(seconds: float) -> str:
    """3725 → "1:02:05", 65 → "1:05"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _write(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
        stream.write(text + "\n")
        stream.flush()
