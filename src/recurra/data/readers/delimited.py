"""CSV and TSV, by the standard library's csv module.

CSV is read strictly: a field that begins with a quote ends with one, and quotes inside are doubled.
Tab-separated text is mostly written without quoting, where a quote is a character like any other: there a field
loses its quotes only if it begins and ends with one and every quote inside is doubled.
"""

from __future__ import annotations

import contextlib
import csv
import threading
from collections.abc import Iterator
from pathlib import Path

from recurra.data.readers.lines import read_lines
from recurra.data.readers.options import ReadOptions
from recurra.data.table import Table, check_not_empty
from recurra.errors import DataError

MOST_FIELD_CHARACTERS = 2**24  # the module's own 131072 is less than a long document
DELIMITERS = ("\t", ";", "|", ",")  # those that files are written with, the least ambiguous first
_limit_lock = threading.Lock()


def read_csv(path: Path, options: ReadOptions) -> Table:
    """A comma-separated file (or with another delimiter).

    Raises:
        DataError: a fault of the file, with its line.
    """
    return _read(path, options, options.delimiter or ",")


def read_tsv(path: Path, options: ReadOptions) -> Table:
    """A tab-separated file (or with another delimiter).

    Raises:
        DataError: a fault of the file, with its line.
    """
    return _read(path, options, options.delimiter or "\t")


def _read(path: Path, options: ReadOptions, delimiter: str) -> Table:
    names: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    with _long_fields():
        for line, fields in _records(path, options, delimiter):
            if not names:
                names = _header(path, line, fields) if options.header else _numbers(len(fields))
                if options.header:
                    continue
            if len(fields) != len(names):
                raise _ragged(path, line, len(fields), names, delimiter, options.header)
            rows.append(fields)
            lines.append(line)
    check_not_empty(len(names), path)
    check_not_empty(len(rows), path, "has a header and no rows")
    columns = [list(column) for column in zip(*rows, strict=True)]
    other = _other_delimiter(names, delimiter) if options.header else None
    if other and all(field.count(other) >= names[0].count(other) for field in columns[0]):
        raise DataError(f"has the one column {_cut(names[0])}; {_did_you_mean(other)}", path, 1)
    return Table(str(path), dict(zip(names, columns, strict=True)), lines)


def _records(path: Path, options: ReadOptions, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it begins on; blank lines are passed over."""
    plain = delimiter == "\t"
    reader = csv.reader(
        read_lines(path, options),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
        strict=True,
    )
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _malformed(path, line, error, plain) from error
        if fields:
            yield line, [_unquoted(field) for field in fields] if plain else fields


def _unquoted(field: str) -> str:
    if len(field) >= 2 and field[0] == field[-1] == '"':
        inside = field[1:-1]
        if '"' not in inside.replace('""', ""):
            return inside.replace('""', '"')
    return field


def _header(path: Path, line: int, fields: list[str]) -> list[str]:
    # frames are often written with a nameless index column: it takes its number as its name
    names = [field.strip() or str(number) for number, field in enumerate(fields, 1)]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError("is named twice in the header; give each column its own name", path, line, name)
        seen.add(name)
    return names


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def _other_delimiter(names: list[str], delimiter: str) -> str | None:
    """The delimiter that a header in one piece seems to be written with."""
    if len(names) != 1:
        return None
    return next((other for other in DELIMITERS if other != delimiter and other in names[0]), None)


def _did_you_mean(delimiter: str) -> str:
    written = "$'\\t', or a name that ends in .tsv" if delimiter == "\t" else repr(delimiter)
    return f"did you mean --delimiter {written}?"


def _cut(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}…")


def _ragged(path: Path, line: int, found: int, names: list[str], delimiter: str, header: bool) -> DataError:
    model, expected = "header" if header else "first row", len(names)
    other = _other_delimiter(names, delimiter) if header else None
    if other:
        mend = _did_you_mean(other)
    elif delimiter == "\t":
        mend = "write tabs and line breaks inside a field as spaces"
    else:
        mend = f"a field that holds {delimiter!r} must stand in quotes, or give the file's own delimiter"
    return DataError(f"has {_fields(found)} where the {model} has {expected}; {mend}", path, line)


def _malformed(path: Path, line: int, error: csv.Error, plain: bool) -> DataError:
    text = str(error)
    if "unexpected end" in text:
        return DataError("a quote opens in the row that begins here and is never closed; close it", path, line)
    if "field limit" in text:
        cause = "" if plain else ", as after a quote that is never closed"
        return DataError(f"a field is longer than {MOST_FIELD_CHARACTERS} characters{cause}", path, line)
    if "expected after" in text:
        mend = "double the quotes inside a quoted field, or give the file's own delimiter"
        return DataError(f"a field goes on after its closing quote; {mend}", path, line)
    return DataError(f"cannot be read as a row ({text})", path, line)


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """Let csv read long fields; the limit is the process's, so it is put back, and one reader changes it at a time."""
    with _limit_lock:
        before = csv.field_size_limit(MOST_FIELD_CHARACTERS)
        try:
            yield
        finally:
            csv.field_size_limit(before)
