"""Whole sequences: the native engine beside the best other one, or beside torch.nn."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.bench.turns import Way, medians
from recurra.engines import select_engine, why_not
from recurra.engines.costs import Work
from recurra.errors import WorkError
from recurra.nn import Recurrent, to_torch

LEAST = 0.02
"""Seconds that a measurement lasts at least."""

NEARLY = 1e-4
"""How far outputs may be from those of float64 in any case; where a cell magnifies every rounding, both ways are."""


class Case(NamedTuple):
    """One layer, input = hidden_size, over a batch; ragged lengths go evenly from steps / 10 to steps."""

    cell: str
    hidden_size: int
    work: Work


def measured_case(case: Case, rounds: int, *, torch_nn: bool = False) -> dict[str, float]:
    """Median seconds by way: "native" and another one, after both have given the same numbers.

    Args:
        torch_nn: the other way is "torch": its own layer, packed where lengths differ, for cells that it knows; else
            the engine that "auto" takes without the native one: "fused", "scan" or "loop".

    Raises:
        SettingsError: the native engine cannot run the cell here.
        WorkError: the numbers differ.
    """
    rows, steps, ragged, training = case.work
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = Recurrent(case.cell, case.hidden_size, case.hidden_size, engine="native")
        x = torch.randn(rows, steps, case.hidden_size, requires_grad=training)
        weights = torch.randn(rows, steps, layer.output_size)
    lengths = torch.linspace(max(steps // 10, 1), steps, rows).long() if ragged else None
    name, other = _other(layer, torch_nn)
    ways = {"native": _way(layer, x, lengths), name: _way(other, x, lengths)}
    with torch.set_grad_enabled(training):
        exact = _way(copy.deepcopy(other).double(), x.double(), lengths)()
        far, near = (float((way() - exact).detach().abs().max()) for way in ways.values())
        if not far <= NEARLY + 4 * near:  # not a number is never so
            raise WorkError(f"bench: the native engine and {name} give different numbers for {case}")
        if training:
            ways = {name: _with_backward(way, weights) for name, way in ways.items()}
        return medians(ways, rounds, LEAST)


def _other(layer: Recurrent, torch_nn: bool) -> tuple[str, nn.Module]:
    cell = layer.stack()[0][0].cell
    if torch_nn and "fused" not in why_not(cell):
        return "torch", to_torch(layer)
    other = copy.deepcopy(layer)
    other.engine = select_engine("auto", cell)
    return other.engine, other


def _way(layer: nn.Module, x: Tensor, lengths: Tensor | None) -> Way:
    if isinstance(layer, Recurrent):
        return lambda: layer(x, lengths=lengths)[0]
    if lengths is None:
        return lambda: layer(x)[0]

    def packed() -> Tensor:
        rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(rows)[0], batch_first=True, total_length=x.shape[1])[0]

    return packed


def _with_backward(way: Way, weights: Tensor) -> Way:
    return lambda: way().backward(weights)
