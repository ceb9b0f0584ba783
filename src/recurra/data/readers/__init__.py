"""Files as tables: one format a file, chosen by the name's ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recurra.data.readers.conll import read_conll, read_conllu
from recurra.data.readers.delimited import read_csv, read_tsv
from recurra.data.readers.jsonl import parse_line, read_jsonl
from recurra.data.readers.lines import is_gzip
from recurra.data.readers.npz import read_npz
from recurra.data.readers.options import ReadOptions
from recurra.data.readers.parquet import read_parquet
from recurra.data.readers.python import table_from_python
from recurra.data.table import Table
from recurra.errors import DataError, SettingsError
from recurra.settings.names import did_you_mean

READERS: dict[str, Callable[[Path, ReadOptions], Table]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".conllu": read_conllu,
    ".conll": read_conll,
    ".parquet": read_parquet,
    ".npz": read_npz,
}
GZIP_READERS = (read_csv, read_tsv, read_jsonl, read_conllu, read_conll)  # the others compress within


def read_table(
    path: Path, *, delimiter: str = "", header: bool = True, encoding: str = "utf-8", format: str | None = None
) -> Table:
    """Read a file of any known format, by its ending (and .gz after it).

    Args:
        path: the file.
        delimiter: character between fields of CSV and TSV; empty: by the format.
        header: whether the first line of CSV and TSV names the columns; without it they are "1", "2", …
        encoding: of CSV, TSV, JSONL and CoNLL.
        format: "csv", "jsonl", …, where the ending does not say it.

    Raises:
        DataError: the file is missing, empty, of no known format, or faulty; with the place and the mend.
        SettingsError: the format, the delimiter or the encoding is not known.
    """
    options = ReadOptions(delimiter, header, encoding)
    check_file(path)
    reader = _reader(path, format)
    if is_gzip(path) and reader not in GZIP_READERS:
        raise DataError("is compressed within and cannot be read through gzip; inflate it first", path)
    return reader(path, options)


def _reader(path: Path, format: str | None) -> Callable[[Path, ReadOptions], Table]:
    known = [suffix.removeprefix(".") for suffix in READERS]
    if format is not None:
        if format not in known:
            raise SettingsError(f"format: {format!r} is not known; {did_you_mean(format, known)}")
        return READERS[f".{format}"]
    suffix = (Path(path.stem) if is_gzip(path) else path).suffix.lower()
    if suffix not in READERS:
        nearest, every = did_you_mean(suffix, READERS), f"known: {', '.join(READERS)}"
        hint = every if nearest == every else f"{nearest} ({every})"
        raise DataError(f"its ending {suffix!r} says no known format; {hint}, the text ones also with .gz", path)
    return READERS[suffix]


def check_file(path: Path) -> None:
    """Refuse what is no regular file with something in it.

    Raises:
        DataError: with the mend.
    """
    try:
        if path.is_dir():
            raise DataError("is a folder; give a file", path)
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise DataError("does not exist; check the name", path) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path) from error
    if not path.is_file():
        raise DataError("is not a regular file; write it to one first", path)
    if size == 0:
        raise DataError("is empty; at least one row of data is expected", path)


__all__ = ["READERS", "ReadOptions", "check_file", "parse_line", "read_table", "table_from_python"]
