"""How far back each cell learns to remember: adding and copying over lengths, as a share of the best possible score."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.lab.finding import Drawing, Finding, Tell, silent
from recurra.lab.problems import adding_share, copying_share, draw_adding, draw_copying
from recurra.lab.verdict import NONE_FOUND
from recurra.nn import Recurrent
from recurra.randomness import generator, numpy_generator, seed_of
from recurra.report.lines import Line, Panel
from recurra.report.page import Headline, Table
from recurra.settings.names import Initialization
from recurra.statistics import Paired, mean_interval, paired_difference
from recurra.training.devices import forked_generators, seed_generators

CPU = torch.device("cpu")
SYMBOLS, COPIED = 4, 3
CLIP_NORM = 1.0
CHRONO = "lstm, chrono"
CELLS = ("rnn", "gru", "lstm", CHRONO)
PAIRS = (("lstm", "rnn"), ("lstm", "gru"), ("lstm", CHRONO))


@dataclass(frozen=True)
class Problem:
    """length: what the lengths count. draw: (rows, length, generator) → x and what is to be answered.

    more_steps: of a row beyond its length. lr: of Adam; twice as much and an lstm no longer learns adding, half as much
    and nothing is copied within the budget.
    """

    name: str
    length: str
    inputs: int
    outputs: int
    draw: Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    share: Callable[[Tensor, Tensor], float]
    more_steps: int
    lr: float


def _draw_copying(rows: int, pause: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    x, said = draw_copying(rows, pause, source, SYMBOLS, COPIED)
    return x, said[:, -COPIED:]


PROBLEMS = (
    Problem(
        "adding", "steps of a row", 2, 1, draw_adding,
        lambda outputs, sums: F.mse_loss(outputs[:, -1, 0], sums),
        lambda outputs, sums: adding_share(outputs[:, -1, 0], sums),
        0, 0.01,
    ),
    Problem(
        "copying", "steps of the pause", SYMBOLS + 2, SYMBOLS + 2, _draw_copying,
        lambda outputs, said: F.cross_entropy(outputs[:, -COPIED:].flatten(0, 1), said.flatten()),
        lambda outputs, said: copying_share(outputs[:, -COPIED:], said, SYMBOLS),
        2 * COPIED, 0.02,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class MemorySizes:
    """trained: the shortest and the longest length in training. lengths: tested, the longest trained among them.

    updates: of each training.
    """

    trained: tuple[int, int] = (5, 40)
    lengths: tuple[int, ...] = (5, 10, 20, 40, 80, 160)
    hidden_size: int = 32
    batch_size: int = 16
    updates: int = 600
    seeds: int = 4
    test_rows: int = 256


Shares = dict[tuple[str, str], NDArray[np.float64]]
"""[seeds, lengths] of each problem and cell."""


class Reader(nn.Module):
    """A recurrent layer and a linear one over its outputs, as nn.Sequential has no state to hand on."""

    def __init__(self, cell: str, inputs: int, hidden_size: int, outputs: int, chrono_length: int | None) -> None:
        super().__init__()
        how: Initialization = "orthogonal" if chrono_length is None else "chrono"
        self.layer = Recurrent(cell, inputs, hidden_size, initialization=how, chrono_length=chrono_length)
        self.head = nn.Linear(self.layer.output_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, inputs] → [B, T, outputs]."""
        outputs: Tensor = self.head(self.layer(x)[0])
        return outputs


def measure_memory(seed: int, tell: Tell = silent, sizes: MemorySizes | None = None) -> Finding:
    """Train each cell on each problem with several seeds and score it at each length.

    Args:
        seed: of weights and rows; each repetition has its own.
        tell: told of each training.
        sizes: of what is trained.
    """
    sizes = sizes or MemorySizes()
    shares: Shares = {}
    for problem in PROBLEMS:
        for cell in CELLS:
            found = []
            for one in range(seed * sizes.seeds, (seed + 1) * sizes.seeds):
                found.append(train(problem, cell, one, sizes))
                tell(f"{problem.name}, {cell}: {', '.join(f'{share:.2f}' for share in found[-1])}")
            shares[problem.name, cell] = np.array(found)
    pairs = compare(shares)
    longest = sizes.lengths.index(sizes.trained[1])
    rates = ", ".join(f"{problem.lr:g} ({problem.name})" for problem in PROBLEMS)
    return Finding(
        title="How far back a cell learns to remember",
        sentence=sentence(shares, pairs, sizes),
        headline=Headline(
            f"share of the best score, adding over {sizes.trained[1]} steps, lstm",
            f"{shares['adding', 'lstm'][:, longest].mean():.2f}",
            f"0 is a guess, 1 is perfect; rnn {shares['adding', 'rnn'][:, longest].mean():.2f}",
        ),
        facts=[
            ("Adding", "the sum of two marked numbers in a row; a guess has a squared error of 1/6"),
            ("Copying", f"{COPIED} symbols of {SYMBOLS}, a pause, the symbols again; a guess is right 1 in {SYMBOLS}"),
            ("Training", f"{sizes.updates} batches of {sizes.batch_size} new rows of {sizes.trained[0]} to "
                         f"{sizes.trained[1]} steps, the same for each cell"),
            ("Model", f"1 layer of {sizes.hidden_size}, Adam at {rates}, clipping at {CLIP_NORM:g}"),
            ("Repetitions", f"{sizes.seeds}, each with weights and rows of its own"),
        ],
        tables=[*(_table(shares, problem, sizes) for problem in PROBLEMS), _pairs_table(pairs, sizes)],
        drawings=[_drawing(shares, sizes)],
        numbers={
            "sizes": vars(sizes),
            "shares": {f"{problem}, {cell}": values.tolist() for (problem, cell), values in shares.items()},
            "pairs": {f"{name}: {a} → {b}": [vars(one) for one in found] for (name, a, b), found in pairs.items()},
        },
    )  # fmt: skip


