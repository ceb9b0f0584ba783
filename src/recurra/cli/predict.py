"""`recurra predict RUN [FILE]`: one line of JSON for each input, in order."""

from __future__ import annotations

import gc
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.rows import STANDARD_INPUT, FormatName, batches_of_rows
from recurra.cli.search import Search, SearchChoices, chosen, option_name
from recurra.cli.show import print_json
from recurra.errors import SettingsError
from recurra.settings.names import did_you_mean


def predict(
    run: Annotated[Path, Parameter(help="Run folder.")],
    file: Annotated[
        Path, Parameter(help="File of inputs; - is standard input, one input a line.", allow_leading_hyphen=True)
    ] = STANDARD_INPUT,
    /,
    *more: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    format: Annotated[
        FormatName | None, Parameter(name="--from", help="Format of the file. Default: told by its name.")
    ] = None,
    attention: Annotated[
        bool, Parameter(help="Beside a translation its tokens and what each looked at.", negative="")
    ] = False,
    n_best: Annotated[
        int | None, Parameter(help="Translations of each input, at most as many as beam.", show_default=False)
    ] = None,
    search: Search = SearchChoices(),
) -> int:
    """Answer every input with one line of JSON, in input order.

    A faulty row is answered with {"error": …} in its place, and the exit status is 1.
    """
    _check_rest(str(file), more)
    from recurra import api

    loaded = api.load(run)
    options = chosen(search, loaded, run, attention=attention, n_best=n_best)
    gc.freeze()  # the libraries' objects are here to stay: looking through them again and again takes time
    rows = faulty = 0
    for batch in batches_of_rows(loaded, file, format):
        for answer in loaded.predict_rows(batch, **options):
            print_json(answer)
            rows += 1
            faulty += "error" in answer
        sys.stdout.flush()
    if faulty:
        print(f"recurra: {faulty} of {rows} rows have an error in place of an answer", file=sys.stderr)
    return 1 if faulty else 0


def _check_rest(file: str, more: tuple[str, ...]) -> None:
    """Refuse what is no FILE: the place must take a lone hyphen, so that it takes mistyped options too."""
    known = ["--from", "--attention", "--n-best", *(option_name(field.name) for field in fields(SearchChoices))]
    for token in (file, *more):
        if token.startswith("-") and token != "-":
            raise SettingsError(f"{token} is no option of `recurra predict`; {did_you_mean(token, known)}")
    if more:
        raise SettingsError(f"{more[0]!r} is not expected here; predict reads one file")
