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
from recurra.nn import Recurrent
from recurra.randomness import generator, numpy_generator, seed_of
from recurra.report.lines import Line, Panel
from recurra.report.page import Headline, Table
from recurra.statistics import Paired, mean_interval, paired_difference
from recurra.training.devices import forked_generators, seed_generators

CPU = torch.device("cpu")
SYMBOLS, COPIED = 4, 5
CLIP_NORM = 1.0
CHRONO = "lstm, chrono"
CELLS = ("rnn", "gru", "lstm", CHRONO)
PAIRS = (("rnn", "lstm"), ("gru", "lstm"), ("lstm", CHRONO))


@dataclass(frozen=True)
class Problem:
    """length: what the lengths count. draw: (rows, length, generator) → x and what is to be answered."""

    name: str
    length: str
    inputs: int
    outputs: int
    draw: Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    share: Callable[[Tensor, Tensor], float]
    more_steps: int
    """Of a row beyond its length."""


def _draw_copying(rows: int, pause: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    x, said = draw_copying(rows, pause, source, SYMBOLS, COPIED)
    return x, said[:, -COPIED:]


PROBLEMS = (
    Problem(
        "adding", "steps of a row", 2, 1, draw_adding,
        lambda outputs, sums: F.mse_loss(outputs[:, -1, 0], sums),
        lambda outputs, sums: adding_share(outputs[:, -1, 0], sums),
        0,
    ),
    Problem(
        "copying", "steps of the pause", SYMBOLS + 2, SYMBOLS + 2, _draw_copying,
        lambda outputs, said: F.cross_entropy(outputs[:, -COPIED:].flatten(0, 1), said.flatten()),
        lambda outputs, said: copying_share(outputs[:, -COPIED:], said, SYMBOLS),
        2 * COPIED,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class MemorySizes:
    """lengths: shortest to longest; training draws lengths between the two ends, testing takes each. updates: of each
    training."""

    lengths: tuple[int, ...] = (10, 20, 40, 80)
    hidden_size: int = 32
    batch_size: int = 32
    updates: int = 400
    lr: float = 0.01
    seeds: int = 4
    test_rows: int = 256


Shares = dict[tuple[str, str], NDArray[np.float64]]
"""[seeds, lengths] of each problem and cell."""


class Reader(nn.Module):
    """A recurrent layer and a linear one over its outputs, as nn.Sequential has no state to hand on."""

    def __init__(self, cell: str, inputs: int, hidden_size: int, outputs: int, chrono_length: int | None) -> None:
        super().__init__()
        how = "orthogonal" if chrono_length is None else "chrono"
        self.layer = Recurrent(cell, inputs, hidden_size, initialization=how, chrono_length=chrono_length)
        self.head = nn.Linear(self.layer.output_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, inputs] → [B, T, outputs]."""
        outputs: Tensor = self.head(self.layer(x)[0])
        return outputs


def memory(seed: int, tell: Tell = silent, sizes: MemorySizes | None = None) -> Finding:
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
    best = {
        problem.name: max(CELLS, key=lambda cell: float(shares[problem.name, cell][:, -1].mean()))
        for problem in PROBLEMS
    }
    return Finding(
        title="How far back a cell learns to remember",
        sentence=sentence(shares, pairs, sizes.lengths[-1]),
        headline=Headline(
            f"share of the best score, adding over {sizes.lengths[-1]} steps, lstm",
            f"{shares['adding', 'lstm'][:, -1].mean():.2f}",
            f"0 is a guess, 1 is perfect; rnn {shares['adding', 'rnn'][:, -1].mean():.2f}",
        ),
        facts=[
            ("Adding", "the sum of two marked numbers in a row; a guess errs by 1/6 squared"),
            ("Copying", f"{COPIED} symbols of {SYMBOLS}, a pause, then the symbols again"),
            ("Training", f"{sizes.updates} batches of {sizes.batch_size} new rows, lengths drawn from "
                         f"{sizes.lengths[0]} to {sizes.lengths[-1]}"),
            ("Model", f"1 layer of {sizes.hidden_size}, Adam at {sizes.lr:g}, clipping at {CLIP_NORM:g}"),
            ("Seeds", str(sizes.seeds)),
            ("Best at the longest", ", ".join(f"{problem}: {cell}" for problem, cell in best.items())),
        ],
        tables=[*(_table(shares, problem, sizes) for problem in PROBLEMS), _pairs_table(pairs, sizes)],
        drawings=[_drawing(shares, sizes)],
        numbers={
            "sizes": vars(sizes),
            "shares": {f"{problem}, {cell}": values.tolist() for (problem, cell), values in shares.items()},
            "pairs": {f"{name}: {a} → {b}": [one._asdict() for one in found] for (name, a, b), found in pairs.items()},
        },
    )  # fmt: skip


def train(problem: Problem, cell: str, seed: int, sizes: MemorySizes) -> list[float]:
    """One training, and its share of the best possible score at each length, on rows drawn apart.

    The rows and lengths drawn depend on the seed and the problem alone: all cells learn from the same.
    """
    chrono_length = sizes.lengths[-1] + problem.more_steps if cell == CHRONO else None
    with forked_generators(CPU):
        seed_generators(CPU, seed_of("lab", "memory", seed))
        model = Reader(cell.partition(",")[0], problem.inputs, sizes.hidden_size, problem.outputs, chrono_length)
    optimizer = torch.optim.Adam(model.parameters(), sizes.lr, fused=True)
    rows = generator("lab", problem.name, "train", seed)
    for update, length in enumerate(training_lengths(problem, seed, sizes)):
        for group in optimizer.param_groups:  # half a cosine, down to a tenth
            group["lr"] = sizes.lr * (0.55 + 0.45 * math.cos(math.pi * update / sizes.updates))
        x, target = problem.draw(sizes.batch_size, length, rows)
        optimizer.zero_grad()
        problem.loss(model(x), target).backward()
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
    ends = np.log((sizes.lengths[0], sizes.lengths[-1] + 1))
    drawn = numpy_generator("lab", problem.name, "lengths", seed).uniform(*ends, size=sizes.updates)
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
    return f"{paired.mean:+.2f}" if paired.differs else "no difference found"


def sentence(shares: Shares, pairs: dict[tuple[str, str, str], list[Paired]], longest: int) -> str:
    """What was seen at the longest length."""
    parts = []
    for problem in PROBLEMS:
        means = ", ".join(f"{cell} {shares[problem.name, cell][:, -1].mean():.2f}" for cell in CELLS)
        against = "; ".join(f"{b} against {a}: {difference(pairs[problem.name, a, b][-1])}" for a, b in PAIRS)
        parts.append(f"{problem.name} {means} ({against})")
    return f"Over {longest} steps, share of the best score: {'; '.join(parts)}."


def _table(shares: Shares, problem: Problem, sizes: MemorySizes) -> Table:
    rows = []
    for cell in CELLS:
        intervals = [mean_interval(column) for column in shares[problem.name, cell].T]
        rows.append([cell, *(f"{one.mean:.2f} ± {one.half:.2f}" for one in intervals)])
    header = ["cell", *map(str, sizes.lengths)]
    return Table(
        f"{problem.name.capitalize()}: share of the best score over {problem.length}",
        header,
        rows,
        "0: a guess. 1: perfect. ±: 95 % over the seeds.",
    )


def _pairs_table(pairs: dict[tuple[str, str, str], list[Paired]], sizes: MemorySizes) -> Table:
    rows = [[problem, a, b, *map(difference, all_)] for (problem, a, b), all_ in pairs.items()]
    return Table(
        "Two and two", ["problem", "from", "to", *map(str, sizes.lengths)], rows,
        "Differences of the share over the same seeds, where Student's paired interval leaves out 0.",
    )  # fmt: skip


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
