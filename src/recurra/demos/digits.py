"""`recurra demo digits`: an image read row by row (many to one), beside all its pixels at once (one to one)."""

from __future__ import annotations

import sys
from pathlib import Path

from recurra.data.partition import Given
from recurra.demos.digits_data import Columns, tables
from recurra.demos.result import DemoResult
from recurra.report.page import Headline, Picture, ReportPage, Sample, Table, write_report
from recurra.report.plots import confusion, confusion_numbers, image_numbers, images
from recurra.report.saving import save_plot
from recurra.run import TableRun
from recurra.settings.names import Progress
from recurra.settings.structure import from_keywords
from recurra.training.progress import make_progress
from recurra.workflow import train

SEED = 0
SHOWN = 18
COMMON = {"target": "digit", "seed": SEED, "epochs": 30, "patience": 0, "lr": 4e-3, "output_dropout": 0.2}
MODELS = {
    "lstm, 8 rows of 8 pixels": ("image", {"cell": "lstm", "hidden_size": 64, "input_kind": "series"}),
    "gru, 8 rows of 8 pixels": ("image", {"cell": "gru", "hidden_size": 64, "input_kind": "series"}),
    "feedforward, 64 pixels at once": ("pixels", {"hidden_size": 128, "input_kind": "vector"}),
}


def digits(out: Path, progress: Progress) -> DemoResult:
    """Train three models on the same images and write one report.

    Args:
        out: an empty folder; each model's run goes into a folder inside.
        progress: how training shows itself.
    """
    train_part, valid_part, test_part = tables(SEED)
    runs: dict[str, TableRun] = {}
    for name, (column, settings) in MODELS.items():
        run = train(
            "classify",
            from_keywords("classify", input=column, **COMMON, **settings),
            given=Given(*(_only(part, column) for part in (train_part, valid_part, test_part))),
            out=out / name.split(",")[0],
            overwrite=False,
            progress=make_progress(progress, sys.stderr),
        )
        assert isinstance(run, TableRun)  # as classification makes it
        runs[name] = run
    first = next(iter(runs))
    answers = runs[first].predict(test_part["image"])
    truths, guesses = test_part["digit"], [str(answer.label) for answer in answers]
    order = sorted(range(len(truths)), key=lambda row: (guesses[row] == truths[row], row))[:SHOWN]
    captions = [
        f"{truths[row]} taken for {guesses[row]}" if guesses[row] != truths[row] else truths[row] for row in order
    ]
    pictures = [test_part["image"][row] for row in order]
    table = _table(runs)
    matrix = runs[first].confusion(_only(test_part, "image"))
    names = runs[first].labels
    samples_png = save_plot(out, "samples", images(pictures, captions), *image_numbers(pictures, captions))
    confusion_png = save_plot(out, "confusion", confusion(matrix, names), *confusion_numbers(matrix, names))
    accuracy = runs[first].result["accuracy"]
    write_report(
        out,
        ReportPage(
            title="Handwritten digits, row by row",
            subtitle="Scikit-learn's 1,797 images of 8 × 8 pixels, read as 8 steps of 8 numbers",
            headline=Headline("test accuracy", f"{100 * accuracy:.1f} %", first),
            facts=[
                ("Many to one", "the LSTM and the GRU see a row of pixels a step and answer after the last"),
                ("One to one", "the feed-forward model sees all pixels in its only step"),
                ("Rows", _rows(train_part, valid_part, test_part)),
                ("Again", f"recurra demo digits (seed {SEED})"),
            ],
            tables=[table],
            pictures=[
                Picture("Test images", samples_png, "Test images with digits", f"What {first} gets wrong comes first."),
                Picture("Confusion", confusion_png, "Confusion matrix of ten digits", "Test rows of the first model."),
            ],
            samples=[
                Sample(f"test image {row + 1}", truths[row], guesses[row], max(answers[row].probabilities.values()))
                for row in order[:6]
            ],
        ),
    )
    lines = tuple(
        f"test image {row + 1}: {truths[row]}, answered {guesses[row]} "
        f"({100 * max(answers[row].probabilities.values()):.1f} %)"
        for row in range(5)
    )
    return DemoResult((table,), lines, out / "report.html")


def _only(part: Columns, column: str) -> Columns:
    return {column: part[column], "digit": part["digit"]}


def _rows(*parts: Columns) -> str:
    return "{} training, {} validation, {} test".format(*(len(part["digit"]) for part in parts))


def _table(runs: dict[str, TableRun]) -> Table:
    rows = [
        [
            name,
            run.result["accuracy"],
            run.result["macro_f1"],
            run.result["parameters"],
            run.result["training_seconds"],
        ]
        for name, run in runs.items()
    ]
    header = ["model", "test accuracy", "macro-F1", "parameters", "seconds"]
    return Table("The same images, three ways", header, rows, "One seed: differences of a point are noise.")
