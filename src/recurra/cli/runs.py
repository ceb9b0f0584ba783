"""`recurra runs [FOLDER]`: a table of the runs found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.catalogue import RunEntry, ordered, runs_below, select
from recurra.cli.show import print_json, print_text, table
from recurra.errors import SettingsError
from recurra.settings.names import check_task

HEADER = ("run", "task", "cell", "metric", "test", "seconds", "state")


def runs(
    folder: Annotated[Path, Parameter(help="Where to look, in folders below too.")] = Path("runs"),
    /,
    *,
    sort: Annotated[str, Parameter(help="Number of result.json to sort by, the best first; or path, task, cell.")] = "",
    task: Annotated[str, Parameter(help="Only runs of this task.")] = "",
    cell: Annotated[str, Parameter(help="Only runs of this cell.")] = "",
    name: Annotated[str, Parameter(help="Only folders whose name fits this pattern, as in 'gru-*'.")] = "",
    csv: Annotated[bool, Parameter(help="Print CSV, with every number of result.json.", negative="")] = False,
    json: Annotated[
        bool, Parameter(help="Print one JSON array, with every number of result.json.", negative="")
    ] = False,
) -> None:
    """Show the runs in a folder: task, cell, the metric on test data, the seconds trained, and how to go on."""
    if csv and json:
        raise SettingsError("--csv and --json: give one of them")
    if task:
        check_task(task)
    entries = select(runs_below(folder), task=task, cell=cell, name=name)
    entries = ordered(entries, sort) if sort else entries
    if json:
        print_json([_object(entry) for entry in entries])
    elif csv:
        from recurra.report.inert_csv import csv_text

        numbers = sorted({name for entry in entries for name in entry.numbers} - {"training_seconds"})
        rows = [[*_row(entry), entry.hint, *(entry.numbers.get(name) for name in numbers)] for entry in entries]
        print_text(csv_text(rows, [*HEADER, "hint", *numbers]).removesuffix("\n"))
    else:
        print_text(table(HEADER, [_shown(entry) for entry in entries]))


def _row(entry: RunEntry) -> list[Any]:
    return [str(entry.path), entry.task, entry.cell, entry.metric, entry.value, entry.seconds, entry.state]


def _shown(entry: RunEntry) -> list[str]:
    run, task, cell, metric, value, seconds, state = _row(entry)
    value = "" if value is None else f"{value:.4f}"
    seconds = "" if seconds is None else f"{seconds:,.1f}"
    return [run, task, cell, metric, value, seconds, f"{state}: {entry.hint}" if entry.hint else state]


def _object(entry: RunEntry) -> dict[str, Any]:
    numbers = {name: value for name, value in entry.numbers.items() if value == value and abs(value) != float("inf")}
    names = ("path", "task", "cell", "metric", "state", "hint")
    return {**dict(zip(names, (str(entry.path), *(getattr(entry, n) for n in names[1:])), strict=True)), **numbers}
