"""What training and inference cost in time and memory over batch size, steps and hidden size, beside what is taught."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.lab.allocations import kept_for_backward, peak_bytes
from recurra.lab.finding import Drawing, Finding, Tell, silent
from recurra.lab.power_law import PowerLaw, fit_power_law
from recurra.lab.verdict import ratio, short, span
from recurra.nn import Recurrent
from recurra.randomness import generator, numpy_generator, seed_of
from recurra.report.lines import Line, Panel
from recurra.report.page import Headline, Table
from recurra.statistics import Interval, Paired
from recurra.training.devices import forked_generators, seed_generators

CPU = torch.device("cpu")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
TAUGHT_TIME = {"B": 1.0, "T": 1.0, "H": 2.0}  # B · T · G · H · (I + H), here with I = H
TAUGHT_MEMORY = {"B": 1.0, "T": 1.0, "H": 1.0}
NEAR = 0.05  # of an exponent: over a factor of 10 in size, 12 %
LEAST_SECONDS = 0.005  # of one timing; what is quicker is repeated within it

OVER = (("gru", "rnn"), ("lstm", "rnn"), ("gru", "lstm"))

Kind = Literal["training", "inference"]
KINDS: tuple[Kind, ...] = ("training", "inference")


@dataclass(frozen=True)
class CostSizes:
    """The law is fitted over every combination; small: hidden sizes up to it are fitted apart from those above."""

    batch_sizes: tuple[int, ...] = (4, 12, 36)
    steps: tuple[int, ...] = (8, 24, 72)
    hidden_sizes: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    small: int = 64
    rounds: int = 3

    def ranges(self) -> tuple[str, str]:
        """The names of the small hidden sizes and of the others."""
        return f"H ≤ {self.small}", f"H > {self.small}"

    def points(self) -> list[Point]:
        """Every combination."""
        return [Point(*sizes) for sizes in itertools.product(self.batch_sizes, self.steps, self.hidden_sizes)]


class Point(NamedTuple):
    """Batch size, steps, and the hidden size, which is the input size too."""

    B: int
    T: int
    H: int


Measured = dict[tuple[str, Kind], dict[Point, float]]
"""Seconds or bytes of each cell and kind, at each point."""
Ratios = dict[tuple[str, str, Kind, str], Paired]
"""The time of a cell over that of another, of each kind and range of hidden sizes."""


def measure_cost(seed: int, tell: Tell = silent, sizes: CostSizes | None = None) -> Finding:
    """Time and count bytes over B, T and H, and fit the law.

    Args:
        seed: of weights, inputs and the order of each round. Seconds are the machine's: another run gives others.
        tell: told of each round.
        sizes: of what is measured.
    """
    sizes = sizes or CostSizes()
    seconds = measure_seconds(seed, tell, sizes)
    tell("counting bytes")
    held = measure_bytes(seed, sizes)
    large = [point for point in sizes.points() if sizes.small < point.H]
    below, above = sizes.ranges()
    ranges = {
        "all": sizes.points(),
        below: [point for point in sizes.points() if point not in large],
        above: large,
    }
    laws = {
        (cell, kind, name): law(seconds[cell, kind], points)
        for cell in GATES
        for kind in KINDS
        for name, points in ranges.items()
    }
    memory = {(cell, kind): law(held[cell, kind], sizes.points()) for cell in GATES for kind in KINDS}
    ratios = {
        (cell, base, kind, name): _ratio(seconds, cell, base, kind, points)
        for cell, base in OVER
        for kind in KINDS
        for name, points in ranges.items()
        if name != "all"
    }
    exponent = laws["lstm", "training", "all"].exponents["H"]
    threads = torch.get_num_threads()
    clock = "processor seconds of one thread" if threads == 1 else f"seconds of {threads} threads"
    return Finding(
        title="What a recurrent layer costs",
        sentence=sentence(laws, memory, ratios, sizes),
        headline=Headline(
            "measured exponent of H, training an lstm",
            f"{exponent.mean:.2f}",
            f"{exponent.low:.2f} to {exponent.high:.2f}; taught: 2",
        ),
        facts=[
            ("Taught", "time B · T · G · H · (I + H) a layer, here with I = H: exponents 1, 1, 2; G is 1, 3, 4"),
            ("Time", f"{clock}, medians of {sizes.rounds} rounds in changing order"),
            ("Training", "forward, and backward to the weights"),
            ("Memory in training", "bytes that autograd keeps between the two, parameters not counted"),
            ("Memory in inference", "the most bytes that its tensors hold at one time, outputs among them"),
            ("Sizes", f"B {_listed(sizes.batch_sizes)}; T {_listed(sizes.steps)}; H {_listed(sizes.hidden_sizes)}"),
        ],
        tables=[_laws_table(laws), _memory_table(memory, held, sizes), _ratios_table(ratios)],
        drawings=[_drawing(seconds, laws, sizes)],
        numbers={
            "sizes": vars(sizes),
            "seconds": {f"{cell}, {kind}": _rows(found) for (cell, kind), found in seconds.items()},
            "bytes": {f"{cell}, {kind}": _rows(found) for (cell, kind), found in held.items()},
            "time": {", ".join(key): _numbers(one) for key, one in laws.items()},
            "memory": {", ".join(key): _numbers(one) for key, one in memory.items()},
            "ratios": {f"{a} to {b}, {kind}, {name}": vars(one) for (a, b, kind, name), one in ratios.items()},
        },
    )  # fmt: skip


def measure_seconds(seed: int, tell: Tell, sizes: CostSizes) -> Measured:
    """Medians over rounds, each of which times everything once in an order of its own."""
    calls = {
        (cell, kind, point): _call(cell, kind, point, seed)
        for cell in GATES
        for kind in KINDS
        for point in sizes.points()
    }
    repeats = {key: max(1, math.ceil(LEAST_SECONDS / max(_timed(call, 2), 1e-9))) for key, call in calls.items()}
    keys = list(calls)
    timings: dict[Any, list[float]] = {key: [] for key in keys}
    for round_ in range(sizes.rounds):
        tell(f"round {round_ + 1} of {sizes.rounds}")
        for index in numpy_generator("lab", "cost", seed, round_).permutation(len(keys)):
            timings[keys[index]].append(_timed(calls[keys[index]], repeats[keys[index]]))
    return {
        (cell, kind): {point: float(np.median(timings[cell, kind, point])) for point in sizes.points()}
        for cell in GATES
        for kind in KINDS
    }


def measure_bytes(seed: int, sizes: CostSizes) -> Measured:
    """Kept for the backward pass in training; the peak in inference."""
    found: Measured = {(cell, kind): {} for cell in GATES for kind in KINDS}
    for cell, point in itertools.product(GATES, sizes.points()):
        layer, x = _layer(cell, point, seed)
        found[cell, "training"][point] = kept_for_backward(layer, x)
        with torch.no_grad():
            found[cell, "inference"][point] = peak_bytes(lambda layer=layer, x=x: layer(x))  # type: ignore[misc]
    return found


def law(found: dict[Point, float], points: Sequence[Point]) -> PowerLaw:
    """The law over B, T and H, of those points."""
    sizes = {name: [float(getattr(point, name)) for point in points] for name in Point._fields}
    return fit_power_law(sizes, [found[point] for point in points])


def beside(measured: Interval, taught: float) -> str:
    """An exponent, or that it is as taught: unless its whole interval lies farther off than NEAR."""
    near = measured.low - NEAR <= taught <= measured.high + NEAR
    return "as taught" if near else f"{measured.mean:.2f}"


def sentence(
    laws: dict[tuple[str, Kind, str], PowerLaw],
    memory: dict[tuple[str, Kind], PowerLaw],
    ratios: Ratios,
    sizes: CostSizes,
) -> str:
    """Where the measured law differs from the taught one."""
    below, above = sizes.ranges()
    small, large = (laws["lstm", "training", name].exponents for name in (below, above))
    over = {}
    for cell in ("lstm", "gru"):
        found, taught = ratios[cell, "rnn", "training", above], math.log10(GATES[cell])
        over[cell] = "as taught" if found.low <= taught <= found.high else short(10**found.mean)
    kept = memory["lstm", "training"].exponents
    bytes_ = {name: beside(kept[name], taught) for name, taught in TAUGHT_MEMORY.items()}
    listed = ", ".join(f"{name} {found}" for name, found in bytes_.items() if found != "as taught")
    return (
        f"Training an lstm, the exponent of H in time is {beside(small['H'], 2.0)} up to {sizes.small} and "
        f"{beside(large['H'], 2.0)} above (taught: 2), there of B {beside(large['B'], 1.0)} and T "
        f"{beside(large['T'], 1.0)} (1); over an rnn's time an lstm's is {over['lstm']} ({GATES['lstm']}), a gru's "
        f"{over['gru']} ({GATES['gru']}); memory's exponents: {listed or 'as taught'}."
    )


def _call(cell: str, kind: Kind, point: Point, seed: int) -> Callable[[], object]:
    layer, x = _layer(cell, point, seed)
    if kind == "inference":

        def infer() -> None:
            with torch.no_grad():
                layer(x)

        return infer
    parameters = list(layer.parameters())
    return lambda: torch.autograd.grad(layer(x)[0].sum(), parameters)


def _layer(cell: str, point: Point, seed: int) -> tuple[Recurrent, Tensor]:
    with forked_generators(CPU):
        seed_generators(CPU, seed_of("lab", "cost", seed))
        layer = Recurrent(cell, point.H, point.H)
    return layer, torch.randn(point.B, point.T, point.H, generator=generator("lab", "cost", "x", seed))


def _timed(call: Callable[[], object], repeats: int) -> float:
    """Seconds a call: the processor's where one thread does it all, so that other work on the machine hardly enters."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    for _ in range(repeats):
        call()
    return (clock() - began) / repeats


