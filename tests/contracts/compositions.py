"""The layers that every law is held for: every cell with a set of compositions that covers all pairs of choices."""

from __future__ import annotations

import random
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor

from recurra.cells import CELLS
from recurra.nn import Recurrent
from recurra.state import State, leaves, map_state

MIXED = ("lstm,transformer", "transformer,gru")
CHOICES: dict[str, tuple[Any, ...]] = {
    "cell": (*CELLS, *MIXED),
    "num_layers": (1, 2, 3),
    "bidirectional": (False, True),
    "residual": (False, True),
    "dilation": (1, 3),
    "dropout": (0.0, 0.3),
    "variational": (False, True),
    "recurrent_dropout": (0.0, 0.4),
    "weight_dropout": (0.0, 0.4),
    "zoneout": (0.0, 0.3),
    "learned_state": (False, True),
    "engine": ("auto", "loop"),
    "recompute": (0, 3),
    "dtype": (torch.float64, torch.float32),
}

NO_RECURRENCE = {"feedforward": {"recurrent_dropout", "weight_dropout", "zoneout", "dilation"}}
REFUSED = {cell: NO_RECURRENCE.get(cell, set(make(2, 2).refused)) for cell, make in CELLS.items()}
REFUSED |= {mixed: set.intersection(*(REFUSED[cell] for cell in mixed.split(","))) for mixed in MIXED}
"""The options that each cell refuses."""


def legal(row: dict[str, Any]) -> bool:
    """Whether a row is a layer that Recurrent does not refuse."""
    mixed = "," in row["cell"]
    if mixed and row["num_layers"] == 3:
        return False
    if row["num_layers"] == 1 and not mixed and (row["dropout"] or row["residual"]):
        return False
    if mixed and row["bidirectional"] and row["residual"]:
        return False  # the layers give different sizes
    if row["recompute"] and row["cell"] == "transformer" and row["bidirectional"]:
        return False
    if row["variational"] and not row["dropout"]:
        return False
    plain = {name: values[0] for name, values in CHOICES.items()}
    return all(row[option] == plain[option] for option in REFUSED[row["cell"]])


def covering() -> list[dict[str, Any]]:
    """Rows in which every legal pair of choices occurs: greedy, from a fixed order, so the same on every machine."""
    draw = random.Random(0)
    names = list(CHOICES)
    missing = {
        (a, x, b, y)
        for a, b in combinations(names, 2)
        for x, y in product(CHOICES[a], CHOICES[b])
        if _possible(a, x, b, y)
    }
    rows: list[dict[str, Any]] = []
    while missing:
        candidates = [row for row in ({n: draw.choice(CHOICES[n]) for n in names} for _ in range(400)) if legal(row)]
        best = max(candidates, key=lambda row: len(_pairs(row) & missing))
        if gained := _pairs(best) & missing:
            rows.append(best)
            missing -= gained
    return rows


def build(row: dict[str, Any], input_size: int = 3, hidden_size: int | None = None, seed: int = 0) -> Recurrent:
    """The layer of a row; weights other than the defaults so that biases and learned states take part."""
    options = dict(row)
    dtype = options.pop("dtype")
    if hidden_size is None:  # a layer norm over a few features divides by next to nothing now and then
        hidden_size = 16 if "transformer" in row["cell"] or "layernorm" in row["cell"] else 4
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if "transformer" in row["cell"] and not row["bidirectional"]:
            options["attention_window"] = 3  # shorter than the sequences of the laws
        layer = Recurrent(options.pop("cell"), input_size, hidden_size, dtype=dtype, **options)
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
                if row["cell"] == "rnn_relu" and name.endswith("weight_hh"):
                    parameter.div_(torch.linalg.matrix_norm(parameter, 2).clamp(min=1.0))  # grows without bound else
                if name.endswith("gain_hh"):
                    parameter.mul_(0.3)  # a few sums that are nearly equal, normalised, step by step enlarge rounding
    return layer


def draw_state(layer: Recurrent, rows: int, generator: torch.Generator) -> State:
    """Any state at all; counts as after some steps; of an sLSTM any with weights above 0, as it keeps them itself."""

    def draw(path: str, leaf: Tensor) -> Tensor:
        if not leaf.is_floating_point():
            return leaf
        values = torch.randn(leaf.shape, dtype=leaf.dtype, generator=generator)
        return 1 + values.abs() if path.endswith("normalizer") else values

    lengths = torch.randint(0, 5, (rows,), generator=generator)
    with torch.no_grad():
        x = next(layer.parameters()).new_zeros(rows, 4, layer.input_size)
        _, state = layer(x, lengths=lengths, noise=layer.silence())
    drawn = iter([draw(path, leaf) for path, leaf in leaves(state)])
    return map_state(lambda leaf: next(drawn), state)


def name(row: dict[str, Any]) -> str:
    """A row as a test's name."""
    short = [f"{key}={value}" for key, value in row.items() if key not in ("cell", "dtype") and value]
    return "-".join([row["cell"], str(row["dtype"]).removeprefix("torch."), *short])


def _pairs(row: dict[str, Any]) -> set[tuple[Any, ...]]:
    return {(a, row[a], b, row[b]) for a, b in combinations(CHOICES, 2)}


def _possible(a: str, x: Any, b: str, y: Any) -> bool:
    """Whether some legal row holds the pair: everything else at its plainest, with layers and dropout as needed."""
    for layers, dropout in product((1, 2, 3), (0.0, 0.3)):
        for cell in ("lstm", "feedforward", "transformer", MIXED[0]):
            row: dict[str, Any] = {n: values[0] for n, values in CHOICES.items()}
            row |= {"cell": cell, "num_layers": layers, "dropout": dropout} | {a: x, b: y}
            if legal(row):
                return True
    return False


COMPOSITIONS = covering()
