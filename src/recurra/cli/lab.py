"""`recurra lab EXPERIMENT`: a small controlled experiment on recurrence itself."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import print_text, table
from recurra.settings.names import LabName


def lab(
    experiment: Annotated[LabName, Parameter(help="Which one.")],
    /,
    *,
    seed: Annotated[int, Parameter(help="Decides all that is drawn.")] = 0,
    threads: Annotated[int, Parameter(help="Threads of the arithmetic; 0: torch's own number.")] = 1,
    out: Annotated[Path | None, Parameter(help="Folder to write. Default: runs/lab-EXPERIMENT-DATE.")] = None,
) -> None:
    """Measure one thing about recurrence, in about a minute: a table, a picture, and a sentence on what was seen."""
    from recurra import lab as experiments

    folder = out or Path("runs") / f"lab-{experiment}-{datetime.now():%Y%m%d-%H%M%S}"
    result = experiments.run(experiment, folder, seed, threads=threads, tell=_tell)
    for shown in result.tables:
        print_text(f"{shown.title}\n{table(shown.header, shown.rows)}\n")
    print_text(result.sentence)
    print_text(f"Again: {result.command}")
    print()
    print_text(str(result.report))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