def _ratio(seconds: Measured, cell: str, base: str, kind: Kind, points: Sequence[Point]) -> Paired:
    return ratio(*([seconds[name, kind][point] for point in points] for name in (base, cell)))


def _laws_table(laws: dict[tuple[str, Kind, str], PowerLaw]) -> Table:
    rows = [
        [cell, kind, over, *(_exponent(found.exponents[name]) for name in TAUGHT_TIME), short(found.spread)]
        for (cell, kind, over), found in laws.items()
    ]
    header = ["cell", "seconds of", "sizes", *_taught(TAUGHT_TIME), "spread"]
    return Table(
        "Time: the exponents of the fitted law",
        header,
        rows,
        "± 95 %, from how far the timings lie beside the law; the spread is that distance as a factor.",
    )


def _memory_table(memory: dict[tuple[str, Kind], PowerLaw], held: Measured, sizes: CostSizes) -> Table:
    largest = sizes.points()[-1]
    rows = [
        [
            cell,
            "kept for backward" if kind == "training" else "peak of inference",
            *(_exponent(found.exponents[name]) for name in TAUGHT_MEMORY),
            short(held[cell, kind][largest] / (4 * largest.B * largest.T * largest.H)),
        ]
        for (cell, kind), found in memory.items()
    ]
    header = ["cell", "bytes", *_taught(TAUGHT_MEMORY), "floats a step and unit"]
    return Table(
        "Memory: the exponents of the fitted law",
        header,
        rows,
        "The last column is at the largest B, T and H: bytes over 4 · B · T · H.",
    )


