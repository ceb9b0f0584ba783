"""The cells of a stack, layer by layer, and which options each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from recurra.cells import CELLS, Cell, TransformerCell
from recurra.errors import SettingsError
from recurra.nn.direction import Direction, why_without
from recurra.nn.initialization import initialize
from recurra.settings.names import Initialization
from recurra.settings.own_cells import own_cells
from recurra.settings.stack import check_cell, layer_cells, layer_dilations

CellKind = str | Callable[..., Cell]
WINDOWED = ("transformer",)
INSIDE = ("recurrent_dropout", "weight_dropout", "zoneout", "learned_state", "dilation")


def cell_kinds(cell: CellKind | Sequence[CellKind], num_layers: int) -> tuple[CellKind, ...]:
    """The cell of each layer: a name, several with commas between, a function, or a list of names and functions.

    Raises:
        SettingsError: an unknown name, or another number of cells than layers.
    """
    given: list[CellKind] = []
    for one in [cell] if isinstance(cell, str) or callable(cell) else cell:
        given += [name.strip() for name in one.split(",")] if isinstance(one, str) else [one]
    for kind in given:
        if isinstance(kind, str):
            check_cell(kind)
    if num_layers < 1:
        raise SettingsError(f"num_layers: {num_layers} is below 1")
    if not given:
        raise SettingsError("cell: the list is empty; name a cell")
    return layer_cells(given, num_layers)


def make_layers(
    kinds: Sequence[CellKind],
    input_size: int,
    hidden_size: int,
    *,
    bidirectional: bool,
    residual: bool,
    attention_window: int | None,
    dilation: int | Sequence[int],
    initialization: Initialization,
    chrono_length: int | None,
    rates: dict[str, Any],
    make: dict[str, Any],
) -> list[list[Direction]]:
    """The directions of each layer, with fresh weights.

    Args:
        rates: recurrent_dropout, weight_dropout, zoneout, learned_state: each acts in the layers that can have it.
        make: device and dtype.

    Raises:
        SettingsError: an option that no layer can have, or sizes that residual connections cannot add.
    """
    steps = layer_dilations([dilation] if isinstance(dilation, int) else list(dilation), len(kinds))
    constructors = _constructors(kinds, bidirectional, attention_window)
    cells: list[list[Cell]] = []
    fresh = _Fresh(initialization, chrono_length, make)
    width = input_size
    for number, constructor in enumerate(constructors):
        first = fresh.cell(constructor, width, hidden_size)
        both_ways = isinstance(first, TransformerCell) and first.bidirectional
        if both_ways and not bidirectional:
            raise SettingsError(f"cell: layer {number} reads both ways; give bidirectional=True")
        one_cell = both_ways or not bidirectional
        cells.append([first] if one_cell else [first, fresh.cell(constructor, width, hidden_size)])
        above = sum(one.output_size for one in cells[-1])
        if residual and number and above != width:
            raise SettingsError(
                f"residual: layer {number} reads {width} features and gives {above}, which cannot be added; leave "
                "residual out"
            )
        width = above
    fresh.check()
    options = {**rates, "dilation": max(steps) - 1}
    able = {name: _able(name, value, cells) for name, value in options.items()}
    return [
        [
            Direction(
                one,
                backward=backward,
                dilation=steps[number] if able["dilation"][number] else 1,
                **{name: value if able[name][number] else type(value)() for name, value in rates.items()},
            )
            for backward, one in zip((False, True), layer, strict=False)
        ]
        for number, layer in enumerate(cells)
    ]


def _constructors(
    kinds: Sequence[CellKind], bidirectional: bool, attention_window: int | None
) -> list[Callable[..., Cell]]:
    """(input_size, hidden_size) → Cell for each layer."""
    windowed = [isinstance(kind, str) and kind in WINDOWED for kind in kinds]
    if attention_window is not None and not any(windowed):
        raise SettingsError("attention_window: it is the memory of the cell transformer, and no layer is one")
    if attention_window is not None and bidirectional:
        raise SettingsError("attention_window: in both directions a layer attends to every step; leave it out")
    if attention_window is not None and attention_window < 1:
        raise SettingsError(f"attention_window: {attention_window} is below 1")
    found: list[Callable[..., Cell]] = []
    for number, kind in enumerate(kinds):
        make = {**CELLS, **own_cells()}[kind] if isinstance(kind, str) else kind
        if windowed[number]:
            last = number + 1 == len(kinds) or not windowed[number + 1]  # of Transformer layers in a row
            make = partial(make, window=attention_window, bidirectional=bidirectional, norm_output=last)
        found.append(make)
    return found


def _able(option: str, value: Any, cells: list[list[Cell]]) -> list[bool]:
    """For each layer whether it takes an option that is given."""
    if option not in ("learned_state", "dilation") and not 0 <= value < 1:
        raise SettingsError(f"{option}: {value} is not in [0, 1)")
    reasons = [why_without(layer[0], option) for layer in cells]
    if value and None not in reasons:
        raise SettingsError(f"{option}: {reasons[0]}; leave it at its default")
    return [reason is None for reason in reasons]


class _Fresh:
    """Cells with fresh weights; "chrono" in those that have a gate for it, if any has."""

    def __init__(self, how: Initialization, chrono_length: int | None, make: dict[str, Any]) -> None:
        self._how, self._chrono_length, self._make = how, chrono_length, make
        self._made, self._refused = 0, list[SettingsError]()

    def cell(self, constructor: Callable[..., Cell], input_size: int, hidden_size: int) -> Cell:
        """A new one."""
        one = constructor(input_size, hidden_size).to(**self._make)
        self._made += 1
        try:
            initialize(one, self._how, self._chrono_length)
        except SettingsError as error:
            if self._how != "chrono":
                raise
            self._refused.append(error)
            initialize(one)
        return one

    def check(self) -> None:
        """Refuse chrono where no cell took it, with what is wrong with the length before what a cell lacks."""
        if self._refused and len(self._refused) == self._made:
            raise min(self._refused, key=lambda error: not str(error).startswith("chrono_length"))
