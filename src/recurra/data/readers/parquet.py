"""Parquet, by pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra.data.readers.options import ReadOptions
from recurra.data.table import Table, check_not_empty
from recurra.errors import DataError
from recurra.optional import require

MOST_BYTES = 8 * 2**30
MOST_CELLS = 2**28  # run-length coding lets a few bytes claim any number of equal values


def read_parquet(path: Path, options: ReadOptions) -> Table:
    """A Parquet file, its values as Python's own; options do not apply to it.

    Raises:
        DataError: it is damaged, no Parquet, or claims more than is read into memory.
    """
    parquet = require("pyarrow.parquet")
    arrow_errors = require("pyarrow").lib.ArrowException
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            _check_size(path, file.metadata)
            names = file.schema_arrow.names
            columns: dict[str, list[Any]] = {name: [] for name in names}
            if len(columns) < len(names):
                twice = next(name for name in columns if names.count(name) > 1)
                raise DataError("is there twice; give each column its own name", path, column=twice)
            for batch in file.iter_batches(use_threads=False):
                for name, values in zip(names, batch.columns, strict=True):
                    columns[name].extend(values.to_pylist())
    except (arrow_errors, OSError, ValueError, OverflowError) as error:
        first_line = str(error).partition("\n")[0]
        raise DataError(f"is not a whole Parquet file ({first_line}); write it again", path) from error
    rows = len(next(iter(columns.values()), []))
    check_not_empty(rows, path, "has no rows")
    return Table(str(path), columns, list(range(1, rows + 1)))


def _check_size(path: Path, metadata: Any) -> None:
    claimed = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    cells = metadata.num_rows * max(1, metadata.num_columns)
    if claimed > MOST_BYTES or cells > MOST_CELLS or min(claimed, cells) < 0:
        raise DataError(
            f"claims {metadata.num_rows} rows of {metadata.num_columns} columns in {claimed} bytes, more than is "
            f"read into memory ({MOST_CELLS} values, {MOST_BYTES} bytes); cut it into smaller files",
            path,
        )
