"""A trained model over tables: a row, or an id's rows, is one sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from recurra.data.answers import in_kind_of
from recurra.data.columns import input_column, inputs_of
from recurra.data.long_form import Keyed, keyed_sequences, sequences
from recurra.data.partition import read_labelled
from recurra.data.readers import table_from_python
from recurra.data.readers.jsonl import columns_of
from recurra.data.table import Table
from recurra.errors import DataError, InputError, RecurraError
from recurra.metrics import ClassificationMetrics
from recurra.run.rows_run import RowsRun
from recurra.settings.names import StreamWeights
from recurra.settings.tasks import ManyToOneSettings
from recurra.streaming import Session, SessionState
from recurra.tasks import Classify, ManyToOne
from recurra.tasks.streams import session_of


class TableRun(RowsRun):
    """A run of a task with one answer a sequence: classify, regress."""

    _task: ManyToOne

    @property
    def settings(self) -> ManyToOneSettings:
        """Every setting that made the run."""
        return cast(ManyToOneSettings, self._task.settings)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the logits.

        Raises:
            InputError: the run answers numbers.
        """
        return self._classes().targets.names

    def gathered(self, table: Table) -> Table:
        """Sequences of a table with one row a time step, where the run has an id."""
        return sequences(table, self.settings.data)

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """The task's metrics.

        Args:
            data: a labelled file, or Python objects as for `train`; None: the test data of the run.

        Returns:
            accuracy, macro_f1, loss (nats), examples; of a regression mae, rmse, r2, loss, examples;
            and the baselines' beside them: `baseline_linear_accuracy`, `baseline_linear_seconds` (of fitting), ….

        Raises:
            InputError: no data is given and the run's came as Python objects, or its files have changed.
            DataError: the data cannot be used.
        """
        examples = self._task.examples(self.table_of(data))
        found = {**self._task.score(examples).metrics, "examples": len(examples.inputs)}
        return found | self._baseline_scores(examples)

    def confusion(self, data: Any = None) -> np.ndarray[Any, np.dtype[np.int64]]:
        """[C, C] rows counted, row = truth, column = prediction, in the order of `labels`; data as in `evaluate`.

        Raises:
            InputError: the run gives several labels a row, or numbers.
        """
        task = self._classes()
        examples = task.examples(self.table_of(data))
        counted = task.counted(task.outputs(examples.encoded), examples.targets)
        if not isinstance(counted, ClassificationMetrics):
            raise InputError(f"{self.path}: a row has several labels here, and a confusion matrix needs one")
        return counted.confusion.numpy()

    def predict(self, inputs: Any) -> Any:
        """A prediction for each input, in order: label and probabilities, or the value of a regression.

        Args:
            inputs: texts, or series and vectors as in training; or columns with the run's input column: a mapping, a
                list of dictionaries, a frame (of a run with an id: one row a time step, and an answer for each id in
                order of first appearance).

        Returns:
            A list of predictions. For a frame a frame of the same kind with the same index: the columns label and
            probability_NAME for each class, or value (of a run with an id: the id before them, a row an id).

        Raises:
            DataError: an input cannot be read; with its row.
        """
        given = table_from_python(inputs if hasattr(inputs, "__len__") else list(inputs))
        table = self._asked(given)
        column = next(iter(table.columns)) if len(table.columns) == 1 else input_column(table, self.settings.data)
        answers = []
        for row, (answer, _) in enumerate(self._task.predict(self._inputs(table), self._task.decode)):
            if isinstance(answer, DataError) and answer.source is not None:
                raise answer
            if isinstance(answer, RecurraError):
                raise table.place(row, column).error(str(answer)) from answer
            answers.append(answer)
        keys = {} if table is given else {self.settings.data.id: table.column(self.settings.data.id)}
        return in_kind_of(inputs, answers, keys)

    def stream(self, state: SessionState | str | Path | None = None, *, weights: StreamWeights = "exact") -> Session:
        """A live sequence: `step(x)` a time step, `push(chunk)` several, or a piece of text; each answers.

        Every answer is that of `predict` on all input so far, save that max_length cuts nothing.

        Args:
            state: to begin from: another session's `state`, or the path of one that a session saved; None: from the
                beginning.
            weights: "exact", or "int8": those of the layers of 8 bits with a scale a row, for a model of series;
                quicker, and the answers are no longer those of `predict` to 1e-5.

        Raises:
            NotStreamable: the model is bidirectional, or reads single vectors.
            SettingsError: weights of 8 bits cannot be had.
            StateError: the file is missing, damaged, or of another run.
            ShapeError: the state is not one of this run.
        """
        return session_of(self._task, state, str(self.path), weights)

    def predict_rows(self, rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """A dictionary fit for JSON for each row: label and probabilities, value, or error.

        `cut` counts the steps that max_length took from the input, where it took any. Rows may be errors already.
        """
        for row, (answer, cut) in self.answered(rows, lambda values: self._task.predict(values, self._task.answers)):
            found = {"error": str(answer)} if isinstance(answer, RecurraError) else answer
            if isinstance(row, Keyed):
                found = {"id": row.id} | found
            yield {**found, "cut": cut} if cut else found

    def inputs_of(self, path: Path, format: str | None = None) -> list[Any]:
        """The inputs of a file in any format the task trains on; targets are not needed.

        Of a run with an id: a `Keyed` sequence an id, or bare sequences where the file has no columns.

        Raises:
            DataError: it cannot be read, or has not the run's input column.
        """
        table = read_labelled(path, self.settings.data, format)
        if self.settings.data.id and set(table.columns) != {"input"}:
            return list(keyed_sequences(table, self.settings.data))
        return self._inputs(table)

    def input_of(self, value: Any, source: str, line: int) -> Any:
        """A JSON value's input: the value itself, or from an object the run's input column.

        Raises:
            DataError: the object has no such column.
        """
        if not (isinstance(value, dict) and value):
            return value
        return inputs_of(Table(source, columns_of([value], source), [line]), self.settings.data)[0]

    def facts(self) -> dict[str, Any]:
        """The labels, if there are any, and how a sequence becomes one vector."""
        labels = {"labels": list(self.labels)} if isinstance(self._task, Classify) else {}
        return {"bidirectional": self.settings.model.bidirectional, "pooling": self.settings.model.pooling, **labels}

    def _classes(self) -> Classify:
        if not isinstance(self._task, Classify):
            raise InputError(f"{self.path}: this run is a {self.task} run, which has no classes")
        return self._task

    def _inputs(self, table: Table) -> list[Any]:
        if not self.settings.data.input and len(table.columns) == 1:
            return next(iter(table.columns.values()))
        if set(table.columns) == {"input"} and (self.settings.data.id or len(self.settings.data.input) == 1):
            return table.column("input")
        return inputs_of(table, self.settings.data, faults_in_place=True)

    def _asked(self, table: Table) -> Table:
        """A table to predict with a row an input: of a run with an id its sequences, where they are not whole yet."""
        whole = set(table.columns) == {"input"}
        return table if whole else sequences(table, self.settings.data, labelled=False)
