"""NumPy's .npz: arrays by name are columns, the first dimension is the row.

An array `lengths` [N] cuts the rows of arrays of rank 3 ([N, T, D]) to their length and is no column itself.
Headers are read, and their claims checked, before memory is taken; objects (pickles) are never read.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.readers.options import ReadOptions
from recurra.data.table import Table, check_not_empty
from recurra.errors import DataError

MOST_BYTES = 8 * 2**30
MOST_RATIO = 2000  # deflate reaches 1032
READABLE_KINDS = "biufU"  # booleans, integers, floats, text
LENGTHS = "lengths"

Array = np.ndarray[Any, np.dtype[Any]]


def read_npz(path: Path, options: ReadOptions) -> Table:
    """A .npz file; options do not apply to it.

    Raises:
        DataError: it is damaged, holds objects, claims absurd sizes, or its arrays do not fit together.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_archive(path, archive)
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Array] = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"is not a whole .npz file ({error}); write it again with numpy.savez", path) from error
    check_not_empty(len(arrays), path, "holds no array")
    rows = _check_rows(path, arrays)
    check_not_empty(rows, path, "has no rows")
    lengths = _lengths(path, arrays)
    columns = {name: _column(array, lengths) for name, array in arrays.items()}
    return Table(str(path), columns, list(range(1, rows + 1)))


def _check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse what must not be loaded, by the names, sizes and headers in the archive."""
    file_size = path.stat().st_size
    members = archive.infolist()
    if sum(member.compress_size for member in members) > file_size:
        raise DataError("its parts claim more bytes than the file has", path)
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise DataError(f"claims to hold more than {MOST_BYTES} bytes, the most that is read", path)
    seen: set[str] = set()
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name in seen or name == member.filename:
            problem = "is there twice" if name in seen else "is not an array; keep only what numpy.savez writes"
            raise DataError(problem, path, column=name)
        seen.add(name)
        if member.file_size > MOST_RATIO * max(1, member.compress_size):
            raise DataError(
                f"its {member.compress_size} bytes claim to inflate to {member.file_size}", path, column=name
            )
        _check_header(path, name, member.file_size, archive)


def _check_header(path: Path, name: str, size: int, archive: zipfile.ZipFile) -> None:
    with archive.open(f"{name}.npy") as file:
        try:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            elif version == (2, 0):
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            else:
                raise ValueError(f"format version {version}")
        except Exception as error:  # numpy evaluates the header as Python text, which fails in many ways
            raise DataError(f"has a header that cannot be read ({error})", path, column=name) from error
        header_bytes = file.tell()
    if dtype.hasobject:
        raise DataError(
            "holds Python objects, which are never read since they can run code; "
            "save rows of unequal length as one padded array and an array of lengths",
            path,
            column=name,
        )
    if dtype.kind not in READABLE_KINDS:
        raise DataError(f"is of type {dtype}; numbers, booleans or text are read", path, column=name)
    if min(shape, default=0) < 0 or header_bytes + math.prod(shape) * dtype.itemsize != size:
        raise DataError(f"claims the shape {shape} of {dtype}, which is not what it holds", path, column=name)


def _check_rows(path: Path, arrays: dict[str, Array]) -> int:
    first = next(iter(arrays))
    for name, array in arrays.items():
        if array.ndim == 0:
            raise DataError("is a single value; an array with one entry a row is expected", path, column=name)
        if len(array) != len(arrays[first]):
            raise DataError(
                f"has {len(array)} rows, and {first!r} has {len(arrays[first])}; all arrays need the same",
                path,
                column=name,
            )
    return len(arrays[first])


def _lengths(path: Path, arrays: dict[str, Array]) -> Array | None:
    """Take `lengths` out of the arrays, checked against those it cuts."""
    lengths = arrays.pop(LENGTHS, None)
    if lengths is None:
        return None
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise DataError(
            f"is {lengths.dtype} of shape {lengths.shape}; one integer a row is expected", path, column=LENGTHS
        )
    steps = min((array.shape[1] for array in arrays.values() if array.ndim == 3), default=None)
    if steps is None:
        raise DataError(
            "there is no array of rank 3 for it to cut; give series the shape (rows, steps, features)",
            path,
            column=LENGTHS,
        )
    wrong = np.flatnonzero((lengths < 0) | (lengths > steps))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"is {lengths[row]}, outside 0 to {steps}, the steps there are", path, row + 1, LENGTHS)
    return lengths


def _column(array: Array, lengths: Array | None) -> list[Any]:
    if array.ndim == 1:
        return list(array.tolist())
    if array.ndim == 3 and lengths is not None:
        return [row[:length] for row, length in zip(array, lengths.tolist(), strict=True)]
    return list(array)
