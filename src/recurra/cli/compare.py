"""`recurra compare`: cells trained on the same data, or runs that exist, beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from recurra.cli.configuration import ConfigFile, fill_from_file, task_of
from recurra.cli.show import print_text, table
from recurra.cli.tasks import add_tasks, no_data
from recurra.cli.train import ProgressKind
from recurra.errors import SettingsError
from recurra.settings.names import TASKS, TaskName, check_task, did_you_mean
from recurra.settings.tasks import TaskSettings

if TYPE_CHECKING:
    from recurra.comparison import Comparison
    from recurra.training.dry_run import DryRun

compare_app = App(
    name="compare",
    help="Compare cells: `recurra compare TASK -h` lists the options of a task; or runs that exist.",
    config=partial(fill_from_file, without=("cell",)),
)

ComparisonFolder = Annotated[
    Path | None, Parameter(help="Folder to write. Default: runs/compare-TASK-DATE.", negative_iterable=())
]
Overwrite = Annotated[bool, Parameter(help="Replace the comparison in the folder.", negative="")]


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What is no setting of a run."""

    cells: Annotated[
        str, Parameter(help="Cells to compare, with commas between; the others are compared with the first.")
    ] = "rnn,lstm,gru"
    seeds: Annotated[str, Parameter(help="How many seeds, from --seed on; or which, as in 3,4,5.")] = "3"
    config: ConfigFile = None
    out: ComparisonFolder = None
    overwrite: Overwrite = False
    dry_run: Annotated[
        bool,
        Parameter(
            help="Take a few steps with each cell, say what the comparison would cost, keep nothing.", negative=""
        ),
    ] = False
    progress: ProgressKind = "auto"


@compare_app.default
def runs(
    *runs: Annotated[str, Parameter(help="Run folders, two or more.", allow_leading_hyphen=True)],
    resume: Annotated[Path | None, Parameter(help="Folder of a comparison that goes on where it stopped.")] = None,
    out: Annotated[Path | None, Parameter(help="Folder to write. Default: runs/compare-DATE.")] = None,
    overwrite: Overwrite = False,
    progress: ProgressKind = "auto",
) -> int | None:
    """Compare cells: `recurra compare TASK -h` lists the options of a task; or runs that exist; --resume goes on."""
    if task := task_of(runs):
        given = [*(["--out", str(out)] if out else []), *(["--overwrite"] if overwrite else []), "--progress", progress]
        again = compare_app([task, *runs, *given], exit_on_error=False, print_error=False, result_action="return_value")
        return again if isinstance(again, int) else None
    if runs and not Path(runs[0]).exists():
        one_word = "/" not in runs[0] and (len(runs) == 1 or runs[1].startswith("-"))
        if runs[0].startswith("-") or one_word:
            _no_run(runs[0])
    if unknown := [word for word in runs if word.startswith("-")]:
        known = ("--out", "--overwrite", "--progress")
        raise SettingsError(
            f"{unknown[0]} is no option of `recurra compare RUN RUN`; {did_you_mean(unknown[0], known)}"
        )
    if runs and resume is not None:
        raise SettingsError(
            "--resume: it goes on with one comparison, and runs are named beside it; give one of the two"
        )
    if resume is None and not runs:
        raise SettingsError(
            f"name a task ({', '.join(TASKS)}), runs that exist, or a comparison to go on with: "
            "recurra compare --resume FOLDER"
        )
    if resume is not None and (out is not None or overwrite):
        raise SettingsError("--resume: it goes on in its own folder; leave out --out and --overwrite")

    from recurra import api

    if resume is not None:
        return _show(api.compare(resume=resume, progress=progress, isolated=True))
    return _show(api.compare(list(runs), out=out, overwrite=overwrite))


def _no_run(word: str) -> None:
    """Say what was meant with the first word, which is no folder.

    Raises:
        SettingsError: always.
    """
    if not word.startswith("-"):
        check_task(word)
    known = ("--resume", "--out", "--overwrite", "--progress", "--cells", "--seeds")
    raise SettingsError(
        f"{word} is no option of `recurra compare` before the task's name; {did_you_mean(word, known)}; "
        f"a task's options follow it: recurra compare {TASKS[0]} {word} …"
    )


def _compare(task: TaskName, settings: TaskSettings, options: CompareOptions) -> int | None:
    if settings.model.cell is not None:
        raise SettingsError("cell: a comparison trains several; name them with --cells, as in --cells rnn,lstm")
    if not settings.data.names_data and options.config is None:
        raise SettingsError(no_data(task, "compare"))

    from recurra import api

    chosen: dict[str, Any] = {
        "cells": [cell for cell in options.cells.split(",") if cell],
        "seeds": _seeds(options.seeds),
        "config": options.config,
        "isolated": True,
    }
    if options.dry_run:
        _show_cost(*api.try_comparison(task, settings, **chosen))
        return None
    return _show(
        api.compare_settings(
            task, settings, out=options.out, overwrite=options.overwrite, progress=options.progress, **chosen
        )
    )


def _seeds(text: str) -> int | list[int]:
    parts = text.split(",")
    if not all(part.strip().lstrip("-").isdecimal() for part in parts):
        raise SettingsError(f"seeds: {text!r} is no number of seeds, and no list of them as in 3,4,5")
    numbers = [int(part) for part in parts]
    return numbers if len(numbers) > 1 else numbers[0]


def _show(comparison: Comparison) -> int:
    """The tables, what holds for them, and the page on the last line."""
    from recurra.comparison import untimed

    print_text(table(*comparison.result_table()) + "\n")
    header, rows = comparison.cost_table()
    print_text(table(header, _aligned(rows)) + "\n")
    for note in comparison.notes:
        print_text(note)
    print_text(comparison.about_budget)
    for reason in untimed(comparison):
        print_text(reason)
    print()
    print_text(str(comparison.path / "compare.html"))
    return int(comparison.failed)


def _show_cost(tried: dict[str, DryRun], trainings: int) -> None:
    header = ["cell", "parameters", "steps", "ms a step", "seconds at most", "peak MiB"]
    rows = [
        [cell, one.parameters, one.steps, 1e3 * one.step_seconds, one.expected_seconds, one.peak_memory_bytes >> 20]
        for cell, one in tried.items()
    ]
    print_text(table(header, _aligned(rows)) + "\n")
    seconds = trainings * sum(one.expected_seconds for one in tried.values()) / len(tried)
    print_text(f"{trainings} trainings: {seconds:,.0f} seconds at most; early stopping is not foreseen.")


def _aligned(rows: list[list[Any]]) -> list[list[str]]:
    """Numbers as they are read, to the right; what is not known empty."""
    columns = [[_read(cell) for cell in column] for column in zip(*rows, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    right = [text.rjust(width) for column, width in zip(columns[1:], widths[1:], strict=True) for text in column]
    names, count = columns[0], len(rows)
    return [[names[row], *right[row::count]] for row in range(count)]


def _read(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:,.1f}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else str(cell)


add_tasks(compare_app, CompareOptions, _compare)
