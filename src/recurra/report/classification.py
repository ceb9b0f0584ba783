"""The report of a classification: scores, curves, confusion, the classes one by one, samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from recurra.metrics import ClassificationMetrics
from recurra.report.page import Headline, Picture, ReportPage, Sample, Table, write_report
from recurra.report.parts import (
    curves_picture,
    facts_of,
    input_text,
    lengths_picture,
    model_line,
    scores_table,
    settings_of,
)
from recurra.report.plots import confusion, confusion_numbers
from recurra.report.saving import Cell, save_plot
from recurra.run import TableRun
from recurra.tasks import Classify, Examples, ManyToOneTraining, Score

SAMPLES = 12
CONFUSED_PAIRS = 10


def write_classification_report(
    run: TableRun, training: ManyToOneTraining, test: Examples, score: Score, history: list[dict[str, Any]]
) -> None:
    """Write `report.html` and `plots/` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    task = training.task
    assert isinstance(task, Classify)
    result, names = run.result, run.labels
    counted = task.counted(score.outputs, test.targets)
    pictures = [curves_picture(run, training, history)]
    tables = [
        scores_table(
            result,
            ["accuracy", "macro_f1", "micro_f1", "hamming_accuracy", "loss"],
            "Loss in nats; the validation data chose the weights.",
        )
    ]
    if isinstance(counted, ClassificationMetrics):
        matrix = counted.confusion.numpy()
        png = save_plot(run.path, "confusion", confusion(matrix, names), *confusion_numbers(matrix, names))
        caption = "Test rows: the true class in each row, the predicted one in each column."
        pictures.append(Picture("Confusion", png, f"Confusion matrix of {len(names)} classes", caption))
        tables += _confused(matrix, names)
    tables.append(_classes(names, counted.per_class()))
    pictures.append(lengths_picture(run, training))
    write_report(
        run.path,
        ReportPage(
            title="Classification",
            subtitle=f"{model_line(run)}, {len(names)} classes, tested on {result['test_examples']:,} rows",
            headline=Headline(
                "test accuracy",
                f"{100 * result['accuracy']:.1f} %",
                f"linear baseline {100 * result['baseline_linear_accuracy']:.1f} %, macro-F1 {result['macro_f1']:.4f}",
            ),
            facts=facts_of(run),
            tables=tables,
            pictures=pictures,
            samples=_samples(task, test, score),
            settings=settings_of(run),
        ),
    )


def _confused(matrix: np.ndarray[Any, Any], names: tuple[str, ...]) -> list[Table]:
    pairs = [(int(matrix[i, j]), i, j) for i, j in np.argwhere(matrix).tolist() if i != j]
    if len(names) < 4 or not pairs:
        return []
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows: list[list[Cell]] = [
        [names[truth], names[predicted], count] for count, truth, predicted in pairs[:CONFUSED_PAIRS]
    ]
    return [Table("Most often confused", ["truth", "taken for", "rows"], rows)]


def _classes(names: tuple[str, ...], per_class: list[dict[str, float]]) -> Table:
    classes = sorted(zip(names, per_class, strict=True), key=lambda one: (-one[1]["support"], one[0]))
    rows: list[list[Cell]] = [
        [name, one["precision"], one["recall"], one["f1"], int(one["support"])] for name, one in classes
    ]
    return Table("Classes", ["class", "precision", "recall", "F1", "test rows"], rows)


def _samples(task: Classify, test: Examples, score: Score) -> list[Sample]:
    """The surest mistakes first, then rows spread over the test data: what it gets wrong says most."""
    answers = task.decode(score.outputs)
    truths = [_truth(task.targets.names, target) for target in test.targets]
    guesses = [_shown(answer.label) for answer in answers]
    sure = [max(answer.probabilities.values()) for answer in answers]
    wrong = [row for row in range(len(answers)) if guesses[row] != truths[row]]
    wrong.sort(key=lambda row: -sure[row])
    rest = [row for row in range(len(answers)) if guesses[row] == truths[row]]
    chosen = wrong[: SAMPLES // 2]
    missing = SAMPLES - len(chosen)
    chosen += rest[:: max(1, len(rest) // missing)][:missing]
    return [
        Sample(
            input_text(test.inputs[row]),
            truths[row],
            guesses[row],
            None if isinstance(answers[row].label, tuple) else sure[row],
        )
        for row in chosen
    ]


def _truth(names: tuple[str, ...], target: Any) -> str:
    return _shown(tuple(names[one] for one in target) if isinstance(target, list) else names[target])


def _shown(label: str | tuple[str, ...]) -> str:
    return label if isinstance(label, str) else ", ".join(label) or "(none)"
