"""`recurra generate RUN`: text from a language model, as it is made, or answers of a translator, drawn by chance."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.cli.show import print_json, print_text
from recurra.errors import RunError, SettingsError

WARN = "recurra: the prompt holds symbols never seen in training, which are read as unknown: {}"
LENGTH = 500  # symbols of a language model's text
NAMED = 10  # symbols never seen, in a message


def generate(
    run: Annotated[Path, Parameter(help="Run folder of a language model, or of translate.")],
    /,
    *,
    prompt: Annotated[str, Parameter(help="Text to go on from (none: from the beginning), or to answer.")] = "",
    length: Annotated[
        int | None,
        Parameter(
            help=f"Symbols to make ({LENGTH}); of an answer at most (as the run was trained).", show_default=False
        ),
    ] = None,
    temperature: Annotated[float, Parameter(help="0: the likeliest symbol each time; 1: sampled as learned.")] = 0.8,
    top_k: Annotated[int, Parameter(help="Likeliest symbols to sample from; 0: all.")] = 0,
    top_p: Annotated[float, Parameter(help="Share of the probability to sample from, the likeliest first.")] = 1.0,
    seed: Annotated[int, Parameter(help="Seed of the samples.")] = 0,
    count: Annotated[int, Parameter(help="How many texts.")] = 1,
    json: Annotated[bool, Parameter(help="Print one JSON object a text, whole.", negative="")] = False,
) -> None:
    """Generate text from a language model, printed as it is made, the prompt before it; or answers, one a line."""
    if count < 1:
        raise SettingsError(f"count: {count} is below 1; give the number of texts to make")
    from recurra import api
    from recurra.run import LanguageRun, TranslateRun

    sampling: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    loaded = api.load(run)
    if isinstance(loaded, TranslateRun):
        for text in loaded.generate(prompt, length=length or 0, count=count, **sampling):
            if json:
                print_json({"prompt": prompt, "text": text})
            else:
                print_text(text)
        return
    if not isinstance(loaded, LanguageRun):
        raise RunError(f"{run} is a {loaded.task} run; generate takes a run of model or translate")
    if unseen := loaded.unseen(prompt):
        print(WARN.format(", ".join(map(repr, unseen[:NAMED]))), file=sys.stderr)
    for row in range(count):
        pieces = loaded.pieces(prompt, length=LENGTH if length is None else length, row=row, **sampling)
        if json:
            print_json({"prompt": prompt, "text": "".join(pieces)})
            continue
        _write(prompt)
        for piece in pieces:
            _write(piece)
        _write("\n" if row == count - 1 else "\n\n")


def _write(text: str) -> None:
    """A piece at once: whoever reads sees it being made."""
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8"))
    sys.stdout.flush()
