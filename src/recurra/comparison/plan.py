"""What a comparison trains: every cell with every seed, all other settings alike; and the file that it goes on from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import recurra
from recurra.errors import RunError, SettingsError
from recurra.files import read_bounded, write_whole
from recurra.nn import Recurrent
from recurra.settings.groups import LayersSettings
from recurra.settings.stack import cell_names, dilations, layer_cells
from recurra.settings.tasks import TaskSettings
from recurra.settings.toml import LARGEST_FILE, from_toml, to_toml

PLAN = "comparison.toml"
RUNS = "runs"
SEEDS = 3
DEFAULT_CELLS = ("rnn", "lstm", "gru")


@dataclass(frozen=True)
class Plan:
    """A comparison before it is made.

    task: its name. settings: those of every run but cell and seed. cells: names, of a stack with commas. seeds: each
    gives the same cut of the data and the same order of examples to every cell. objects: whether the data came as
    Python objects. isolated: whether every training had a process of its own, so that its peak memory is its own.
    """

    task: str
    settings: TaskSettings
    cells: tuple[str, ...]
    seeds: tuple[int, ...]
    objects: bool = False
    isolated: bool = False

    def trainings(self) -> list[Training]:
        """All of them, in order: a seed of every cell before the next seed, so that a part of them is fair too."""
        return [
            Training(f"{cell.replace(',', '+')}-{seed}", cell, seed, with_cell(self.settings, cell, seed))
            for seed in self.seeds
            for cell in self.cells
        ]


@dataclass(frozen=True)
class Training:
    """One run of a plan; name: of its folder."""

    name: str
    cell: str
    seed: int
    settings: TaskSettings


def make_plan(
    task: str,
    settings: TaskSettings,
    cells: Iterable[str],
    seeds: int | Sequence[int],
    *,
    objects: bool,
    isolated: bool,
) -> Plan:
    """A plan whose every run has legal settings.

    Args:
        task: its name.
        settings: those of every run; its seed is the first one.
        cells: to compare, the first one being what the others are compared with.
        seeds: how many, or which.
        objects, isolated: as of `Plan`.

    Raises:
        SettingsError: a cell or an option that is not legal, for whichever cell; all of them in one sentence.
    """
    names = _cells(cells)
    settings = replace(settings, model=replace(settings.model, cell=representative(names)))
    plan = Plan(task, settings, names, _seeds(seeds, settings.training.seed), objects, isolated)
    problems: dict[str, list[str]] = {}
    for cell in plan.cells:
        try:
            one = with_cell(settings, cell, plan.seeds[0])
            one.check()
            _check_layers(one.model)
        except SettingsError as error:
            problems.setdefault(str(error), []).append(cell)
    if problems:
        everywhere = len(plan.cells)
        raise SettingsError(
            "; ".join(
                problem if len(those) == everywhere else f"{', '.join(those)}: {problem}"
                for problem, those in problems.items()
            )
        )
    return plan


def representative(cells: Sequence[str]) -> str:
    """The cell with which settings are legal that are legal for any: one with a transformer's memory, or the first."""
    return next((cell for cell in cells if "transformer" in cell.split(",")), cells[0] if cells else "lstm")


def with_cell(settings: TaskSettings, cell: str, seed: int) -> TaskSettings:
    """The settings of one run; the memory of a transformer layer is given to the cells that have one."""
    model = settings.model
    window = model.attention_window if "transformer" in cell.split(",") else None
    return replace(
        settings,
        model=replace(model, cell=cell, attention_window=window),
        training=replace(settings.training, seed=seed),
    )


def save_plan(folder: Path, plan: Plan) -> None:
    """Write `comparison.toml`.

    Raises:
        WorkError: the disk fails.
    """
    record = {
        "recurra": recurra.__version__,
        "cells": list(plan.cells),
        "seeds": list(plan.seeds),
        "objects": plan.objects,
        "isolated": plan.isolated,
    }
    write_whole(folder / PLAN, to_toml(plan.task, plan.settings, record))


def load_plan(folder: Path) -> Plan:
    """What `save_plan` wrote.

    Raises:
        RunError: there is none, or it is damaged.
    """
    path = folder / PLAN
    if not path.exists():
        raise RunError(f"{folder} is no comparison: it has no {PLAN}")
    try:
        task, settings, record = from_toml(read_bounded(path, 4 * LARGEST_FILE).decode(), str(path))
        cells, seeds = _list_of(record, "cells", str), _list_of(record, "seeds", int)
        flags = [bool(record.get(name, False)) for name in ("objects", "isolated")]
        return make_plan(task, settings, cells, seeds, objects=flags[0], isolated=flags[1])
    except (UnicodeDecodeError, SettingsError) as error:
        raise RunError(
            f"{path} is damaged: {error}; give the command of this comparison again, with --overwrite"
        ) from error


def _cells(cells: Iterable[str]) -> tuple[str, ...]:
    found = tuple(cells)
    if not found:
        raise SettingsError("cells: none is named; give some, as in --cells rnn,lstm,gru")
    for cell in found:
        try:
            cell_names(cell)
        except SettingsError as error:
            raise SettingsError(f"cells: {str(error).removeprefix('cell: ')}") from None
    for index, cell in enumerate(found):
        if cell in found[:index]:
            raise SettingsError(f"cells: {cell!r} is named twice; name each once")
    return found


def _seeds(seeds: int | Sequence[int], first: int) -> tuple[int, ...]:
    if isinstance(seeds, int):
        if seeds < 1:
            raise SettingsError(f"seeds: {seeds} is below 1; give how many seeds each cell is trained with")
        return tuple(range(first, first + seeds))
    found = tuple(seeds)
    if not found:
        raise SettingsError("seeds: the list is empty; give how many seeds, or which")
    for index, seed in enumerate(found):
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise SettingsError(f"seeds: {seed!r} is no whole number of 0 or more")
        if seed in found[:index]:
            raise SettingsError(f"seeds: {seed} is named twice; name each once")
    return found


def _check_layers(model: LayersSettings) -> None:
    """Build the layers without memory: what a cell has no use for is then refused, as in its training."""
    names = layer_cells(cell_names(model.cell or "lstm"), model.layers)
    with torch.device("meta"):
        Recurrent(
            names if len(set(names)) > 1 else names[0],
            model.hidden_size,
            model.hidden_size,
            model.layers,
            bidirectional=bool(getattr(model, "bidirectional", False)),
            residual=model.residual,
            dilation=dilations(model.dilation),
            attention_window=model.attention_window,
            dropout=model.dropout or 0.0,
            recurrent_dropout=model.recurrent_dropout,
            weight_dropout=model.weight_dropout,
            zoneout=model.zoneout,
        )


def _list_of(record: dict[str, Any], name: str, kind: Callable[..., Any]) -> list[Any]:
    value = record.get(name)
    if not isinstance(value, list) or not all(type(one) is kind for one in value):
        raise SettingsError(f"record.{name}: is no list of what it should hold")
    return value
