"""Files written whole or not at all, and read within bounds: the only place of the package that writes.

A write goes to a neighbour with a name of its own, is flushed and fsynced, takes the place of the old file by
rename, and the folder is fsynced. Whatever stops the process, a reader sees the old file or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from recurra.errors import DataError, InputError, RunError, WorkError

TEMPORARY_SUFFIX = ".part"


def write_whole(path: Path, content: bytes | str | Callable[[BinaryIO], None]) -> None:
    """Write a file so that it is there whole or not at all.

    Args:
        path: where; its folder exists.
        content: bytes, text (as UTF-8), or a function that writes to an open binary file.

    Raises:
        WorkError: the disk is full or fails; the old file, if any, is as it was.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX, dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        temporary = None
        fsync_folder(path.parent)
    except OSError as error:
        raise WorkError(f"{path} could not be written: {_reason(error)}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make renames and removals inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove half-written neighbours that a killed process left; call it holding the folder's lock."""
    for path in folder.rglob(f".*{TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one writer; the lock goes with the process, however it ends.

    Raises:
        RunError: another process holds it.
    """
    with (folder / ".lock").open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise WorkError(f"{folder} could not be locked: {_reason(error)}") from error
            raise RunError(f"{folder} is in use by another training; wait for it, or give another --out") from error
        yield


def make_folder(folder: Path) -> None:
    """Make a folder and its parents.

    Raises:
        InputError: a file stands in the way, or it is not allowed.
        WorkError: the disk fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{folder} cannot be made a folder: {_reason(error)}") from error
    except OSError as error:
        raise WorkError(f"{folder} could not be made: {_reason(error)}") from error


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file, refused beyond a limit.

    Raises:
        DataError: it is missing, a folder, not readable, or larger than the limit in bytes.
    """
    try:
        if path.is_dir():
            raise DataError("is a folder, and a file is expected", path)
        if path.exists() and not path.is_file():
            raise DataError("is not a regular file", path)
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as error:
        raise DataError("does not exist; check the name", path) from error
    except OSError as error:
        raise DataError(f"cannot be read: {_reason(error)}", path) from error
    if len(content) > limit:
        raise DataError(f"is larger than {limit} bytes, the most that is read here", path)
    return content


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {_reason(error)}", path) from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
