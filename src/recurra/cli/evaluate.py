"""`recurra evaluate RUN`: the task's metrics on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.search import Search, SearchChoices, chosen
from recurra.cli.show import print_json, table
from recurra.errors import SettingsError
from recurra.standing import baseline_names, beside, not_beaten

SIGNATURE = "_signature"  # of a metric: what its number depends on
COUNTED = ("examples", "tokens", "symbols")  # what the data are counted in


def evaluate(
    run: Annotated[Path, Parameter(help="Run folder.")],
    /,
    *,
    data: Annotated[Path | None, Parameter(help="Labelled file. Default: the test data of the run.")] = None,
    source: Annotated[
        Path | None, Parameter(help="File of source texts, one a line, beside --target (translate).")
    ] = None,
    target: Annotated[Path | None, Parameter(help="File of target texts, line by line beside --source.")] = None,
    json: Annotated[bool, Parameter(help="Print one JSON object.", negative="")] = False,
    search: Search = SearchChoices(),
) -> None:
    """Evaluate a run on a labelled file."""
    from recurra import api

    loaded = api.load(run)
    options = chosen(search, loaded, run, source=source, target=target)
    lines = options.pop("source", None), options.pop("target", None)
    if any(lines) and (data is not None or not all(lines)):
        raise SettingsError("evaluate: give a table with --data, or two files with --source and --target")
    metrics = loaded.evaluate(lines if all(lines) else data, **options)
    if json:
        print_json(metrics)
        return
    plain = baseline_names(metrics)
    counted = [name for name in COUNTED if name in metrics]
    signatures = [name for name in metrics if name.endswith(SIGNATURE)]
    others = {*counted, *signatures}
    rows = beside(metrics, [name for name in metrics if name not in others and not name.startswith("baseline_")])
    seconds = [metrics[f"baseline_{name}_seconds"] for name in plain]
    rows.append(["seconds of fitting", loaded.result["training_seconds"], *seconds])
    print(table(["metric", "model", *plain], rows))
    print(", ".join(f"{metrics[name]:,} {name}" for name in counted))
    for name in signatures:
        print(f"{name.removesuffix(SIGNATURE)}: {metrics[name]}")
    if sentence := not_beaten(metrics, loaded.result["metric"]):
        print(sentence)
