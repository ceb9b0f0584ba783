"""JSON Lines: one object a line; or one bare value a line, which becomes the column "input"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from recurra.data.readers.lines import read_lines
from recurra.data.readers.options import ReadOptions
from recurra.data.table import Table, check_not_empty
from recurra.errors import DataError

MOST_EMPTY_CELLS = 10_000_000  # rows × columns that no line gave: lines that share no keys would fill the memory
BARE_COLUMN = "input"


def read_jsonl(path: Path, options: ReadOptions) -> Table:
    """A JSON Lines file; a key that a line lacks is None there, blank lines are passed over.

    Raises:
        DataError: a line is no JSON, or objects and bare values are mixed, with the line.
    """
    values: list[Any] = []
    lines: list[int] = []
    for line, text in enumerate(read_lines(path, options), 1):
        if text.isspace():
            continue
        value = parse_line(text, str(path), line)
        if values and isinstance(value, dict) != isinstance(values[0], dict):
            raise DataError(
                f"is {_kind(value)}, and line {lines[0]} is {_kind(values[0])}; every line must be an object, or none",
                path,
                line,
            )
        values.append(value)
        lines.append(line)
    check_not_empty(len(values), path)
    return Table(str(path), columns_of(values, str(path)), lines)


def parse_line(text: str, source: str, line: int | None) -> Any:
    """One JSON value.

    Raises:
        DataError: it is no JSON, nests too deep, or holds NaN or a number of thousands of digits.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise DataError(f"is not JSON: {error.msg} at character {error.colno}", source, line) from error
    except RecursionError as error:
        raise DataError("nests lists or objects deeper than is read here", source, line) from error
    except ValueError as error:
        if "digits" in str(error):
            raise DataError(
                "holds an integer of thousands of digits; write it as a decimal number or as text", source, line
            ) from error
        raise DataError(f"is not JSON: {error}", source, line) from error


def columns_of(rows: list[Any], source: str) -> dict[str, list[Any]]:
    """Rows (objects, or bare values) as columns.

    Raises:
        DataError: the rows share so few keys that a table of them would be almost empty.
    """
    if not isinstance(rows[0], dict):
        return {BARE_COLUMN: rows}
    names = list(dict.fromkeys(name for row in rows for name in row))
    given = sum(len(row) for row in rows)
    if len(rows) * len(names) - given > max(MOST_EMPTY_CELLS, given):
        raise DataError(
            f"its {len(rows)} rows have {len(names)} keys between them and share almost none; "
            "give every row the same keys",
            source,
        )
    return {name: [row.get(name) for row in rows] for name in names}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "a bare value"
