"""The lines of a text file, plain or gzip: bounded, decoded, and named when a byte is wrong."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, cast

from recurra.data.readers.options import ReadOptions
from recurra.errors import DataError

GIB = 2**30
RATIO_FREE_BYTES = 64 * 2**20  # below this no ratio is suspicious
MOST_RATIO = 100  # text inflates 3 to 20 fold; deflate allows a bomb 1032
CHUNK_BYTES = 2**20


def is_gzip(path: Path) -> bool:
    """Whether a name says gzip."""
    return path.suffix.lower() == ".gz"


def read_lines(path: Path, options: ReadOptions, ends: Literal["", "\n"] = "") -> Iterator[str]:
    """Lines with their line ends.

    Args:
        ends: "\\n": a newline alone ends a line; "": `\\r` alone does too.

    Raises:
        DataError: the file cannot be read, inflates beyond measure, or holds a byte or a NUL that is no text.
    """
    if is_gzip(path):
        check_inflated_size(path)
    count = 0
    try:
        with open_binary(path) as binary, io.TextIOWrapper(binary, encoding=options.codec, newline=ends) as text:
            for line in text:
                count += 1
                if "\0" in line:
                    raise DataError(
                        "holds a NUL byte, which is no text; remove it, or give the right encoding", path, count
                    )
                yield line
    except UnicodeDecodeError as error:
        raise _undecodable(error, path, count, options, ends) from error
    except UnicodeError as error:
        raise DataError(f"is not {options.encoding} text ({error}); give its encoding", path) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise broken_gzip(path, error) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path) from error


def check_inflated_size(path: Path) -> None:
    """Inflate a gzip file once, keeping nothing, and refuse it where it grows beyond measure.

    Raises:
        DataError: it is a bomb, larger than is read into memory, damaged, or no gzip file.
    """
    try:
        compressed = path.stat().st_size
        limit = min(max(RATIO_FREE_BYTES, MOST_RATIO * compressed), max(GIB, 20 * compressed))
        inflated = 0
        with gzip.open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                inflated += len(chunk)
                if inflated > limit:
                    raise DataError(
                        f"its {compressed} bytes inflate to more than {limit}, beyond what text compresses to; "
                        "if it is right, inflate it and give the plain file",
                        path,
                    )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise broken_gzip(path, error) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path) from error


def open_binary(path: Path) -> BinaryIO:
    """A file's bytes, inflated where its name says gzip."""
    return cast(BinaryIO, gzip.open(path, "rb")) if is_gzip(path) else path.open("rb")


def broken_gzip(path: Path, error: Exception) -> DataError:
    """The error of a gzip file that is cut short or damaged."""
    return DataError(f"is not a whole gzip file ({error}); compress it again", path)


def _undecodable(
    error: UnicodeDecodeError, path: Path, complete_lines: int, options: ReadOptions, ends: str
) -> DataError:
    # the decoder failed inside its current chunk: all lines before the chunk have been given out
    before = error.object[: error.start].decode(options.encoding, "replace")
    line = complete_lines + len(re.findall(ends or "\r\n|\r|\n", before)) + 1
    byte = error.object[error.start : error.start + 1]
    looks_utf16 = line == 1 and error.object[:2] in (b"\xff\xfe", b"\xfe\xff")
    mend = "utf-16, by its first bytes" if looks_utf16 else "latin-1 or cp1252, say"
    return DataError(
        f"byte 0x{byte.hex() or '?'} is not {options.encoding} text; give the file's encoding ({mend})", path, line
    )
