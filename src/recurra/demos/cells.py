"""The third exercise of a course: LSTM against GRU against RNN, on the same words, with several seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from recurra.comparison import Comparison, compare_cells
from recurra.comparison.saving import page_of
from recurra.data.partition import Given
from recurra.demos.language_words import LANGUAGES, language_words
from recurra.demos.result import DemoResult
from recurra.report.page import Sample, Table, write_report
from recurra.run import load_run
from recurra.settings.names import Progress
from recurra.settings.structure import from_keywords

SEED = 0
CELLS = ("lstm", "gru", "rnn")  # the others are compared with the first
SEEDS = 3
NUMBERS = (80, 20, 100)  # of training, validation and test
EPOCHS = 12
LINES, SAMPLES = 4, 12
SETTINGS: dict[str, Any] = {
    "input": "text", "target": "language", "seed": SEED, "unit": "char", "hidden_size": 64, "embedding_size": 32,
    "lr": 5e-3, "patience": 0,
}  # fmt: skip


def cells(
    out: Path,
    progress: Progress,
    *,
    numbers: tuple[int, int, int] = NUMBERS,
    epochs: int = EPOCHS,
    seeds: int = SEEDS,
) -> DemoResult:
    """Compare three cells on number words, as `recurra compare` does it, and write one report.

    Args:
        out: an empty folder; the comparison and its runs go there.
        progress: how training shows itself.
        numbers: of training, validation and test; each is there in every language.
        epochs: of each training.
        seeds: trainings of each cell.

    Raises:
        MissingExtra: num2words is not installed.
    """
    words = language_words(SEED, train=numbers[0], valid=numbers[1], test=numbers[2])
    comparison = compare_cells(
        "classify",
        from_keywords("classify", epochs=epochs, **SETTINGS),
        cells=CELLS,
        seeds=seeds,
        given=Given(words.train, words.valid, words.test),
        out=out,
        progress=progress,
    )
    texts, truths = words.test["text"], words.test["language"]
    answers = {cell: _answers(comparison, cell, texts) for cell in CELLS}
    rows = range(0, len(texts), max(1, len(texts) // SAMPLES))
    page = page_of(comparison)
    write_report(
        out,
        replace(
            page,
            title="LSTM against GRU against RNN",
            subtitle=f"Which of {len(LANGUAGES)} languages a number word is in; {comparison.budget}",
            facts=[
                ("Numbers", "{} for training, {} for validation, {} for test; none in two parts".format(*numbers)),
                *page.facts,
                ("Again", f"recurra demo cells (seed {SEED})"),
            ],
            samples=[
                Sample(f"{texts[row]} ({cell})", truths[row], *answers[cell][row])
                for row in rows[: SAMPLES // len(CELLS)]
                for cell in CELLS
            ],
        ),
    )
    lines = tuple(
        f"{texts[row]}: {truths[row]}; " + ", ".join(f"{cell} {answers[cell][row][0]}" for cell in CELLS)
        for row in rows[:LINES]
    )
    return DemoResult(_tables(comparison), lines, out / "report.html")


def _answers(comparison: Comparison, cell: str, texts: list[str]) -> list[tuple[str, float]]:
    """Label and probability of each text, by the cell's first seed."""
    run = load_run(comparison.groups[cell][0].run.path)
    return [(str(one.label), max(one.probabilities.values())) for one in run.predict(texts)]


def _tables(comparison: Comparison) -> tuple[Table, Table]:
    accuracy, cost = comparison.result_table(), comparison.cost_table()
    return Table("Test accuracy", *accuracy, " ".join(comparison.notes)), Table("Cost", *cost)
