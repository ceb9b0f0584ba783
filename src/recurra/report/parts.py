"""What the reports of all tasks show alike: scores, facts, settings, the curves and the lengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.report.page import Picture, Table
from recurra.report.plots import curves, curves_numbers, length_histogram, length_numbers
from recurra.report.saving import Cell, save_plot
from recurra.run import Run
from recurra.settings.names import UNIT_WORDS
from recurra.standing import baseline_names, beside, not_beaten
from recurra.tasks import ManyToOneTraining, TaskTraining


def curves_picture(run: Run, training: TaskTraining, history: list[dict[str, Any]]) -> Picture:
    """Losses and the metric over the steps, drawn and saved."""
    metric = training.metric
    figure = curves(history, metric, training.higher_is_better)
    return Picture(
        "Training",
        save_plot(run.path, "curves", figure, *curves_numbers(history, metric)),
        f"Loss and validation {metric} over the training steps",
        "Losses and the validation metric at each evaluation; the weights of the best one are kept.",
    )


def lengths_picture(run: Run, training: ManyToOneTraining) -> Picture:
    """How long the training sequences are, drawn and saved."""
    unit = UNIT_WORDS[run.settings.text.unit] if run.reads_text else "steps"
    return drawn_lengths(run, training.train.lengths, unit)


def drawn_lengths(run: Run, lengths: list[int], unit: str) -> Picture:
    """Lengths counted in a unit, drawn and saved."""
    png = save_plot(run.path, "lengths", length_histogram(lengths, unit), *length_numbers(lengths))
    return Picture("Lengths", png, "Histogram of the lengths of the training sequences")


def scores_table(result: dict[str, Any], names: Sequence[str], note: str) -> Table:
    """Each metric on the validation and the test data, beside the plain methods' on the test data."""
    plain = baseline_names(result)
    rows: list[list[Cell]] = [
        [metric, result.get(f"valid_{metric}"), *values] for metric, *values in beside(result, names)
    ]
    seconds = [f"{name} {result[f'baseline_{name}_seconds']:.1f}" for name in plain]
    took = f"Seconds of training: model {', '.join([format(result['training_seconds'], '.1f'), *seconds])}."
    sentence = not_beaten(result, result["metric"])
    header = ["metric", "validation", "test", *(f"{name}, test" for name in plain)]
    return Table("Scores beside plain methods", header, rows, f"{sentence} {note} {took}".strip())


def model_line(run: Run) -> str:
    """The model in a few words."""
    model = run.settings.model
    ways = "bidirectional " if getattr(model, "bidirectional", False) else ""
    layers = "1 layer" if model.num_layers == 1 else f"{model.num_layers} layers"
    pooling = f", {model.pooling} pooling" if hasattr(model, "pooling") else ""
    return f"{ways}{model.cell} of {model.hidden_size}, {layers}{pooling}"


def facts_of(run: Run, unit: str = "Rows") -> list[tuple[str, str]]:
    """What was measured about the run itself; `unit` is what its data are counted in."""
    result = run.result
    return [
        ("Model", model_line(run)),
        ("Parameters", f"{result['parameters']:,}"),
        (unit, "{train_examples:,} training, {valid_examples:,} validation, {test_examples:,} test".format(**result)),
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


def settings_of(run: Run) -> list[tuple[str, str]]:
    """Every setting."""
    groups = dataclasses.asdict(run.settings)
    return [(name, str(value)) for group in groups.values() for name, value in group.items()]


def input_text(value: Any) -> str:
    """An input in a few words: the text, or the shape and the first numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and isinstance(value[0], str):
        return " ".join(value)
    numbers = np.asarray(value, dtype=float)
    shown = ", ".join(f"{number:.3g}" for number in numbers.flatten()[:8])
    return f"{' × '.join(map(str, numbers.shape)) or '1'} numbers: {shown}{', …' if numbers.size > 8 else ''}"
