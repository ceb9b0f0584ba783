"""What the engines cost, as measured: the table by which "auto" takes the native engine or leaves it.

A table holds for each cell, with equal and unequal lengths, forward and in training, some shapes (rows, steps,
hidden_size) with the ratio of two times there: the best other engine's over the native engine's. The nearest measured
shape answers for any other. The package brings a table; `recurra bench --tune` measures one on the machine at hand and
puts it into the user's cache, where it takes the place of the package's as long as torch and the processor's
instructions are those that it was measured with.

The choice depends on the table and on the shapes alone, never on the threads; its digest stands in each run.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from recurra.engines.native import instructions
from recurra.errors import DataError
from recurra.files import parse_json, read_bounded

FORMAT = 1
CLEARLY = 1.1
"""How many times quicker the native engine must have been to be taken."""

BYTES = 4 << 20
DEFAULT = Path(__file__).with_name("costs.json")
_DECIDED: ContextVar[bool | None] = ContextVar("decided", default=None)


class Work(NamedTuple):
    """What is to be run: rows, steps, whether the rows differ in length, whether gradients will be asked for."""

    rows: int
    steps: int
    ragged: bool
    training: bool

    @property
    def kind(self) -> str:
        """Its name in a table."""
        return f"{'unequal' if self.ragged else 'equal'}, {'training' if self.training else 'forward'}"


Measured = tuple[int, int, int, float]
"""rows, steps, hidden_size, and the ratio."""


class CostTable(NamedTuple):
    """A table as it was read.

    cells: class of the cell → `Work.kind` → what was measured. made_with: "instructions" and "torch". source: the file
    that it came from.
    """

    cells: Mapping[str, Mapping[str, Sequence[Measured]]]
    made_with: Mapping[str, str]
    source: Path

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of what decides."""
        return hashlib.sha256(json.dumps(self.cells, sort_keys=True).encode()).hexdigest()[:12]

    def ratio(self, cell: str, hidden_size: int, work: Work) -> float | None:
        """The best other engine's time over the native engine's at the nearest shape; None where none was measured."""
        shapes = self.cells.get(cell, {}).get(work.kind, ())
        wanted = (work.rows, work.steps, hidden_size)
        return min(shapes, key=lambda shape: (_distance(wanted, shape[:3]), shape))[3] if shapes else None


def native_wins(cell: str, hidden_size: int, work: Work) -> bool:
    """Whether the native engine was clearly quicker.

    Args:
        cell: the name of the cell's class.
    """
    answer = _DECIDED.get()
    return _native_wins(cell, hidden_size, work) if answer is None else answer


@contextmanager
def decided(answer: bool) -> Iterator[None]:
    """Inside, "auto" takes the native engine wherever it can run a cell, or nowhere, whatever was measured."""
    token = _DECIDED.set(answer)
    try:
        yield
    finally:
        _DECIDED.reset(token)


def native_may_win(cell: str) -> bool:
    """Whether there is a shape for which it was."""
    return any(shape[3] >= CLEARLY for shapes in table().cells.get(cell, {}).values() for shape in shapes)


@cache
def table() -> CostTable:
    """The table in use: the user's where there is one for this machine, else the package's.

    A user's table that is damaged is told by a warning and left.
    """
    path = user_path()
    if path.exists():
        try:
            found = read(path)
        except DataError as error:
            warnings.warn(f"{error}; the package's own table is used: remake it by recurra bench --tune", stacklevel=2)
        else:
            if dict(found.made_with) == made_now():
                return found
    return read(DEFAULT)


def forget() -> None:
    """Read the table again at the next call."""
    table.cache_clear()
    _native_wins.cache_clear()


def user_path() -> Path:
    """Where the user's table stands: costs.json in the folder recurra of the user's cache."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(folder) if folder else Path.home() / ".cache") / "recurra" / "costs.json"


def made_now() -> dict[str, str]:
    """What a table measured here is made with."""
    return {"instructions": instructions() or "none", "torch": torch.__version__}


def in_use() -> dict[str, str]:
    """The table and the kernels that decide which engine runs: for a run's records."""
    return {"costs": table().digest, "native": instructions() or "none"}


def read(path: Path) -> CostTable:
    """A table from its file.

    Raises:
        DataError: the file cannot be read or is no such table.
    """
    try:
        content = parse_json(read_bounded(path, BYTES))
    except ValueError as error:
        raise DataError(f"is no JSON ({error})", path) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"is no table of engine costs of format {FORMAT}", path)
    made_with, cells = content.get("made_with"), content.get("cells")
    if not isinstance(made_with, dict) or not isinstance(cells, dict) or not _is_strings(made_with):
        raise DataError("is a table of engine costs without made_with or cells", path)
    for cell, kinds in cells.items():
        if not isinstance(kinds, dict) or not all(isinstance(shapes, list) for shapes in kinds.values()):
            raise DataError(f"is damaged at {cell}: expected lists of shapes by kind of work", path)
        for shape in (shape for shapes in kinds.values() for shape in shapes):
            if not _is_measured(shape):
                raise DataError(f"is damaged at {cell}: {shape!r} is not [rows, steps, hidden_size, ratio]", path)
    frozen = {
        cell: {kind: tuple(tuple(shape) for shape in shapes) for kind, shapes in kinds.items()}
        for cell, kinds in cells.items()
    }
    return CostTable(frozen, made_with, path)


def as_text(cells: Mapping[str, Mapping[str, Sequence[Measured]]], made_with: Mapping[str, str]) -> str:
    """A table as the text of its file: a line a shape, in order, ratios to two digits."""
    of_cells = []
    for cell, kinds in sorted(cells.items()):
        of_kinds = []
        for kind, shapes in sorted(kinds.items()):
            rows = ",\n".join(json.dumps([*shape[:3], round(shape[3], 2)]) for shape in sorted(shapes))
            of_kinds.append(f"{json.dumps(kind)}: [\n{rows}]")
        of_cells.append(f"{json.dumps(cell)}: {{" + ",\n".join(of_kinds) + "}")
    head = f'{{"format": {FORMAT},\n"made_with": {json.dumps(dict(sorted(made_with.items())))},\n"cells": {{'
    return head + ",\n".join(of_cells) + "}}\n"


@lru_cache(maxsize=4096)
def _native_wins(cell: str, hidden_size: int, work: Work) -> bool:
    ratio = table().ratio(cell, hidden_size, work)
    return ratio is not None and ratio >= CLEARLY


def _distance(one: Sequence[int], other: Sequence[int]) -> float:
    """How many times two shapes differ, as a logarithm; a little more steps is a little difference."""
    weights = (1.0, 0.5, 1.0)  # of rows, steps and hidden_size: a step costs the same wherever it stands
    return sum(w * abs(math.log2(max(a, 1) / max(b, 1))) for w, a, b in zip(weights, one, other, strict=True))


def _is_strings(value: dict[str, Any]) -> bool:
    return all(isinstance(one, str) for one in value.values())


def _is_measured(shape: Any) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) == 4
        and all(type(size) is int and size > 0 for size in shape[:3])
        and isinstance(shape[3], int | float)
        and not isinstance(shape[3], bool)
        and shape[3] > 0
    )
