"""Labels: the classes of a classification, learned from the training rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from recurra.data.table import Place, Table, listed
from recurra.errors import DataError, RunError
from recurra.settings.names import did_you_mean

_NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d{1,300})?", re.ASCII)


@dataclass(frozen=True)
class Labels:
    """The names of the classes, in the order of the model's outputs.

    Args:
        names: sorted, numbers by their value.
        several: whether a row has any number of labels, or exactly one.
    """

    names: tuple[str, ...]
    several: bool
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", {name: i for i, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_column(cls, values: Sequence[Any], place: Callable[[int], Place]) -> Labels:
        """Learn the names from training rows: one label a row, or a list of them.

        Args:
            values: of each row, a label or a list of labels.
            place: where a row stands, by its index.

        Raises:
            DataError: a label is missing or of no usable type, or there is nothing to tell apart.
        """
        if not values:
            raise DataError("there are no rows to learn labels from")
        several = _is_list(values[0])
        rows = [label_names(value, several, place(row)) for row, value in enumerate(values)]
        names = {name for row in rows for name in row}
        column = place(0)
        everywhere = Place(column.source, None, column.column)
        if not names:
            raise everywhere.error(f"all {len(rows)} rows have no label at all; classification needs some")
        if len(names) == 1 and all(rows):
            raise everywhere.error(
                f"all {len(rows)} rows have the label {next(iter(names))!r}; classification needs two"
            )
        return cls(tuple(sorted(names, key=_order)), several)

    @classmethod
    def from_table(cls, table: Table, columns: Sequence[str]) -> Labels:
        """Learn the names from one column of labels or of lists, or from several columns of 0 and 1.

        Raises:
            DataError: as `from_column`; a column is missing, or one of several holds more than 0 and 1.
        """
        values = label_values(table, columns)
        learned = cls.from_column(values, partial(table.place, column=_title(columns)))
        # a column that is 0 in every training row is a label all the same
        return cls(tuple(sorted(columns, key=_order)), True) if len(columns) > 1 else learned

    def encode(self, value: Any, place: Place) -> int | list[int]:
        """The number of a row's label; the sorted numbers of its labels where there are several.

        Raises:
            DataError: the label is missing, or was never seen in training.
        """
        ids = sorted({self._id(name, place) for name in label_names(value, self.several, place)})
        return ids if self.several else ids[0]

    def encode_table(self, table: Table, columns: Sequence[str]) -> list[int | list[int]]:
        """The labels of every row.

        Raises:
            DataError: as `encode`, with the row's line.
        """
        title = _title(columns)
        values = label_values(table, columns)
        return [self.encode(value, table.place(row, title)) for row, value in enumerate(values)]

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"names": list(self.names), "several": self.several}

    @classmethod
    def from_json(cls, data: Any) -> Labels:
        """Labels as a run stored them.

        Raises:
            RunError: they are not a list of unique names and a truth value.
        """
        names = data.get("names") if isinstance(data, dict) else None
        several = data.get("several") if isinstance(data, dict) else None
        if (
            not isinstance(names, list)
            or not names
            or not all(isinstance(name, str) and name for name in names)
            or len(set(names)) != len(names)
            or not isinstance(several, bool)
        ):
            raise RunError("labels: unique names and 'several' are expected; the run is damaged, train it again")
        return cls(tuple(names), several)

    def _id(self, name: str, place: Place) -> int:
        if name not in self._ids:
            raise place.error(
                f"the label {name!r} was never seen in training; {did_you_mean(name, self._ids)}"
                if len(self) <= 1000
                else f"the label {name!r} was never seen in training ({len(self)} labels are known)"
            )
        return self._ids[name]


def label_values(table: Table, columns: Sequence[str]) -> list[Any]:
    """Each row's label as the file has it; of several 0/1 columns, the list of the names that are 1.

    Raises:
        DataError: a column is missing, or one of several holds something other than 0 and 1.
    """
    if len(columns) == 1:
        return table.column(columns[0])
    rows: list[list[str]] = [[] for _ in range(len(table))]
    for name in columns:
        for row, value in enumerate(table.column(name)):
            place = table.place(row, name)
            text = label_text(value, place)
            if text not in ("0", "1"):
                raise place.error(f"is {_shortened(text)}; with several target columns, each holds 0 or 1")
            if text == "1":
                rows[row].append(name)
    return list(rows)


def label_names(value: Any, several: bool, place: Place) -> list[str]:
    """A row's labels as text, one or any number.

    Raises:
        DataError: a label is missing, or a list stands where one label is expected, or the other way round.
    """
    if _is_list(value) != several:
        received, expected = ("a list", "one label") if not several else ("no list", "a list of labels")
        raise place.error(f"is {received}, and other rows have {expected}; give every row the same kind")
    return [label_text(one, place) for one in value] if several else [label_text(value, place)]


def label_text(value: Any, place: Place) -> str:
    """A label as text: whole numbers and truth values as integers, other numbers as Python writes them.

    Raises:
        DataError: it is missing, or neither text nor a number.
    """
    if hasattr(value, "item") and not _is_list(value):
        value = value.item()  # a numpy scalar
    if value is None or (isinstance(value, str) and not value.strip()):
        raise place.error("the label is missing; give the row one, or remove it")
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise place.error(f"the label is {value}; give the row a label, or remove it")
    if isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()):
        try:
            return str(int(value))
        except ValueError as error:  # Python writes no integers above 4300 digits
            raise place.error("the label is a number of thousands of digits; write it as text") from error
    if isinstance(value, float):
        return repr(value)
    raise place.error(f"the label is {type(value).__name__}; text or a number is expected")


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def _title(columns: Sequence[str]) -> str:
    return columns[0] if len(columns) == 1 else listed(columns)


def _order(name: str) -> tuple[int, float, str]:
    return (0, float(name), name) if _NUMBER.fullmatch(name) else (1, 0.0, name)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
