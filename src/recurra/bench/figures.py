"""The figures that `recurra bench` prints: ways and ratios as rows of plain values."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import torch

from recurra.bench.sequences import Case, measured_case
from recurra.bench.steps import measured_step
from recurra.cells import CELLS
from recurra.engines import why_not
from recurra.engines.costs import Work, in_use

SHAPES = ((1, 64, 64), (16, 64, 64), (32, 128, 128), (64, 35, 256))
"""rows, steps, hidden_size."""

STEPPED = ("rnn", "lstm", "gru")
HIDDEN = (32, 64, 128, 256)

Row = dict[str, Any]


def figures(rounds: int, tell: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Measure this machine.

    Args:
        rounds: of each measurement.
        tell: takes a line as each part begins.

    Returns:
        machine; sequences, forward and backward, milliseconds by the native engine and by the other way, with their
        ratio; steps, microseconds of one step at batch 1. Sequences are empty where no native engine is.
    """
    with torch.random.fork_rng(devices=[]):
        cells = [name for name, cell in CELLS.items() if "native" not in why_not(cell(2, 2))]
    sequences: list[Row] = []
    for name in cells:
        tell(f"sequences: {name}")
        for (rows, steps, hidden), ragged in ((shape, ragged) for shape in SHAPES for ragged in (False, True)):
            if rows > 1 or not ragged:
                sequences.append(_sequences(Case(name, hidden, Work(rows, steps, ragged, True)), rounds))
    tell("single steps")
    return {
        "machine": {
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            **in_use(),
        },
        "sequences": sequences,
        "steps": [_steps(name, hidden, rounds) for name in STEPPED for hidden in HIDDEN],
    }


def _sequences(case: Case, rounds: int) -> Row:
    seconds = measured_case(case, rounds, torch_nn=True)
    native = seconds.pop("native")
    ((other, peer),) = seconds.items()
    work = case.work
    return {
        "cell": case.cell,
        "rows": work.rows,
        "steps": work.steps,
        "hidden": case.hidden_size,
        "lengths": "10:1" if work.ragged else "equal",
        "native": round(1e3 * native, 3),
        "other": other,
        "its": round(1e3 * peer, 3),
        "ratio": round(peer / native, 2),
    }


def _steps(cell: str, hidden: int, rounds: int) -> Row:
    micro = {way: round(1e6 * seconds, 2) for way, seconds in measured_step(cell, hidden, rounds).items()}
    return {"cell": cell, "hidden": hidden, **micro, "torch / session": round(micro["torch"] / micro["session"], 1)}
