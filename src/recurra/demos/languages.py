"""The second exercise of a course: which language a number word is in, read in one direction and in both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.partition import Given
from recurra.demos.language_words import LanguageWords, language_words
from recurra.demos.result import DemoResult
from recurra.report.page import Headline, Picture, ReportPage, Sample, Table, write_report
from recurra.report.plots import confusion, confusion_numbers
from recurra.report.saving import save_plot
from recurra.run import TableRun
from recurra.settings.names import Progress
from recurra.settings.structure import from_keywords
from recurra.statistics import Interval, paired_bootstrap
from recurra.training.progress import make_progress
from recurra.workflow import train

SEED = 0
NUMBERS = (100, 20, 200)  # of training, validation and test
SAMPLES = 12
LINES = 6  # of the first test number, in so many languages
SETTINGS: dict[str, Any] = {
    "input": "text", "target": "language", "seed": SEED, "unit": "char", "cell": "gru", "hidden_size": 64,
    "embedding_size": 32, "lr": 5e-3, "patience": 0,
}  # fmt: skip
EPOCHS = 16
DIRECTIONS = {"one direction": False, "two directions": True}


def languages(
    out: Path, progress: Progress, *, numbers: tuple[int, int, int] = NUMBERS, epochs: int = EPOCHS
) -> DemoResult:
    """Train one model that reads from the left and one that reads from both ends, and write one report.

    Args:
        out: an empty folder; each model's run goes into a folder inside.
        progress: how training shows itself.
        numbers: of training, validation and test; each is there in every language.
        epochs: of each training.

    Raises:
        MissingExtra: num2words is not installed.
    """
    words = language_words(SEED, train=numbers[0], valid=numbers[1], test=numbers[2])
    runs: dict[str, TableRun] = {}
    for name, bidirectional in DIRECTIONS.items():
        run = train(
            "classify",
            from_keywords("classify", bidirectional=bidirectional, epochs=epochs, **SETTINGS),
            given=Given(words.train, words.valid, words.test),
            out=out / name.replace(" ", "-"),
            overwrite=False,
            progress=make_progress(progress, sys.stderr),
        )
        assert isinstance(run, TableRun)  # as classification makes it
        runs[name] = run
    one, both = runs.values()
    texts, truths = words.test["text"], words.test["language"]
    answers = both.predict(texts)
    guesses = [str(answer.label) for answer in answers]
    right = [_right([str(answer.label) for answer in run.predict(texts)], truths) for run in (one, both)]
    gained = paired_bootstrap(right[0], right[1])
    table = _table(runs, gained)
    matrix, names = both.confusion(words.test), both.labels
    png = save_plot(out, "confusion", confusion(matrix, names), *confusion_numbers(matrix, names))
    sure = [max(answer.probabilities.values()) for answer in answers]
    samples = [Sample(texts[row], truths[row], guesses[row], sure[row]) for row in _chosen(guesses, truths)]
    write_report(
        out,
        ReportPage(
            title="Which language is it?",
            subtitle=f"Number words in {len(names)} languages, read character by character",
            headline=Headline(
                "test accuracy",
                f"{100 * both.result['accuracy']:.1f} %",
                f"two directions; one direction {100 * one.result['accuracy']:.1f} %, "
                f"linear {100 * both.result['baseline_linear_accuracy']:.1f} %",
            ),
            facts=_facts(words, numbers),
            tables=[table],
            pictures=[
                Picture(
                    "Confusion",
                    png,
                    f"Confusion matrix of {len(names)} languages",
                    "Test texts of the model of two directions: the true language in each row.",
                )
            ],
            samples=samples,
        ),
    )
    lines = tuple(
        f"{texts[row]}: {truths[row]}, answered {guesses[row]} ({100 * sure[row]:.1f} %)"
        for row in range(min(LINES, len(texts)))
    )
    return DemoResult((table,), (*lines, table.note), out / "report.html")


def _right(guesses: list[str], truths: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([guess == truth for guess, truth in zip(guesses, truths, strict=True)], dtype=np.float64)


def _table(runs: dict[str, TableRun], gained: Interval) -> Table:
    rows: list[list[Any]] = [
        [
            f"{SETTINGS['cell']}, {name}",
            run.result["accuracy"],
            run.result["macro_f1"],
            run.result["parameters"],
            run.result["training_seconds"],
        ]
        for name, run in runs.items()
    ]
    result = next(iter(runs.values())).result
    linear = (result[f"baseline_linear_{what}"] for what in ("accuracy", "macro_f1"))
    rows.append(["linear, words and character n-grams", *linear, None, result["baseline_linear_seconds"]])
    note = (
        f"Two directions minus one: {100 * gained.mean:+.1f} points (95 % interval {100 * gained.low:+.1f} to "
        f"{100 * gained.high:+.1f}, by resampling test texts; one seed)."
    )
    return Table(
        "The same words, three ways", ["model", "test accuracy", "macro-F1", "parameters", "seconds"], rows, note
    )


def _facts(words: LanguageWords, numbers: tuple[int, int, int]) -> list[tuple[str, str]]:
    rows = (len(part["text"]) for part in (words.train, words.valid, words.test))
    return [
        ("Numbers", "{} for training, {} for validation, {} for test; none in two parts".format(*numbers)),
        ("Texts", "{:,} training, {:,} validation, {:,} test".format(*rows)),
        ("Left out", f"{words.dropped:,} texts that come up twice, in two languages or for two numbers"),
        ("Made by", "num2words"),
        ("Again", f"recurra demo languages (seed {SEED})"),
    ]


def _chosen(guesses: list[str], truths: list[str]) -> list[int]:
    """Test rows to show: mistakes first, then rows spread over the others."""
    wrong = [row for row, guess in enumerate(guesses) if guess != truths[row]][: SAMPLES // 2]
    others = [row for row, guess in enumerate(guesses) if guess == truths[row]]
    missing = SAMPLES - len(wrong)
    return wrong + others[:: max(1, len(others) // missing)][:missing]
