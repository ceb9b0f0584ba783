"""Cells of one's own, known by name for the length of a call: a run stores names, never code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from recurra.errors import SettingsError
from recurra.settings.names import CELLS

OwnCells = Mapping[str, Callable[..., Any]]
_KNOWN: ContextVar[OwnCells | None] = ContextVar("own_cells", default=None)


def own_cells() -> OwnCells:
    """Those that are known here, by name."""
    return _KNOWN.get() or {}


@contextmanager
def knowing(cells: OwnCells | None) -> Iterator[None]:
    """While this runs, settings may name these cells beside the package's, and layers are built of them.

    Raises:
        SettingsError: a name that the package has, or that is no plain word, or a cell that cannot be called.
    """
    for name, cell in (cells or {}).items():
        if name in CELLS:
            raise SettingsError(f"cells: {name!r} is a cell of this package; give yours another name")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise SettingsError(f"cells: {name!r} is no name for a cell; use small letters, digits and _")
        if not callable(cell):
            raise SettingsError(f"cells: {name!r} is a {type(cell).__name__}, expected a Cell class or a function")
    token = _KNOWN.set({**own_cells(), **(cells or {})})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def named(cell: Any) -> tuple[Any, OwnCells]:
    """The option `cell` in names, and the cells of one's own in it: `MyCell` → `("my_cell", {"my_cell": MyCell})`.

    Raises:
        SettingsError: a function without a name, or two cells of one name.
    """
    if isinstance(cell, str) or cell is None or not (callable(cell) or isinstance(cell, Sequence)):
        return cell, {}
    names, found = [], dict[str, Callable[..., Any]]()
    for one in [cell] if callable(cell) else cell:
        name = one if not callable(one) else _snake_case(getattr(one, "__name__", ""))
        if callable(one) and found.setdefault(name, one) is not one:
            raise SettingsError(f"cell: two cells are called {name!r}; give one another name")
        names.append(name)
    return (names[0] if callable(cell) else names), found


def _snake_case(name: str) -> str:
    """`MyCell` → `my_cell`, `LSTMCell` → `lstm_cell`."""
    if not name.isidentifier():
        raise SettingsError("cell: a function without a name cannot be told again in a run; give a class, or use def")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
