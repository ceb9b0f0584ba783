"""What the runs over tables share: a row, or the rows of an id, is one input."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from recurra.data.long_form import Keyed
from recurra.data.partition import read_labelled
from recurra.data.readers import table_from_python
from recurra.data.table import Table
from recurra.run.run import Run

T = TypeVar("T")


class RowsRun(Run):
    """A run whose data are tables: classify, regress, tag."""

    @abstractmethod
    def gathered(self, table: Table) -> Table:
        """The table with one input a row, where an id had one a time step."""

    @property
    def needs_whole_input(self) -> bool:
        """Whether a row alone is no input: the steps of an id may stand anywhere in the table."""
        return bool(self.settings.data.id)

    def test_inputs(self, test: Any, count: int) -> list[Any]:
        """The first inputs of the test data."""
        inputs: list[Any] = test.inputs[:count]
        return inputs

    def answered(self, rows: Iterable[Any], answers: Callable[[Iterable[Any]], Iterator[T]]) -> Iterator[tuple[Any, T]]:
        """Each row with the answer to what it holds, in order; of a `Keyed` row that is its value.

        Args:
            rows: read as they are needed, so that whoever waits for an answer gets it.
            answers: values → an answer each.
        """
        asked: deque[Any] = deque()

        def values() -> Iterator[Any]:
            for row in rows:
                asked.append(row)
                yield row.value if isinstance(row, Keyed) else row

        for answer in answers(values()):
            yield asked.popleft(), answer

    def table_of(self, data: Any) -> Table:
        """Labelled data as a table: a file, Python objects, or None for the test data of the run.

        Raises:
            InputError: no data is given and the run's came as Python objects, or its files have changed.
            DataError: the data cannot be read.
        """
        if isinstance(data, str | Path):
            return self.gathered(read_labelled(data, self.settings.data))
        if data is not None:
            return self.gathered(table_from_python(data))
        table: Table = self.own_test_data()
        return table
