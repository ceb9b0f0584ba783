"""A trained tagger: a sentence is a list of tokens, and its answer a tag for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from recurra.data.answers import in_kind_of
from recurra.data.long_form import Keyed
from recurra.data.partition import read_labelled
from recurra.data.readers import table_from_python
from recurra.data.readers.jsonl import columns_of
from recurra.data.table import Table
from recurra.data.tagged import gathered, token_column
from recurra.errors import RecurraError
from recurra.run.rows_run import RowsRun
from recurra.settings.tasks import TagSettings
from recurra.streaming import Session, SessionState
from recurra.tasks import Tag, Tagged
from recurra.tasks.tag_stream import tag_session


class TagRun(RowsRun):
    """A run of tagging."""

    _task: Tag

    @property
    def settings(self) -> TagSettings:
        """Every setting that made the run."""
        return cast(TagSettings, self._task.settings)

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags, in the order of their scores."""
        return self._task.tags[0].names

    def gathered(self, table: Table) -> Table:
        """Sentences of a table with one row a token, where the run has an id."""
        return gathered(table, self.settings.data)

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """The metrics of tagging.

        Args:
            data: tagged sentences, a file or Python objects as for `train`; None: the test data of the run.

        Returns:
            accuracy, known_accuracy and unknown_accuracy (of words that training has and has not seen), loss (nats a
            token), where tags write spans span_f1, span_precision and span_recall, examples and tokens; and those of
            the most frequent tag of each word: `baseline_frequent_accuracy`, ….

        Raises:
            InputError: no data is given and the run's came as Python objects, or its files have changed.
            DataError: the data cannot be used.
        """
        examples = self._task.examples(self.table_of(data))
        counts = {"examples": len(examples.inputs), "tokens": examples.tokens}
        return {**self._task.score(examples).metrics, **counts, **self._baseline_scores(examples)}

    def predict(self, inputs: Any) -> Any:
        """The tags of each input, in order.

        Args:
            inputs: lists of tokens, or texts, which are cut at blanks; or columns with the run's column of tokens: a
                mapping, a list of dictionaries, a frame.

        Returns:
            A list of `Tagged`. For a frame a frame of the same kind with the column tags (of a run with an id: a row
            an id, which stands before them).

        Raises:
            DataError: an input cannot be read; with its row.
        """
        given = table_from_python(inputs if hasattr(inputs, "__len__") else list(inputs))
        table = gathered(given, self.settings.data) if self._keyed(given) else given
        column = token_column(table, self.settings.data) if len(table.columns) > 1 else next(iter(table.columns))
        answers = []
        for row, answer in enumerate(self._task.predict(table.column(column))):
            if isinstance(answer, RecurraError):
                raise table.place(row, column).error(str(answer)) from answer
            answers.append(Tagged(answer))
        keys = {} if table is given else {self.settings.data.id: table.column(self.settings.data.id)}
        return in_kind_of(inputs, answers, keys)

    def predict_rows(self, rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """`{"tags": […]}` for each row, or an error. Rows may be errors already."""
        for row, answer in self.answered(rows, self._task.predict):
            found = {"error": str(answer)} if isinstance(answer, RecurraError) else {"tags": list(answer)}
            yield {"id": row.id} | found if isinstance(row, Keyed) else found

    def inputs_of(self, path: Path, format: str | None = None) -> list[Any]:
        """The sentences of a file in any format the task trains on; tags are not needed.

        Raises:
            DataError: it cannot be read, or has not the run's column of tokens.
        """
        table = read_labelled(path, self.settings.data, format)
        if not self._keyed(table):
            return table.column(token_column(table, self.settings.data))
        table = gathered(table, self.settings.data)
        tokens = table.column(token_column(table, self.settings.data))
        return list(map(Keyed, table.column(self.settings.data.id), tokens))

    def input_of(self, value: Any, source: str, line: int) -> Any:
        """A JSON value's tokens: the list itself, or from an object the run's column of tokens.

        Raises:
            DataError: the object has no such column.
        """
        if not (isinstance(value, dict) and value):
            return value
        table = Table(source, columns_of([value], source), [line])
        return table.column(token_column(table, self.settings.data))[0]

    def stream(self, state: SessionState | str | Path | None = None) -> Session:
        """A live sentence: `step(token)` answers its tag, `push(tokens)` those of several.

        Args:
            state: to begin from: another session's `state`, or the path of one that a session saved; None: from the
                beginning.

        Raises:
            NotStreamable: the model is bidirectional, or the tags of a sentence are chosen together.
            StateError: the file is missing, damaged, or of another run.
            ShapeError: the state is not one of this run.
        """
        return tag_session(self._task, state, str(self.path))

    def facts(self) -> dict[str, Any]:
        """The tags, and what reads the tokens."""
        return {
            "bidirectional": self.settings.model.bidirectional,
            "characters": self.settings.tokens.char_hidden_size > 0,
            "crf": self.settings.tag.crf,
            "labels": list(self.labels),
        }

    def _keyed(self, table: Table) -> bool:
        return bool(self.settings.data.id) and self.settings.data.id in table.columns
