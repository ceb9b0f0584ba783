"""Files written whole or not at all, and read within bounds: the only place of the package that writes.

A write goes to a neighbour with a name of its own, is flushed and fsynced, takes the place of the old file by
rename, and the folder is fsynced. Whatever stops the process, a reader sees the old file or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import mmap
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from recurra.errors import DataError, InputError, RunError, WorkError

LOCK = ".lock"
TEMPORARY_SUFFIX = ".part"
NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENXIO, errno.EISDIR)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that it is there whole or not at all.

    Args:
        path: where; its folder exists.
        content: bytes, or text (as UTF-8).

    Raises:
        WorkError: the disk is full or fails; the old file, if any, is as it was.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            left = memoryview(content)
            while left:  # a system may take a part of what it is given
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
        _fsync_folder(path.parent)
    except OSError as error:
        raise WorkError(f"{path} could not be written: {_reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):  # it is there only where something failed
            temporary.unlink()


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders that are there, and make it last; a link is removed, not what it points to.

    Raises:
        WorkError: the disk fails.
    """
    folders = set()
    for path in paths:
        if not os.path.lexists(path):
            continue
        folders.add(path.parent)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise WorkError(f"{path} could not be removed: {_reason(error)}") from error
    for folder in folders:
        fsync_folder(folder)


def fsync_folder(folder: Path) -> None:
    """Make renames and removals inside a folder survive a power cut.

    Raises:
        WorkError: the disk fails.
    """
    try:
        _fsync_folder(folder)
    except OSError as error:
        raise WorkError(f"{folder} could not be brought to the disk: {_reason(error)}") from error


def is_leftover(path: Path) -> bool:
    """Whether a file is a half-written neighbour of `write_whole`."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY_SUFFIX)


def remove_leftovers(folder: Path) -> None:
    """Remove half-written neighbours that a killed process left in a folder; call it holding the lock.

    Raises:
        WorkError: the disk fails.
    """
    if folder.is_dir() and not folder.is_symlink():
        remove([path for path in folder.iterdir() if is_leftover(path)])


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one writer; the lock goes with the process, however it ends.

    Raises:
        RunError: another process, or another training of this one, holds it.
        InputError: it is not allowed.
        WorkError: the disk fails.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        kind = InputError if error.errno in NOT_OURS else WorkError
        raise kind(f"{folder} could not be locked: {_reason(error)}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise WorkError(f"{folder} could not be locked: {_reason(error)}") from error
            raise RunError(f"{folder} is in use by another training; wait for it, or give another --out") from error
        yield
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, and make that last.

    Raises:
        InputError: a file stands in the way, or it is not allowed.
        WorkError: the disk fails.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{folder} cannot be made a folder: {_reason(error)}") from error
    except OSError as error:
        raise WorkError(f"{folder} could not be made: {_reason(error)}") from error
    for one in missing:
        with contextlib.suppress(OSError):  # a parent that is not ours to read can still be written to
            _fsync_folder(one.parent)


@contextlib.contextmanager
def regular_file(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file open for reading, and its size in bytes; a link is not followed.

    Raises:
        DataError: it is missing, no regular file or not readable; also where reading fails inside the block.
    """
    try:
        # without O_NONBLOCK a pipe would wait for its writer
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            if stat.S_ISDIR(found.st_mode):
                raise DataError("is a folder, and a file is expected", path)
            if not stat.S_ISREG(found.st_mode):
                raise DataError("is not a regular file", path)
            with os.fdopen(handle, "rb", closefd=False) as file:
                yield file, found.st_size
        finally:
            os.close(handle)
    except FileNotFoundError as error:
        raise DataError("does not exist; check the name", path) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise DataError("is a link, and a file of its own is expected", path) from error
        if error.errno == errno.ENXIO:  # a socket
            raise DataError("is not a regular file", path) from error
        raise DataError(f"cannot be read: {_reason(error)}", path) from error


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file, refused beyond a limit before anything is read; a link is not followed.

    Raises:
        DataError: it is missing, no regular file, not readable, or larger than the limit in bytes.
    """
    with regular_file(path) as (file, size):
        # read(n) takes n bytes of memory at once, so the limit itself would be too much to ask for
        content = file.read(size) if size <= limit else None
    if content is None:
        raise DataError(f"is larger than {limit} bytes, the most that is read here", path)
    return content


class ScratchFile:
    """Bytes kept on disk for as long as this process needs them: the file has no name, so nothing stays of it.

    Args:
        folder: on whose disk; None: where the system keeps temporary files.

    Raises:
        WorkError: the disk is full or fails.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._where = str(folder or tempfile.gettempdir())
        with self._told():
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  it lives as long as this does

    def append(self, content: bytes | memoryview) -> None:
        """Write at the end.

        Raises:
            WorkError: the disk is full or fails.
        """
        left = memoryview(content).cast("B")
        with self._told():
            while left:
                left = left[self._file.write(left) :]

    def map(self) -> mmap.mmap | bytes:
        """All of it as memory that is read from the disk where it is looked at; it outlives this object.

        Raises:
            WorkError: the system cannot.
        """
        with self._told(), self._file as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b""

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            reason = _reason(error) if isinstance(error, OSError) else str(error)
            raise WorkError(f"a temporary file in {self._where} could not be written: {reason}") from error


def parse_json(content: bytes | str) -> Any:
    """A JSON text; NaN and infinity, which are no JSON, are refused, as are endless depth and endless numbers.

    Raises:
        ValueError: it is no JSON.
    """

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(content, parse_constant=refuse)  # integers end at 4300 digits
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


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


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
