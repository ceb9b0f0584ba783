"""The first exercise of a course: the next character of h, he, hel, hell, beside a bigram that cannot know it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from recurra.baselines import fit_ngrams
from recurra.data.partition import Given
from recurra.demos.result import DemoResult
from recurra.report.page import Headline, ReportPage, Sample, Table, write_report
from recurra.run import LanguageRun
from recurra.settings.names import Progress
from recurra.settings.structure import from_keywords
from recurra.training.progress import make_progress
from recurra.workflow import train

WORD = "hello"
TEXT = f"{WORD}\n" * 400
SETTINGS: dict[str, Any] = {
    "cell": "gru", "hidden_size": 16, "embedding_size": 8, "bptt_length": 12, "batch_size": 8, "lr": 0.02, "epochs": 4,
}  # fmt: skip


def hello(out: Path, progress: Progress) -> DemoResult:
    """Train on the word hello and ask for every next character.

    Args:
        out: the folder to write.
        progress: how training shows itself.
    """
    run = train(
        "model",
        from_keywords("model", **SETTINGS),
        given=Given(TEXT, WORD + "\n", WORD + "\n"),
        out=out / "run",
        overwrite=False,
        progress=make_progress(progress, sys.stderr),
    )
    assert isinstance(run, LanguageRun)  # as the task model makes it
    symbols = run.parts.symbols
    bigram = fit_ngrams(symbols.encode(TEXT), len(symbols), symbols.begin_id, 2)
    rows: list[list[Any]] = []
    right = plain = 0
    for length in range(1, len(WORD)):
        prefix, truth = WORD[:length], WORD[length]
        (answer,) = run.predict([prefix])
        name, probability = next(iter(answer.next.items()))
        by_bigram = bigram.next(symbols.encode(prefix))
        guess = symbols.names[int(by_bigram.argmax())]
        rows.append([prefix, truth, name, probability, guess, float(by_bigram.max())])
        right, plain = right + (name == truth), plain + (guess == truth)
    header = ["text", "truth", "model", "probability", "bigram", "its probability"]
    note = "A bigram sees one character: after l it must answer l or o, and is wrong once."
    table = Table("The next character", header, rows, note)
    write_report(
        out,
        ReportPage(
            title="hello",
            subtitle=f"A GRU of {SETTINGS['hidden_size']} reads one character at a time and says the next",
            headline=Headline("right", f"{right} of {len(rows)}", f"bigram {plain} of {len(rows)}"),
            facts=[
                ("Training", f"{run.result['training_seconds']:.1f} s, {run.result['steps']:,} steps"),
                ("Parameters", f"{run.result['parameters']:,}"),
            ],
            tables=[table],
            samples=[Sample(row[0], row[1], row[2], row[3]) for row in rows],
        ),
    )
    lines = tuple(f"{row[0]} → {row[2]} ({100 * row[3]:.1f} %), bigram {row[4]}" for row in rows)
    return DemoResult((table,), lines, out / "report.html")
