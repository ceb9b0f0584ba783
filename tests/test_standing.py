"""A result beside the plain methods measured on the same rows."""

from __future__ import annotations

import math

from recurra.standing import baseline_names, beside, not_beaten

RESULT = {
    "accuracy": 0.5,
    "macro_f1": 0.25,
    "loss": 1.0,
    "baseline_majority_accuracy": 0.5,
    "baseline_majority_seconds": 0.0,
    "baseline_linear_accuracy": 0.75,
    "baseline_linear_macro_f1": 0.125,
}


def test_the_plain_methods_stand_beside_each_metric_of_the_model() -> None:
    assert baseline_names(RESULT) == ["majority", "linear"]
    assert beside(RESULT, ["accuracy", "macro_f1", "loss", "r2"]) == [
        ["accuracy", 0.5, 0.5, 0.75],
        ["macro_f1", 0.25, None, 0.125],
        ["loss", 1.0, None, None],
    ]


def test_an_equal_is_not_beaten_and_a_smaller_error_is_better() -> None:
    assert not_beaten(RESULT, "accuracy") == (
        "The model (0.5000) does not beat majority (0.5000) and linear (0.7500) in accuracy."
    )
    assert not_beaten(RESULT, "macro_f1") == ""
    assert not_beaten({"rmse": 2.0, "baseline_ridge_rmse": 1.0}, "rmse") != ""
    assert not_beaten({"rmse": 1.0, "baseline_ridge_rmse": 2.0}, "rmse") == ""
    assert not_beaten({"rmse": math.nan, "baseline_ridge_rmse": 2.0}, "rmse") == ""
    assert not_beaten({"loss": 1.0}, "loss") == ""
