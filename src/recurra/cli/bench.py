"""`recurra bench`: the engines of this machine beside each other, and the table by which one is chosen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import print_json, print_text, table


def bench(
    *,
    tune: Annotated[bool, Parameter(help="Measure which engine is quicker, and keep the table.", negative="")] = False,
    out: Annotated[Path | None, Parameter(help="With --tune: file of the table. Default: the user's cache.")] = None,
    rounds: Annotated[int, Parameter(help="Rounds in which the ways take turns; figures are medians.")] = 5,
    threads: Annotated[int, Parameter(help="Threads of the arithmetic; 0: torch's own number.")] = 0,
    json: Annotated[bool, Parameter(help="Print one JSON object.", negative="")] = False,
) -> None:
    """Measure this machine: the native engine beside torch's layers, as ratios. A few minutes; --tune takes ten."""
    from recurra import bench as measure
    from recurra.bench.figures import figures
    from recurra.engines.costs import read
    from recurra.errors import SettingsError
    from recurra.training.devices import threads as with_threads

    if rounds < 1:
        raise SettingsError(f"rounds: {rounds} is below 1")
    if out is not None and not tune:
        raise SettingsError("out: it says where the table of --tune goes; give --tune too")
    if tune and json:
        raise SettingsError("json: --tune writes a table and has no figures to print; leave one of them out")
    with with_threads(threads):
        if tune:
            path = measure.save_costs(measure.measured_costs(rounds, tell=_tell), out)
            print_text(f"engine costs {read(path).digest}")
            print_text(str(path))
            return
        found = figures(rounds, tell=_tell)
    if json:
        print_json(found)
        return
    print_text(" ".join(f"{name} {value}" for name, value in found["machine"].items()))
    for part, unit in (("sequences", "milliseconds, forward and backward"), ("steps", "microseconds")):
        rows = found[part]
        if rows:
            print_text(f"\n{part}: {unit}")
            print_text(table(list(rows[0]), [list(row.values()) for row in rows]))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