def train(problem: Problem, cell: str, seed: int, sizes: MemorySizes) -> list[float]:
    """One training, and its share of the best possible score at each length, on rows drawn apart.

    The rows and lengths drawn depend on the seed and the problem alone: all cells learn from the same.
    """
    chrono_length = sizes.trained[1] + problem.more_steps if cell == CHRONO else None
    with forked_generators(CPU):
        seed_generators(CPU, seed_of("lab", "memory", seed))
        model = Reader(cell.partition(",")[0], problem.inputs, sizes.hidden_size, problem.outputs, chrono_length)
    optimizer = torch.optim.Adam(model.parameters(), problem.lr, fused=True)
    rows = generator("lab", problem.name, "train", seed)
    for update, length in enumerate(training_lengths(problem, seed, sizes)):
        for group in optimizer.param_groups:  # half a cosine, down to a tenth
            group["lr"] = problem.lr * (0.55 + 0.45 * math.cos(math.pi * update / sizes.updates))
        x, target = problem.draw(sizes.batch_size, length, rows)
        optimizer.zero_grad()
        torch.autograd.backward(problem.loss(model(x), target))
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
    with torch.no_grad():
        tests = [
            problem.draw(sizes.test_rows, length, generator("lab", problem.name, "test", seed, length))
            for length in sizes.lengths
        ]
        return [problem.share(model(x), target) for x, target in tests]


def training_lengths(problem: Problem, seed: int, sizes: MemorySizes) -> list[int]:
    """One for each update, between the ends of the lengths, their logarithms drawn uniformly: short rows teach first
    and cost little."""
    low, high = math.log(sizes.trained[0]), math.log(sizes.trained[1] + 1)
    drawn = numpy_generator("lab", problem.name, "lengths", seed).uniform(low, high, size=sizes.updates)
    return [int(length) for length in np.exp(drawn)]


def compare(shares: Shares) -> dict[tuple[str, str, str], list[Paired]]:
    """The paired differences over the seeds at each length, of each problem and pair of cells."""
    return {
        (problem.name, a, b): [
            paired_difference(first, second)
            for first, second in zip(shares[problem.name, a].T, shares[problem.name, b].T, strict=True)
        ]
        for problem in PROBLEMS
        for a, b in PAIRS
    }


def difference(paired: Paired) -> str:
    """A difference of shares in words."""
    return f"{paired.mean:+.2f}" if paired.differs else NONE_FOUND


def sentence(shares: Shares, pairs: dict[tuple[str, str, str], list[Paired]], sizes: MemorySizes) -> str:
    """What was seen at the longest length of training, and at the longest of all."""
    longest = sizes.lengths.index(sizes.trained[1])
    names = [problem.name for problem in PROBLEMS]
    of_lstm = {name: shares[name, "lstm"].mean(0) for name in names}
    first, last = (" and ".join(f"{of_lstm[name][at]:.2f}" for name in names) for at in (longest, -1))
    beside = ", ".join(
        f"{b.removeprefix('lstm, ')} {' and '.join(difference(pairs[name, a, b][longest]) for name in names)}"
        for a, b in PAIRS
    )
    return (
        f"On {' and '.join(names)} at {sizes.trained[1]} steps, the most in training, an lstm has {first} of the best "
        f"score; beside it {beside}; at {sizes.lengths[-1]} steps it has {last}."
    )


def _table(shares: Shares, problem: Problem, sizes: MemorySizes) -> Table:
    rows = []
    for cell in CELLS:
        intervals = [mean_interval(column) for column in shares[problem.name, cell].T]
        rows.append([cell, *(f"{round(one.mean, 2) + 0.0:.2f} ± {one.half:.2f}" for one in intervals)])
    header = ["cell", *map(str, sizes.lengths)]
    return Table(
        f"{problem.name.capitalize()}: share of the best score over {problem.length}",
        header,
        rows,
        "0: a guess. 1: perfect. ±: 95 % over the seeds.",
    )


def _pairs_table(pairs: dict[tuple[str, str, str], list[Paired]], sizes: MemorySizes) -> Table:
    rows = [
        [problem, f"{b} against {a}", *(f"{one.mean:+.2f}" if one.differs else "none found" for one in found)]
        for (problem, a, b), found in pairs.items()
    ]
    note = "Of the share, over the same seeds; none found: Student's paired interval has 0 in it."
    return Table("Differences", ["problem", "cells", *map(str, sizes.lengths)], rows, note)


def _drawing(shares: Shares, sizes: MemorySizes) -> Drawing:
    panels = []
    for problem in PROBLEMS:
        lines = []
        for cell in CELLS:
            values = shares[problem.name, cell]
            lines.append(
                Line(cell, sizes.lengths, values.mean(0).tolist(), values.min(0).tolist(), values.max(0).tolist())
            )
        panels.append(
            Panel(problem.name, problem.length, "share of the best score", lines, log_x=True, y_limits=(-0.1, 1.05))
        )
    return Drawing(
        "memory", "Share of the best possible score", "Share of the best score over length, a line for each cell",
        "Means over the seeds; shaded from the least to the largest.", panels,
    )  # fmt: skip
