"""What a run folder says of its training, read from its small files: one of an earlier version says less."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recurra.errors import DataError, InputError, RunError
from recurra.files import read_bounded
from recurra.run import decisive_files
from recurra.settings.tasks import TaskSettings
from recurra.settings.toml import LARGEST_FILE, from_toml
from recurra.standing import baseline_names
from recurra.training.folder import BEGUN, SEALED
from recurra.training.loop import METRICS_FILE
from recurra.training.protocol import how_to_go_on

LARGEST_RESULT, LARGEST_HISTORY = 16 << 20, 64 << 20  # bytes


@dataclass(frozen=True)
class Measured:
    """One training.

    path: the run. task: its name. settings: every one. files: SHA-256 and use of each data file. result: what
    result.json holds, empty where it failed. history: the lines of metrics.jsonl. error: why it failed.
    """

    path: Path
    task: str
    settings: TaskSettings
    files: tuple[tuple[str, str], ...] = ()
    result: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    @property
    def seed(self) -> int:
        """Of the split, the weights, the order and the noise."""
        return self.settings.training.seed

    @property
    def cell(self) -> str:
        """Its name."""
        return self.settings.model.cell or ""

    def number(self, name: str) -> float:
        """A number of the result; NaN where there is none, or it was not finite."""
        return number_of(self.result.get(name))

    @property
    def examples_per_second(self) -> float:
        """The median over the evaluations, evaluating left out; NaN where the run does not say."""
        rates = [number_of(line.get("examples_per_second")) for line in self.history]
        rates = [rate for rate in rates if math.isfinite(rate)]
        return statistics.median(rates) if rates else math.nan

    def plain(self, metric: str) -> dict[str, float]:
        """The metric of each plain method that has it, by its name."""
        found = {name: self.number(f"baseline_{name}_{metric}") for name in baseline_names(self.result)}
        return {name: value for name, value in found.items() if math.isfinite(value)}


def read_measured(path: Path) -> Measured:
    """A run that ended.

    Raises:
        RunError: it is no run, has not ended, or is damaged; with the mend.
    """
    if not path.is_dir():
        raise RunError(f"{path} is no run folder: there is no such folder")
    if not (path / SEALED).exists():
        if (path / BEGUN).exists():
            raise RunError(f"{path}: this training has not ended; {how_to_go_on(path)}")
        raise RunError(f"{path} is no run folder: it has no {SEALED}")
    decisive_files(path)
    try:
        task, settings, record = from_toml(_text(path / BEGUN, 4 * LARGEST_FILE), str(path / BEGUN))
        result = json.loads(_text(path / "result.json", LARGEST_RESULT))
        lines = _text(path / METRICS_FILE, LARGEST_HISTORY).splitlines() if (path / METRICS_FILE).exists() else []
        history = [json.loads(line) for line in lines]
    except (InputError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}; copy the whole run again, or train it again") from error
    if not isinstance(result, dict) or not all(isinstance(line, dict) for line in history):
        raise RunError(f"{path} is damaged: result.json and {METRICS_FILE} hold no objects; train it again")
    files = record.get("files")
    return Measured(path, task, settings, _fingerprints(files), result, history)


def number_of(value: Any) -> float:
    """A finite number as it is, everything else as NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan
    return float(value)


def _fingerprints(files: Any) -> tuple[tuple[str, str], ...]:
    records = [one for one in files if isinstance(one, dict)] if isinstance(files, list) else []
    return tuple((str(one.get("split")), str(one.get("sha256"))) for one in records)


def _text(path: Path, limit: int) -> str:
    try:
        return read_bounded(path, limit).decode()
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", path) from error
