"""What a stack of layers is described by, read layer by layer: the names of its cells, and its dilations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from recurra.errors import SettingsError
from recurra.settings.names import CELLS, did_you_mean
from recurra.settings.own_cells import own_cells

LARGEST_REACH = 1 << 16  # steps that a state may hold: a number from a file decides how much memory is taken

T = TypeVar("T")


def cell_names(cell: str) -> tuple[str, ...]:
    """`"lstm,transformer"` → `("lstm", "transformer")`, each name checked.

    Raises:
        SettingsError: a name that is no cell, with the nearest one.
    """
    names = tuple(name.strip() for name in cell.split(","))
    for name in names:
        check_cell(name)
    return names


def check_cell(name: str) -> None:
    """Refuse a name that is neither a cell of the package nor one of one's own that is known here.

    Raises:
        SettingsError: with the nearest one, and how one of one's own is given.
    """
    known = (*CELLS, *own_cells())
    if name not in known:
        own = "" if "did you mean" in (near := did_you_mean(name, known)) else f"; one's own: cells={{{name!r}: …}}"
        raise SettingsError(f"cell: {name!r} is not known; {near}{own}")


def layer_cells(cells: Sequence[T], num_layers: int) -> tuple[T, ...]:
    """The cell of each layer: one for all of them, or one for each; then num_layers may stay at 1.

    Raises:
        SettingsError: more than one cell, and another number of layers.
    """
    if len(cells) == 1:
        return (cells[0],) * num_layers
    if num_layers not in (1, len(cells)):
        raise SettingsError(
            f"num_layers: it is {num_layers}, and cell names {len(cells)} layers; "
            f"leave num_layers out, or give one cell for all"
        )
    return tuple(cells)


def dilations(dilation: str) -> tuple[int, ...]:
    """`"1,2,4"` → `(1, 2, 4)`.

    Raises:
        SettingsError: something that is no whole number.
    """
    parts = [part.strip() for part in dilation.split(",")]
    if not all(part.isdecimal() and len(part) <= len(str(LARGEST_REACH)) for part in parts):
        raise SettingsError(
            f"dilation: {dilation!r} is neither a whole number nor one for each layer with commas between, as in 1,2,4"
        )
    return tuple(map(int, parts))


def layer_dilations(dilation: Sequence[int], num_layers: int) -> tuple[int, ...]:
    """The dilation of each layer: one for all of them, or one for each.

    Raises:
        SettingsError: another number of them than layers, or one outside 1 to LARGEST_REACH.
    """
    for one in dilation:
        if not 1 <= one <= LARGEST_REACH:
            raise SettingsError(f"dilation: {one} is not in 1 to {LARGEST_REACH} (1 reads the step before)")
    if len(dilation) == 1:
        return (dilation[0],) * num_layers
    if len(dilation) != num_layers:
        layers = "1 layer" if num_layers == 1 else f"{num_layers} layers"
        raise SettingsError(
            f"dilation: there are {len(dilation)} of them and {layers}; give one for all, or one for each layer"
        )
    return tuple(dilation)
