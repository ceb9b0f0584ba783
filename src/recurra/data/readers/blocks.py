"""A text file, plain or gzip, block by block, as characters or as bytes: nothing of it is kept, or lost."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from recurra.data.readers.lines import broken_gzip, check_inflated_size, is_gzip, open_binary
from recurra.data.readers.options import ReadOptions
from recurra.errors import DataError

BLOCK_BYTES = 1 << 16
MEND = "give the file's encoding with --encoding (latin-1 or cp1252, say), or read bytes with --unit byte"


def read_byte_blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, inflated where its name says gzip.

    Raises:
        DataError: it cannot be read, or inflates beyond measure.
    """
    if is_gzip(path):
        check_inflated_size(path)
    try:
        with open_binary(path) as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise broken_gzip(path, error) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path) from error


def read_text_blocks(path: Path, options: ReadOptions) -> Iterator[str]:
    """The characters of a file, line ends as they are; a byte order mark at the front is no text.

    Raises:
        DataError: it cannot be read, or holds a byte or a NUL that is no text.
    """
    reader = codecs.getincrementaldecoder("utf-8" if options.codec == "utf-8-sig" else options.codec)()
    lines, offset = 1, 0  # where the block begins
    line_offset = 0  # where its first line does
    for block in chain(read_byte_blocks(path), [b""]):
        held = reader.getstate()[0]  # of a character that the last block began
        try:
            text = reader.decode(block, final=not block)
        except UnicodeDecodeError as error:
            at = offset - len(held) + error.start
            within = error.object[: error.start]
            lines += within.count(b"\n")
            if b"\n" in within:
                line_offset = offset - len(held) + within.rindex(b"\n") + 1
            raise _undecodable(error, path, lines, at, at - line_offset, options) from error
        except UnicodeError as error:
            raise DataError(f"is not {options.encoding} text ({error}); {MEND}", path) from error
        if offset == 0 and options.codec == "utf-8-sig":
            text = text.removeprefix("\ufeff")
        if "\0" in text:
            line = lines + text[: text.index("\0")].count("\n")
            raise DataError(f"holds a NUL byte, which is no text; remove it, or {MEND}", path, line)
        offset += len(block)
        lines += text.count("\n")
        if b"\n" in block:
            line_offset = offset - len(block) + block.rindex(b"\n") + 1
        if text:
            yield text


def _undecodable(
    error: UnicodeDecodeError, path: Path, line: int, offset: int, in_line: int, options: ReadOptions
) -> DataError:
    if offset == 0 and error.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return DataError(f"is not {options.encoding} text, and by its first bytes utf-16; give --encoding utf-16", path)
    byte = error.object[error.start : error.start + 1]
    place = f"byte {in_line + 1} of the line, {offset + 1} of the file"
    return DataError(f"{place}: 0x{byte.hex() or '?'} is not {options.encoding} text; {MEND}", path, line)
