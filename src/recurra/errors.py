"""Everything that Recurra raises on purpose.

RecurraError
├── InputError            the user's input is at fault; the command line ends with status 2
│   ├── SettingsError     an option, key or name
│   ├── DataError         a file, or a place in it
│   ├── RunError          a run folder: missing, damaged, in use
│   ├── StateError        a saved state: damaged, or of another model
│   ├── ShapeError        a tensor's rank, size or dtype (also a ValueError)
│   └── NotStreamable     a model that needs the whole sequence was asked for one step
├── WorkError             the work failed: disk, memory, a loss that is not finite; status 1
│   └── Elsewhere         the first of several processes failed, and says why itself
└── MissingExtra          an optional library is not installed; status 2

A message is one sentence (two at most) that says where, what was received, what was expected, and the mend.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

GIVEN = "the given data"
"""The source of what came as Python objects: it has rows in place of lines."""


class RecurraError(Exception):
    """The root: catch this to catch everything raised on purpose."""

    exit_status: ClassVar[int] = 1
    """What the command line ends with; an error with a `signal` ends with 128 + that."""


class InputError(RecurraError):
    """The user's input is at fault."""

    exit_status = 2


class SettingsError(InputError):
    """An option, a key or a name that is not legal."""


class DataError(InputError):
    """A data file, or a place in it, that cannot be used.

    Args:
        message: what is wrong and the mend, without the place.
        source: the file, or "the given data" for Python objects.
        line: line of the file (from 1), or row of the given data (from 1 too).
        column: name of the column.
    """

    def __init__(
        self, message: str, source: str | Path | None = None, line: int | None = None, column: str | None = None
    ) -> None:
        place = [str(source)] if source is not None else []
        if line is not None:
            place.append(f"{'row' if source == GIVEN else 'line'} {line}")
        if column is not None:
            place.append(f"column {column!r}")
        super().__init__(f"{', '.join(place)}: {message}" if place else message)
        self.message, self.source, self.line, self.column = message, source, line, column


class RunError(InputError):
    """A run folder that is missing, damaged, incomplete or in use."""


class StateError(InputError):
    """A saved state that is missing, damaged or of another model."""


class ShapeError(InputError, ValueError):
    """A tensor whose rank, size or dtype does not fit."""


class NotStreamable(InputError):  # noqa: N818  a fact about the model, named as users ask for it
    """A model that needs the whole sequence was asked for one step."""


class WorkError(RecurraError):
    """The work failed though the input was right."""

    exit_status = 1


class Elsewhere(WorkError):  # noqa: N818  where it failed
    """The first of several processes that train together failed; it says why itself."""


class MissingExtra(RecurraError):  # noqa: N818
    """An optional library is not installed."""

    exit_status = 2
