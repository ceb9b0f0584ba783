"""The fourth exercise of a course: English number words to French, by an encoder, a decoder and attention."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from recurra.data.partition import Given
from recurra.demos.numbers_data import MOST_WORDS, NumberTables, in_english, tables
from recurra.demos.result import DemoResult
from recurra.explanation import attended
from recurra.report.attention import attention_picture
from recurra.report.page import Headline, ReportPage, Sample, Table, write_report
from recurra.report.parts import model_line
from recurra.run import TranslateRun
from recurra.settings.names import Progress
from recurra.settings.structure import from_keywords
from recurra.training.progress import make_progress
from recurra.workflow import train

SEED = 0
COUNT, ASIDE = 10_000, 500  # numbers to train on; in each of the other tables
EPOCHS = 7
PICTURED = 97
SAMPLES = 12
LINES = 5
SETTINGS: dict[str, Any] = {
    "seed": SEED, "threads": 1, "cell": "gru", "hidden_size": 128, "embedding_size": 64, "attention": "general",
    "input_feeding": False, "unit": "word", "joint": False, "max_length": 40, "batch_size": 64, "lr": 3e-3,
    "schedule": "cosine", "warmup_steps": 100, "average": 0.99, "embedding_dropout": 0.0, "output_dropout": 0.0,
    "label_smoothing": 0.0, "metric": "exact_match", "patience": 0, "beam": 1,
}  # fmt: skip
# a grammar without exceptions that were not seen: nothing is gained by dropouts, smoothing or a wider search, and with
# matrices so small nothing by a second thread. Words, since BPE would make ninety-nine one token at the beginning of a
# number and another one inside


def numbers(
    out: Path, progress: Progress, *, count: int = COUNT, aside: int = ASIDE, epochs: int = EPOCHS, **settings: Any
) -> DemoResult:
    """Train a translator of numbers, test it on numbers never seen and on longer ones, and write one report.

    Args:
        out: an empty folder; the run goes into a folder inside.
        progress: how training shows itself.
        count: numbers to train on.
        aside: numbers for validation, for test, and with more words than any in training.
        epochs: of training.
        settings: in place of the demo's own.

    Raises:
        MissingExtra: num2words is not installed.
    """
    made = tables(SEED, count, aside)
    run = train(
        "translate",
        from_keywords("translate", **{**SETTINGS, "epochs": epochs, **settings}),
        given=Given(made.train, made.valid, made.test),
        out=out / "run",
        overwrite=False,
        progress=make_progress(progress, sys.stderr),
    )
    assert isinstance(run, TranslateRun)  # as translation makes it
    longer = run.evaluate(made.longer)
    table = _table(run, longer)
    (looked,) = attended(run, [in_english(PICTURED)])
    title = f"{looked.source} → {looked.answer}"
    samples = _samples(run, made)
    write_report(
        out,
        ReportPage(
            title="Numbers, English to French",
            subtitle="An encoder reads the English words in both directions; a decoder writes the French ones, and for "
            "each of them looks back at the English",
            headline=Headline(
                "exact match on numbers never seen",
                f"{100 * run.result['exact_match']:.1f} %",
                f"with more words than any in training {100 * longer['exact_match']:.1f} %",
            ),
            facts=_facts(run, made),
            tables=[table],
            pictures=[
                attention_picture(out, "attention", title, looked.weights, looked.source_labels, looked.target_labels)
            ],
            samples=samples,
        ),
    )
    lines = tuple(f"{one.text} → {one.prediction}" for one in samples[-LINES:])
    return DemoResult((table,), (*lines, title), out / "report.html")


def _table(run: TranslateRun, longer: dict[str, Any]) -> Table:
    rows: list[list[Any]] = [
        [name, found["exact_match"], found["bleu"], found["baseline_words_exact_match"], found[examples]]
        for name, found, examples in (
            ("never seen", run.result, "test_examples"),
            (f"more than {MOST_WORDS} words", longer, "examples"),
        )
    ]
    note = (
        f"No number of training has more than {MOST_WORDS} English words. Word for word is the likeliest French of "
        "each word. One seed."
    )
    return Table(
        "Numbers it was not trained on", ["numbers", "exact match", "BLEU", "word for word", "tested"], rows, note
    )


def _facts(run: TranslateRun, made: NumberTables) -> list[tuple[str, str]]:
    rows = (len(part["source"]) for part in made)
    return [
        ("Model", f"{model_line(run)}, {run.settings.model.attention} attention"),
        ("Parameters", f"{run.result['parameters']:,}"),
        ("Numbers", "{:,} training, {:,} validation, {:,} test, {:,} longer; no number in two parts".format(*rows)),
        ("Training", f"{run.result['training_seconds']:.1f} s, {run.result['steps']:,} steps"),
        ("Made by", "num2words"),
        ("Again", f"recurra demo numbers (seed {SEED})"),
    ]


def _samples(run: TranslateRun, made: NumberTables) -> list[Sample]:
    """Mistakes first, the longer numbers' among them; then numbers that are right."""
    wrong, right = list[Sample](), list[Sample]()
    for part in (made.test, made.longer):
        for text, truth, answer in zip(part["source"], part["target"], run.predict(part["source"]), strict=True):
            sample = Sample(text, truth, answer.text)
            (right if answer.text == truth else wrong).append(sample)
    wrong = wrong[: SAMPLES // 2]
    missing = SAMPLES - len(wrong)
    return wrong + right[:: max(1, len(right) // missing)][:missing]
