"""How the gradient shrinks over time: in each cell, with each forget bias, through stacks, and under clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recurra.lab.finding import Drawing, Finding, Tell, silent
from recurra.lab.gradient import (
    CLIPPED_TO,
    Clipped,
    Stack,
    clip,
    draw_directions,
    draw_input,
    factor_a_step,
    gradient_by_distance,
    make_stack,
)
from recurra.lab.verdict import geometric, ratio, short, span, times
from recurra.report.lines import Line, Panel
from recurra.report.page import Headline, Table
from recurra.settings.names import Initialization
from recurra.statistics import Paired, mean_interval

STACKS = (
    Stack("rnn", "rnn"),
    Stack("gru", "gru"),
    Stack("lstm, forget bias 0", "lstm", forget_bias=0.0),
    Stack("lstm, forget bias 1", "lstm", forget_bias=1.0),
    Stack("lstm, forget bias 5", "lstm", forget_bias=5.0),
    Stack("rnn, 4 layers", "rnn", num_layers=4),
    Stack("rnn, 4 layers, residual", "rnn", num_layers=4, residual=True),
    Stack("rnn, 4 layers, dilation 1, 2, 4, 8", "rnn", num_layers=4, dilation=(1, 2, 4, 8)),
)
PAIRS = (
    ("rnn", "gru"),
    ("rnn", "lstm, forget bias 0"),
    ("lstm, forget bias 0", "lstm, forget bias 1"),
    ("lstm, forget bias 0", "lstm, forget bias 5"),
    ("rnn, 4 layers", "rnn, 4 layers, residual"),
    ("rnn, 4 layers", "rnn, 4 layers, dilation 1, 2, 4, 8"),
)
BEGUN: dict[Initialization, str] = {"torch": "begun as torch begins", "orthogonal": "begun as recurra begins"}
CLIPPED = ("rnn", "gru", "lstm, forget bias 0", "lstm, forget bias 1", "lstm, forget bias 5")
UNCHANGED = 1e-9  # of the far steps' share: rounding in double precision is 1e-16 a product


@dataclass(frozen=True)
class GradientSizes:
    """distances: of the table, in steps. far: the distance of the verdicts: 49 is from the first to the last of 50.

    fit_from: the distance from which the factor a step is fitted.
    """

    steps: int = 100
    input_size: int = 16
    hidden_size: int = 64
    batch_size: int = 16
    seeds: int = 8
    distances: tuple[int, ...] = (1, 10, 25, 49, 99)
    far: int = 49
    fit_from: int = 10


Measured = dict[tuple[Initialization, str], NDArray[np.float64]]
"""[seeds, T] gradients by distance, of each beginning and stack."""


def measure_gradients(seed: int, tell: Tell = silent, sizes: GradientSizes | None = None) -> Finding:
    """Measure the gradient of the last output with respect to the input at each distance.

    Args:
        seed: of weights and inputs; each repetition has its own.
        tell: told of each stack.
        sizes: of what is measured.
    """
    sizes = sizes or GradientSizes()
    measured = gradients_of(seed, tell, sizes)
    pairs = {how: _pairs(measured, how, sizes.far) for how in BEGUN}
    kinds: list[tuple[str, Literal["norm", "value"]]] = [*((name, "norm") for name in CLIPPED), ("rnn", "value")]
    clipped: dict[tuple[str, str], list[Clipped]] = {(name, by): _clipped(name, by, seed, sizes) for name, by in kinds}
    far = {stack.name: geometric(measured["torch", stack.name][:, sizes.far].tolist()).mean for stack in STACKS}
    return Finding(
        title="The gradient over distance",
        sentence=sentence(far, pairs, clipped, sizes.far),
        headline=Headline(
            f"gradient over {sizes.far} steps, plain rnn", short(far["rnn"]),
            f"lstm {short(far['lstm, forget bias 0'])}, with forget bias 5 {short(far['lstm, forget bias 5'])}, "
            "begun as torch begins",
        ),
        facts=[
            ("Measured", "the gradient of the last step's output with respect to the input at each distance"),
            ("Sizes", f"{sizes.batch_size} rows, {sizes.steps} steps, {sizes.input_size} → {sizes.hidden_size} units"),
            ("Repetitions", f"{sizes.seeds}, each with weights and inputs of its own"),
            ("Arithmetic", "double precision"),
        ],
        tables=[
            *(_table(measured, how, sizes) for how in BEGUN),
            _pairs_table(pairs, sizes.far),
            _clipped_table(clipped, sizes.far),
        ],
        drawings=[_drawing(measured)],
        numbers={
            "sizes": vars(sizes),
            "gradients": {how: {one.name: geometric_rows(measured[how, one.name]) for one in STACKS} for how in BEGUN},
            "pairs": {how: {f"{a} → {b}": vars(paired) for (a, b), paired in pairs[how].items()} for how in pairs},
            "clipped": {f"{name}, by {by}": [one._asdict() for one in found] for (name, by), found in clipped.items()},
        },
    )  # fmt: skip


def gradients_of(seed: int, tell: Tell, sizes: GradientSizes, stacks: Sequence[Stack] = STACKS) -> Measured:
    """The gradients by distance of every beginning, stack and repetition."""
    found: Measured = {}
    for how in BEGUN:
        for stack in stacks:
            tell(f"{stack.name}, begun {how}")
            found[how, stack.name] = np.stack(
                [
                    gradient_by_distance(
                        make_stack(stack, sizes.input_size, sizes.hidden_size, how, one),
                        draw_input(sizes.batch_size, sizes.steps, sizes.input_size, one),
                        draw_directions(sizes.batch_size, sizes.hidden_size, one),
                    )
                    for one in seeds_of(seed, sizes)
                ]
            )
    return found


def seeds_of(seed: int, sizes: GradientSizes) -> range:
    """Those of the repetitions; no two seeds of a user share one."""
    return range(seed * sizes.seeds, (seed + 1) * sizes.seeds)


def sentence(
    far: dict[str, float],
    pairs: dict[Initialization, dict[tuple[str, str], Paired]],
    clipped: dict[tuple[str, str], list[Clipped]],
    distance: int,
) -> str:
    """What was seen.

    Args:
        far: the gradient of each stack at the distance, begun as torch begins.
        pairs: ratios of two stacks' gradients there, of each beginning.
        clipped: each stack's gradients before and after clipping.
        distance: in steps.
    """
    by_norm = [one for (_, by), repeated in clipped.items() if by == "norm" for one in repeated]
    change = max(abs(one.far_after / one.far_before - 1) for one in by_norm)
    kept = "leaves" if change < UNCHANGED else f"changes by up to {short(100 * change)} %"
    torch, ours = pairs["torch"], pairs["orthogonal"]
    lstm, stacked = "lstm, forget bias 0", "rnn, 4 layers"
    gates = "; ".join(
        f"{name}'s gates {times(torch['rnn', gated])} (begun orthogonal {times(ours['rnn', gated])})"
        for name, gated in (("a gru", "gru"), ("an lstm", lstm))
    )
    return (
        f"Over {distance} steps the gradient of a plain rnn is {short(far['rnn'])}; {gates}, "
        f"with forget bias 1 {times(torch[lstm, 'lstm, forget bias 1'])}, "
        f"5 {times(torch[lstm, 'lstm, forget bias 5'])}; "
        f"residual connections {times(torch[stacked, f'{stacked}, residual'])}; "
        f"dilation {times(torch[stacked, f'{stacked}, dilation 1, 2, 4, 8'])}; "
        f"clipping by norm {kept} the share of far steps."
    )


def geometric_rows(values: NDArray[np.float64]) -> list[float]:
    """[T] geometric means over the repetitions."""
    return [geometric(column.tolist()).mean for column in values.T]


def _pairs(measured: Measured, how: Initialization, far: int) -> dict[tuple[str, str], Paired]:
    return {(a, b): ratio(*(measured[how, name][:, far].tolist() for name in (a, b))) for a, b in PAIRS}


def _clipped(name: str, by: Literal["norm", "value"], seed: int, sizes: GradientSizes) -> list[Clipped]:
    stack = next(stack for stack in STACKS if stack.name == name)
    return [
        clip(
            make_stack(stack, sizes.input_size, sizes.hidden_size, "torch", one),
            draw_input(sizes.batch_size, sizes.steps, sizes.input_size, one),
            draw_directions(sizes.batch_size, sizes.hidden_size, one),
            sizes.far,
            by,
        )
        for one in seeds_of(seed, sizes)
    ]


def _table(measured: Measured, how: Initialization, sizes: GradientSizes) -> Table:
    rows = []
    for stack in STACKS:
        gradients = measured[how, stack.name]
        factor = mean_interval([factor_a_step(one, sizes.fit_from) for one in gradients])
        values = [short(geometric(gradients[:, distance].tolist()).mean) for distance in sizes.distances]
        rows.append([stack.name, *values, f"{factor.mean:.3f}", f"± {factor.half:.3f}"])
    header = [
        "layers",
        *(f"{distance} step{'s' * (distance > 1)}" for distance in sizes.distances),
        "factor a step",
        "95 %",
    ]
    note = f"Geometric means of {sizes.seeds} repetitions; the factor is fitted from {sizes.fit_from} steps on."
    return Table(f"The gradient at each distance, {BEGUN[how]}", header, rows, note)


def _pairs_table(pairs: dict[Initialization, dict[tuple[str, str], Paired]], far: int) -> Table:
    rows = [
        [a, b, *(text for how in BEGUN for text in (times(pairs[how][a, b]), span(pairs[how][a, b])))] for a, b in PAIRS
    ]
    header = ["from", "to", *(text for how in BEGUN for text in (f"begun {how}", "95 %"))]
    note = "The gradient of the second over that of the first: Student's paired intervals of the logarithms."
    return Table(f"Two and two, over {far} steps", header, rows, note)


def _clipped_table(clipped: dict[tuple[str, str], list[Clipped]], far: int) -> Table:
    rows = []
    for (name, by), found in clipped.items():
        norms = [geometric([getattr(one, field) for one in found]).mean for field in ("norm_before", "norm_after")]
        shares = [geometric([getattr(one, field) for one in found]).mean for field in ("far_before", "far_after")]
        cosine = min(one.cosine for one in found)
        rows.append([name, by, *map(short, norms), f"{cosine:.6f}", *(f"{share:.3e}" for share in shares)])
    header = ["layers", "clipped by", "norm", "norm after", "least cosine", f"{far} steps over 0", "after"]
    note = (
        f"A training step's gradient clipped to {CLIPPED_TO:g} of its norm, or each number to {CLIPPED_TO:g} of the "
        "largest. The cosine is between the gradient before and after."
    )
    return Table("What clipping does", header, rows, note)


def _drawing(measured: Measured) -> Drawing:
    panels = []
    for how, title in BEGUN.items():
        lines = []
        for stack in STACKS:
            found = [geometric(column.tolist()) for column in measured[how, stack.name].T]
            means, lows, highs = ([getattr(one, field) for one in found] for field in ("mean", "low", "high"))
            lines.append(Line(stack.name, range(len(found)), means, lows, highs))
        panels.append(Panel(title, "steps before the last", "gradient", lines, log_y=True))
    return Drawing(
        "gradient",
        "The gradient by distance",
        "Gradient on a logarithmic scale over distance, one line for each stack",
        "A straight line is a constant factor a step. Shaded: 95 % intervals of the geometric mean.",
        panels,
    )
