"""Small controlled experiments on recurrence itself: the table of them, and the way to run one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recurra.errors import RunError, SettingsError
from recurra.files import make_folder, write_whole
from recurra.lab.cost import measure_cost
from recurra.lab.finding import Finding, Tell, finite, silent
from recurra.lab.memory import measure_memory
from recurra.lab.vanishing_gradient import measure_gradients
from recurra.report.lines import lines_figure, lines_numbers
from recurra.report.page import Picture, ReportPage, Table, write_report
from recurra.report.saving import save_plot
from recurra.settings.names import check_name
from recurra.training.devices import threads as use_threads

EXPERIMENTS: dict[str, Callable[[int, Tell], Finding]] = {
    "vanishing-gradient": measure_gradients,
    "memory": measure_memory,
    "cost": measure_cost,
}


@dataclass(frozen=True)
class LabResult:
    """What an experiment came to.

    sentence: what was seen. command: repeats it. tables: to print. numbers: as in result.json. report: the page.
    """

    sentence: str
    command: str
    tables: tuple[Table, ...]
    numbers: dict[str, Any]
    report: Path


def run(name: str, out: str | Path, seed: int = 0, *, threads: int = 1, tell: Tell = silent) -> LabResult:
    """Run an experiment into a new folder: `report.html`, `result.json`, and `plots/` with a PNG and a CSV a picture.

    Args:
        name: "vanishing-gradient", "memory" or "cost".
        out: the folder to write.
        seed: decides all that is drawn.
        threads: of the arithmetic; 0: torch's own number.
        tell: told now and then how far it is.

    Raises:
        SettingsError: there is none of that name, or a number is below 0.
        RunError: the folder has something in it.
        WorkError: the disk is full or fails.
    """
    check_name("experiment", name, EXPERIMENTS)
    for what, value in (("seed", seed), ("threads", threads)):
        if value < 0:
            raise SettingsError(f"{what}: {value} is below 0")
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there already; give another --out")
    make_folder(out)
    command = f"recurra lab {name} --seed {seed} --threads {threads}"
    began = time.perf_counter()
    with use_threads(threads):
        finding = EXPERIMENTS[name](seed, tell)
        used = torch.get_num_threads()
    numbers: dict[str, Any] = finite(
        {
            "experiment": name,
            "seed": seed,
            "sentence": finding.sentence,
            "command": command,
            "seconds": time.perf_counter() - began,
            "threads": used,
            "versions": {"torch": torch.__version__},
            **finding.numbers,
        }
    )
    pictures = [
        Picture(
            drawing.title,
            save_plot(out, drawing.name, lines_figure(drawing.panels), *lines_numbers(drawing.panels)),
            drawing.alt,
            drawing.caption,
        )
        for drawing in finding.drawings
    ]
    write_whole(out / "result.json", json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    write_report(
        out,
        ReportPage(
            title=finding.title,
            subtitle=finding.sentence,
            headline=finding.headline,
            facts=[*finding.facts, ("Again", command)],
            tables=finding.tables,
            pictures=pictures,
        ),
    )
    return LabResult(finding.sentence, command, tuple(finding.tables), numbers, out / "report.html")


__all__ = ["EXPERIMENTS", "LabResult", "run"]
