"""Tagged sentences: which columns hold the tokens and the tags, rows of tokens gathered, tags as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.labels import label_text
from recurra.data.long_form import ordered, rows_by_id
from recurra.data.table import Place, Table, listed
from recurra.errors import DataError, RunError
from recurra.settings.groups import TableSettings

INPUT_NAMES = ("form", "token", "tokens", "words", "word")
TARGET_NAMES = ("upos", "tag", "tags", "label", "labels")
ALSO_NAMES = ("xpos", "feats")  # what CoNLL-U holds of a word beside its part of speech
UNSEEN = -1  # a tag that training has not seen: no answer is right


def token_column(table: Table, settings: TableSettings) -> str:
    """The column of tokens: the one given, the one with a usual name, or the only one.

    Raises:
        DataError: it is missing, or several could be meant.
    """
    if settings.input:
        table.column(settings.input[0])
        return settings.input[0]
    found = _usual(table, INPUT_NAMES)
    if found is not None:
        return found
    if len(table.columns) == 1:
        return next(iter(table.columns))
    raise DataError(f"which column holds the tokens? give --input with one of: {listed(table.columns)}", table.source)


def tag_column(table: Table, settings: TableSettings) -> str:
    """The column of tags: the one given, or the one with a usual name.

    Raises:
        DataError: it is missing.
    """
    if settings.target:
        table.column(settings.target[0])
        return settings.target[0]
    found = _usual(table, TARGET_NAMES)
    if found is None:
        raise DataError(
            f"which column holds the tags? give --target with one of: {listed(table.columns)}", table.source
        )
    return found


def also_columns(table: Table, also: str, target: str) -> tuple[str, ...]:
    """The columns of tags learned beside the target.

    Args:
        also: names between commas, "none", or "auto": those that CoNLL-U has, where no word lacks them and they differ.

    Raises:
        DataError: there is no such column.
    """
    if also == "auto":
        there = [name for name in ALSO_NAMES if name in table.columns and name != target and target == "upos"]
        return tuple(name for name in there if _worth_learning(table.columns[name]))
    names = [] if also == "none" else [name.strip() for name in also.split(",") if name.strip()]
    for name in names:
        table.column(name)
        if name == target:
            raise DataError(f"also: {name!r} is the target already; name another column", table.source)
    return tuple(dict.fromkeys(names))


def gathered(table: Table, settings: TableSettings) -> Table:
    """With an id, a row a sentence: each column's cells of an id as a list, in the order of time; else as it is.

    Raises:
        DataError: an id or a time is missing, or an id stands in two groups.
    """
    if not settings.id:
        return table
    owned = rows_by_id(table, settings.id)
    in_time = [ordered(table, settings, rows) for rows in owned.values()]
    columns: dict[str, list[Any]] = {
        name: [[values[row] for row in rows] for rows in in_time]
        for name, values in table.columns.items()
        if name not in (settings.id, settings.group)
    }
    columns[settings.id] = list(owned)
    if settings.group and settings.group != settings.id:
        groups = table.column(settings.group)
        for key, rows in owned.items():
            for row in rows:
                if groups[row] != groups[rows[0]]:
                    raise table.place(row, settings.group).error(
                        f"the group of the id {key!r} is another one than in line {table.lines[rows[0]]}; "
                        "every row of an id needs the same"
                    )
        columns[settings.group] = [groups[rows[0]] for rows in owned.values()]
    first = [rows[0] for rows in owned.values()]
    sources = [table.sources[row] for row in first] if table.sources else []
    return Table(table.source, columns, [table.lines[row] for row in first], sources)


@dataclass(frozen=True)
class Tags:
    """The names of the tags of a column, in the order of their scores.

    Args:
        column: what they are called in the data.
        names: sorted.
    """

    column: str
    names: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", {name: at for at, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def fit(cls, table: Table, column: str, lengths: Sequence[int]) -> Tags:
        """Learn the names from the training sentences.

        Args:
            lengths: tokens of each sentence.

        Raises:
            DataError: a sentence has more or fewer tags than tokens, a tag is missing, or all are the same.
        """
        values = table.column(column)
        rows = (tags_of(values[row], length, table.place(row, column)) for row, length in enumerate(lengths))
        names = sorted({name for tags in rows for name in tags})
        if len(names) < 2:
            held = f"the one tag {names[0]!r}" if names else "no tag"
            raise table.column_place(column).error(f"the training data hold {held}; tagging needs two")
        return cls(column, tuple(names))

    def encode(self, value: Any, length: int, place: Place) -> NDArray[np.int64]:
        """The numbers of a sentence's tags [T]; UNSEEN where training has not seen a tag.

        Raises:
            DataError: there are more or fewer than tokens, or one is missing.
        """
        return np.array([self._ids.get(tag, UNSEEN) for tag in tags_of(value, length, place)], dtype=np.int64)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The names of numbers."""
        return [self.names[number] for number in numbers]

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"column": self.column, "names": list(self.names)}

    @classmethod
    def from_json(cls, data: Any) -> Tags:
        """Tags as a run stored them.

        Raises:
            RunError: they are not a column and unique names.
        """
        column = data.get("column") if isinstance(data, dict) else None
        names = data.get("names") if isinstance(data, dict) else None
        if (
            not isinstance(column, str)
            or not isinstance(names, list)
            or len(names) < 2
            or not all(isinstance(name, str) and name for name in names)
            or len(set(names)) != len(names)
        ):
            raise RunError("tags: a column and unique names are expected; the run is damaged, train it again")
        return cls(column, tuple(names))


def tags_of(value: Any, length: int, place: Place) -> list[str]:
    """A sentence's tags as texts, one a token.

    Raises:
        DataError: they are no list, more or fewer than tokens, or one is missing.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        received = "missing" if value is None else type(value).__name__
        raise place.error(f"is {received}; a list of tags is expected, one a token")
    if len(value) != length:
        raise place.error(f"{len(value)} tags stand beside {length} tokens; give each token one")
    found = []
    for at, tag in enumerate(value, 1):
        if isinstance(tag, str) and tag:
            found.append(tag)
        elif tag is None or tag == "":
            raise place.error(f"the tag of token {at} is missing; give every token one")
        else:
            found.append(label_text(tag, place))
    return found


def _usual(table: Table, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table.columns), None)


def _worth_learning(sentences: list[Any]) -> bool:
    tags = {tag for tags in sentences for tag in tags}
    return None not in tags and len(tags) > 1
