"""A trained model, on disk and in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from recurra.data.partition import FileRecord, check_unchanged
from recurra.errors import InputError
from recurra.html import html_table
from recurra.run.certificate import certified
from recurra.run.files import BASELINES
from recurra.run.plain import load_baselines
from recurra.standing import baseline_names
from recurra.streaming import Session
from recurra.tasks import Task


class Run(ABC):
    """A trained model, on disk and in memory.

    Args:
        path: the folder.
        task: what turns inputs into answers.
        files: the data files that made it; empty where the data came as Python objects.
        result: what `result.json` holds.
    """

    def __init__(self, path: Path, task: Task, files: tuple[FileRecord, ...], result: dict[str, Any]) -> None:
        self.path, self.files, self.result = path, files, result
        self._task: Any = task

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self._task.name)

    @property
    def settings(self) -> Any:
        """Every setting that made the run."""
        return self._task.settings

    @property
    def model(self) -> torch.nn.Module:
        """The trained model, in evaluation mode."""
        model: torch.nn.Module = self._task.model
        return model

    @property
    def parts(self) -> Any:
        """The task behind the run: features, targets and model."""
        return self._task

    @property
    def reads_text(self) -> bool:
        """Whether an input is a text; else it is numbers or lists."""
        return bool(self._task.reads_text)

    @abstractmethod
    def evaluate(self, data: Any = None) -> dict[str, float]:
        """The task's metrics, and the baselines' beside them.

        Args:
            data: labelled, a file or Python objects as for `train`; None: the test data of the run.

        Raises:
            InputError: no data is given and the run's came as Python objects, or its files have changed.
            DataError: the data cannot be used.
        """

    @abstractmethod
    def predict(self, inputs: Any) -> Any:
        """A prediction for each input, in order.

        Raises:
            DataError: an input cannot be read; with its row.
        """

    @abstractmethod
    def predict_rows(self, rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """A dictionary fit for JSON for each row, the answer or an error. Rows may be errors already."""

    @abstractmethod
    def inputs_of(self, path: Path, format: str | None = None) -> list[Any]:
        """The inputs of a file in any format the task trains on; targets are not needed.

        Raises:
            DataError: it cannot be read.
        """

    @abstractmethod
    def input_of(self, value: Any, source: str, line: int) -> Any:
        """The input that a JSON value is, or holds.

        Raises:
            DataError: it holds none.
        """

    @abstractmethod
    def test_inputs(self, test: Any, count: int) -> list[Any]:
        """Some inputs of the test data, as `predict_rows` takes them."""

    @abstractmethod
    def stream(self, state: Any = None) -> Session:
        """A live sequence through the whole run: preprocessing, model and answer.

        Args:
            state: to begin from: another session's `state`, or the path of one that a session saved; None: from the
                beginning.

        Raises:
            NotStreamable: the model needs whole sequences.
            StateError: the file is missing, damaged, or of another run.
            ShapeError: the state is not one of this run.
        """

    @property
    def needs_whole_input(self) -> bool:
        """Whether a row alone is no input."""
        return False

    def facts(self) -> dict[str, Any]:
        """What else `describe` says of the model and its answers."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What is in the run, for people."""
        model = self.settings.model
        return {
            "path": str(self.path),
            "task": self.task,
            "cell": model.cell,
            "hidden_size": model.hidden_size,
            "num_layers": model.num_layers,
            **self.facts(),
            "parameters": sum(one.numel() for one in self._task.model.parameters()),
            **{key: self.result[key] for key in (*self._task.metrics, "training_seconds") if key in self.result},
            "certificate": certified(self.path).words,
            "data": [asdict(record) for record in self.files],
        }

    def own_test_data(self) -> Any:
        """The test data of the run, read again as `train` read them.

        Raises:
            InputError: the run's data came as Python objects.
            DataError: a file is gone or has changed.
        """
        if not self.files:
            raise InputError(f"{self.path}: the data of this run came as Python objects; give evaluate its data")
        check_unchanged(self.files)
        return self._task.read(self.settings, None, self._task).test

    def _baseline_scores(self, examples: Any) -> dict[str, float]:
        """What the run's plain methods come to, where it has some."""
        if not any((self.path / name).exists() for name in BASELINES):
            return {}
        found: dict[str, float] = self._task.score_baselines(load_baselines(self.path, self._task), examples)
        return found

    def __repr__(self) -> str:
        metric = self._task.metric
        score = f", {metric}={self.result[metric]:.4f}" if metric in self.result else ""
        return f"{type(self).__name__}({str(self.path)!r}, {self.task}{score})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores beside the baselines' where there are some."""
        measured = [name for name in self._task.metrics if name in self.result]
        baselines = baseline_names(self.result)
        rows = [
            [name, self.result[name], self.result.get(f"valid_{name}")]
            + [self.result.get(f"baseline_{one}_{name}") for one in baselines]
            for name in measured
        ]
        title = f"{self.task} run {self.path}: {self.settings.model.cell} of {self.settings.model.hidden_size}"
        return html_table(title, ["metric", "test", "validation", *baselines], rows)
