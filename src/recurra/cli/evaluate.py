"""`recurra evaluate RUN`: the task's metrics on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import print_json, table
from recurra.standing import baseline_names, beside, not_beaten

COUNTED = ("examples", "tokens", "symbols")  # what the data are counted in


def evaluate(
    run: Annotated[Path, Parameter(help="Run folder.")],
    /,
    *,
    data: Annotated[Path | None, Parameter(help="Labelled file. Default: the test data of the run.")] = None,
    json: Annotated[bool, Parameter(help="Print one JSON object.", negative="")] = False,
) -> None:
    """Evaluate a run on a labelled file."""
    from recurra import api

    loaded = api.load(run)
    metrics = loaded.evaluate(data)
    if json:
        print_json(metrics)
        return
    plain = baseline_names(metrics)
    counted = [name for name in COUNTED if name in metrics]
    rows = beside(metrics, [name for name in metrics if name not in counted and not name.startswith("baseline_")])
    seconds = [metrics[f"baseline_{name}_seconds"] for name in plain]
    rows.append(["seconds of fitting", loaded.result["training_seconds"], *seconds])
    print(table(["metric", "model", *plain], rows))
    print(", ".join(f"{metrics[name]:,} {name}" for name in counted))
    if sentence := not_beaten(metrics, loaded.result["metric"]):
        print(sentence)
