"""`recurra explain RUN TEXT …`: what a model looked at."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.rows import STANDARD_INPUT, batches_of_rows
from recurra.cli.show import facts, print_text, table


def explain(
    run: Annotated[Path, Parameter(help="Run folder of a translator.")],
    /,
    *texts: Annotated[str, Parameter(name="TEXT", help="Texts to answer. Default: standard input, one a line.")],
    out: Annotated[Path | None, Parameter(help="Folder to write. Default: RUN/explanations/DATE.")] = None,
) -> None:
    """Show where the decoder looked for each token of its answer: heat-maps, their numbers, and a page of them."""
    from recurra import api
    from recurra.report.explained import keep_explanation

    loaded = api.load(run)
    given = texts or chain.from_iterable(batches_of_rows(loaded, STANDARD_INPUT, None))
    explained = api.explain(loaded, given)
    for one in explained:
        print_text(facts({"text": one.source, "answer": one.answer, "score": one.score}))
        print_text(table(["answer", "looked at", "weight"], one.rows()) + "\n")
    print_text(str(keep_explanation(loaded, explained, out) / "report.html"))
