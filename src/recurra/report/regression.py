"""The report of a regression: scores, curves, answered against true numbers, the largest errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from recurra.report.page import Headline, Picture, ReportPage, Sample, write_report
from recurra.report.parts import (
    curves_picture,
    facts_of,
    input_text,
    lengths_picture,
    model_line,
    scores_table,
    settings_of,
)
from recurra.report.plots import scatter, scatter_numbers
from recurra.report.saving import save_plot
from recurra.run import TableRun
from recurra.tasks import Examples, ManyToOneTraining, Regress, Score

SAMPLES = 12


def write_regression_report(
    run: TableRun, training: ManyToOneTraining, test: Examples, score: Score, history: list[dict[str, Any]]
) -> None:
    """Write `report.html` and `plots/` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    task, result = training.task, run.result
    assert isinstance(task, Regress)
    truths = np.asarray(test.targets, dtype=np.float64)
    values = task.values(score.outputs).numpy()
    png = save_plot(run.path, "scatter", scatter(truths, values), *scatter_numbers(truths, values))
    caption = "Test rows: the true number to the right, the one answered upwards; on the line the two are equal."
    write_report(
        run.path,
        ReportPage(
            title="Regression",
            subtitle=f"{model_line(run)}, tested on {result['test_examples']:,} rows",
            headline=Headline(
                "test RMSE",
                f"{result['rmse']:.4g}",
                f"ridge baseline {result['baseline_ridge_rmse']:.4g}, R² {result['r2']:.4f}",
            ),
            facts=facts_of(run),
            tables=[
                scores_table(
                    result,
                    ["mae", "rmse", "r2", "loss"],
                    "MAE and RMSE in the unit of the target; loss of standardised targets; "
                    "the validation data chose the weights.",
                )
            ],
            pictures=[
                curves_picture(run, training, history),
                Picture("Answers", png, "Answered against true numbers", caption),
                lengths_picture(run, training),
            ],
            samples=_samples(test, truths, values),
            settings=settings_of(run),
        ),
    )


def _samples(
    test: Examples, truths: np.ndarray[Any, np.dtype[np.float64]], values: np.ndarray[Any, np.dtype[np.float64]]
) -> list[Sample]:
    """The largest errors first, then rows spread over the test data."""
    by_error = np.argsort(-np.abs(values - truths), kind="stable").tolist()
    chosen = by_error[: SAMPLES // 2]
    rest = sorted(by_error[SAMPLES // 2 :])
    missing = SAMPLES - len(chosen)
    chosen += rest[:: max(1, len(rest) // missing)][:missing]
    # a number is neither right nor wrong, so the truth stands beside it and no mark before it
    return [Sample(input_text(test.inputs[row]), None, f"{values[row]:.6g}, true {truths[row]:.6g}") for row in chosen]
