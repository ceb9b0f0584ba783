"""What was looked at, drawn: a page with a heat-map for each sentence, the pictures and their numbers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

from recurra.errors import RunError
from recurra.explanation import Attended
from recurra.files import locked, make_folder
from recurra.report.attention import attention_picture
from recurra.report.page import Headline, ReportPage, write_report
from recurra.report.parts import model_line
from recurra.run import Run

EXPLANATIONS = "explanations"


def keep_explanation(run: Run, explained: Sequence[Attended], out: Path | None = None) -> Path:
    """Write `report.html` and `plots/` into a folder of their own, and return it.

    Nothing that decides the run's answers is touched, so its manifest and its certificate hold as before.

    Args:
        run: that answered.
        explained: at least one sentence.
        out: the folder; None: a new one in the run's `explanations`, named by the time.

    Raises:
        RunError: there is something in the folder, or the run is in use.
        InputError: the folder cannot be made.
        WorkError: the disk is full or fails.
    """
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RunError(f"{out} is there already; give another --out")
        _write(out, run, explained)
        return out
    with locked(run.path):
        folder = _new(run.path / EXPLANATIONS)
        _write(folder, run, explained)
    return folder


def _new(parent: Path) -> Path:
    """A folder that is not there, named by the time; the second of a second has a number."""
    now = f"{datetime.now():%Y%m%d-%H%M%S}"
    names = (now if number == 1 else f"{now}-{number}" for number in count(1))
    return next(parent / name for name in names if not (parent / name).exists())


def _write(folder: Path, run: Run, explained: Sequence[Attended]) -> None:
    make_folder(folder)
    pictures = []
    for number, one in enumerate(explained, 1):
        name = f"attention-{number}"
        picture = attention_picture(folder, name, one.source, one.weights, one.source_labels, one.target_labels)
        pictures.append(replace(picture, caption=f"→ {one.answer} (score {one.score:.3f}). {picture.caption}"))
    sharpness = [one.sharpness for one in explained]
    even = [1 / max(1, len(one.source_labels)) for one in explained]
    write_report(
        folder,
        ReportPage(
            title="Where the decoder looked",
            subtitle=f"{run.path.absolute().name}: {model_line(run)}",
            headline=Headline(
                "attention on one token",
                f"{100 * sum(sharpness) / len(sharpness):.0f} %",
                f"the largest weight of each answered token, on average; {100 * sum(even) / len(even):.0f} % were it "
                "spread evenly",
            ),
            facts=[
                ("Sentences", f"{len(explained)}"),
                ("Attention", str(run.settings.model.attention or "inside each layer")),
                ("Search", f"beam {run.settings.translate.beam}"),
            ],
            pictures=pictures,
        ),
    )