def _ratios_table(ratios: Ratios) -> Table:
    rows = [
        [f"{cell} to {base}", kind, name, short(10**found.mean), span(found), f"{GATES[cell] / GATES[base]:.3g}"]
        for (cell, base, kind, name), found in ratios.items()
    ]
    header = ["cells", "seconds of", "sizes", "measured", "95 %", "taught"]
    return Table(
        "Time over another cell's",
        header,
        rows,
        "Geometric means over B, T and H; how much they vary there makes the interval.",
    )


def _drawing(seconds: Measured, laws: dict[tuple[str, Kind, str], PowerLaw], sizes: CostSizes) -> Drawing:
    widest = sizes.points()[-1]
    panels = []
    for name, values in (("H", sizes.hidden_sizes), ("T", sizes.steps), ("B", sizes.batch_sizes)):
        lines = []
        for cell in GATES:
            points = [widest._replace(**{name: value}) for value in values]
            found = [1e3 * seconds[cell, "training"][point] for point in points]
            lines.append(Line(cell, values, found))
            taught = [found[-1] * (value / values[-1]) ** TAUGHT_TIME[name] for value in values]
            lines.append(Line(f"{cell}, taught", values, taught, dashed=True))
        others = ", ".join(f"{other} = {getattr(widest, other)}" for other in Point._fields if other != name)
        panels.append(Panel(others, name, "milliseconds of training", lines, log_x=True, log_y=True))
    return Drawing(
        "cost", "Time over H, T and B", "Time of training on logarithmic scales over hidden size, steps and batch size",
        "Dashed: the taught slope through the last point.", panels,
    )  # fmt: skip


def _taught(exponents: dict[str, float]) -> list[str]:
    return [f"{name} (taught {taught:g})" for name, taught in exponents.items()]


def _exponent(found: Interval) -> str:
    return f"{found.mean:.2f} ± {found.half:.2f}"


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _rows(found: dict[Point, float]) -> list[dict[str, float]]:
    return [{**point._asdict(), "value": value} for point, value in found.items()]


def _numbers(found: PowerLaw) -> dict[str, Any]:
    return {
        "constant": found.constant,
        "spread": found.spread,
        **{name: vars(one) for name, one in found.exponents.items()},
    }
