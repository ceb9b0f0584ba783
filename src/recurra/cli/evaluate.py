"""`recurra evaluate RUN`: the task's metrics on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import numbers, print_json


def evaluate(
    run: Annotated[Path, Parameter(help="Run folder.")],
    /,
    *,
    data: Annotated[Path | None, Parameter(help="Labelled file. Default: the test data of the run.")] = None,
    json: Annotated[bool, Parameter(help="Print one JSON object.", negative="")] = False,
) -> None:
    """Evaluate a run on a labelled file."""
    from recurra import api

    metrics = api.load(run).evaluate(data)
    if json:
        print_json(metrics)
    else:
        print(numbers(metrics))
