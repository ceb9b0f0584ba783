"""The report of a classification: scores, curves, confusion, the classes one by one, samples."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from recurra.report.page import Headline, Picture, ReportPage, Sample, Table, write_report
from recurra.report.plots import (
    confusion,
    confusion_numbers,
    curves,
    curves_numbers,
    length_histogram,
    length_numbers,
)
from recurra.report.saving import Cell, save_plot
from recurra.run import Run
from recurra.tasks import ClassifyTraining, Examples, Score

SAMPLES = 12
CONFUSED_PAIRS = 10


def write_classification_report(
    run: Run, training: ClassifyTraining, test: Examples, score: Score, history: list[dict[str, Any]]
) -> None:
    """Write `report.html` and `plots/` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    result, names = run.result, run.labels
    metric, higher = training.metric, training.higher_is_better
    pictures = [
        Picture(
            "Training",
            save_plot(run.path, "curves", curves(history, metric, higher), *curves_numbers(history, metric)),
            f"Loss and validation {metric} over the training steps",
            "Losses and the validation metric at each evaluation; the weights of the best one are kept.",
        )
    ]
    tables = [_scores(result)]
    if score.confusion is not None:
        matrix = score.confusion.numpy()
        png = save_plot(run.path, "confusion", confusion(matrix, names), *confusion_numbers(matrix, names))
        caption = "Test rows: the true class in each row, the predicted one in each column."
        pictures.append(Picture("Confusion", png, f"Confusion matrix of {len(names)} classes", caption))
        tables += _confused(matrix, names)
    tables.append(_classes(names, score.per_class))
    lengths = training.train.lengths
    unit = {"word": "words", "char": "characters", "bpe": "subwords"}[run.settings.text.unit]
    is_text = isinstance(test.inputs[0], str) if test.inputs else True
    unit = unit if is_text else "steps"
    png = save_plot(run.path, "lengths", length_histogram(lengths, unit), *length_numbers(lengths))
    pictures.append(Picture("Lengths", png, "Histogram of the lengths of the training sequences"))
    write_report(
        run.path,
        ReportPage(
            title="Classification",
            subtitle=f"{_model(run)}, {len(names)} classes, tested on {result['test_examples']:,} rows",
            headline=Headline(
                "test accuracy", f"{100 * result['accuracy']:.1f} %", f"macro-F1 {result['macro_f1']:.4f}"
            ),
            facts=_facts(run),
            tables=tables,
            pictures=pictures,
            samples=_samples(run, test, score),
            settings=_settings(run),
        ),
    )


def _scores(result: dict[str, Any]) -> Table:
    names = ["accuracy", "macro_f1", "micro_f1", "hamming_accuracy", "loss"]
    rows = [[name, result[name], result.get(f"valid_{name}")] for name in names if name in result]
    return Table(
        "Scores", ["metric", "test", "validation"], rows, "Loss in nats; the validation data chose the weights."
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


def _model(run: Run) -> str:
    model = run.settings.model
    ways = "bidirectional " if model.bidirectional else ""
    layers = "1 layer" if model.num_layers == 1 else f"{model.num_layers} layers"
    return f"{ways}{model.cell} of {model.hidden_size}, {layers}, {model.pooling} pooling"


def _facts(run: Run) -> list[tuple[str, str]]:
    result = run.result
    return [
        ("Model", _model(run)),
        ("Parameters", f"{result['parameters']:,}"),
        ("Rows", "{train_examples:,} training, {valid_examples:,} validation, {test_examples:,} test".format(**result)),
        ("Training", f"{result['training_seconds']:.1f} s, {result['steps']:,} steps, ended by {result['stopped']}"),
        *_refit(run),
        ("Device", f"{result['device']}, {result['threads']} threads"),
        ("Peak memory", f"{result['peak_memory_bytes'] / 2**20:,.0f} MiB"),
        ("Versions", ", ".join(f"{name} {value}" for name, value in result["versions"].items())),
    ]


def _refit(run: Run) -> list[tuple[str, str]]:
    if not run.settings.training.refit:
        return []
    steps = f"{run.result['best_step']:,} steps on training and validation rows together made the weights"
    return [("Refit", f"{steps}; the validation scores are those of the training before it")]


def _samples(run: Run, test: Examples, score: Score) -> list[Sample]:
    """The surest mistakes first, then rows spread over the test data: what it gets wrong says most."""
    answers = [run.decode(row) for row in score.logits]
    truths = [_truth(run, target) for target in test.targets]
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
            _input(test.inputs[row]),
            truths[row],
            guesses[row],
            None if isinstance(answers[row].label, tuple) else sure[row],
        )
        for row in chosen
    ]


def _truth(run: Run, target: Any) -> str:
    return _shown(tuple(run.labels[one] for one in target) if isinstance(target, list) else run.labels[target])


def _shown(label: str | tuple[str, ...]) -> str:
    return label if isinstance(label, str) else ", ".join(label) or "(none)"


def _input(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and isinstance(value[0], str):
        return " ".join(value)
    numbers = np.asarray(value, dtype=float)
    shown = ", ".join(f"{number:.3g}" for number in numbers.flatten()[:8])
    return f"{' × '.join(map(str, numbers.shape)) or '1'} numbers: {shown}{', …' if numbers.size > 8 else ''}"


def _settings(run: Run) -> list[tuple[str, str]]:
    groups = dataclasses.asdict(run.settings)
    return [(name, str(value)) for group in groups.values() for name, value in group.items()]
