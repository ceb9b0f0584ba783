"""regress through its Python calls: texts, series and vectors to numbers, metrics, answers, refusals."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import recurra
from recurra.cli.main import main
from recurra.errors import DataError, InputError, SettingsError

QUICK: dict[str, Any] = {"epochs": 12, "hidden_size": 16, "lr": 0.02, "threads": 1, "patience": 0}


def texts(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Texts whose number is 1000 more than ten for each good and minus ten for each bad."""
    draw = random.Random(seed)
    found: dict[str, list[Any]] = {"text": [], "target": []}
    for _ in range(rows):
        words = [draw.choice(["good", "bad", "so", "it"]) for _ in range(draw.randint(1, 8))]
        found["text"].append(" ".join(words))
        found["target"].append(1000 + 10 * (words.count("good") - words.count("bad")))
    return found


def sums(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Series of unequal length whose number is the sum of their steps."""
    draw = np.random.default_rng(seed)
    series = [draw.normal(size=int(draw.integers(3, 12))) for _ in range(rows)]
    return {"input": series, "target": [float(one.sum()) for one in series]}


def test_numbers_are_learned_from_texts_in_their_own_unit(tmp_path: Path) -> None:
    run = recurra.train("regress", data=texts(400), out=tmp_path / "run", embedding_size=16, **QUICK)
    metrics = run.evaluate(texts(100, seed=1))
    assert metrics["r2"] > 0.9 and metrics["mae"] < 5 and metrics["rmse"] >= metrics["mae"]
    answers = run.predict(["good good good", "bad bad bad"])
    assert answers[0].value > 1015 and answers[1].value < 985
    again = recurra.load(run.path)
    assert again.predict(["good good good", ""]) == run.predict(["good good good", ""])
    assert "rmse=" in repr(again) and "labels" not in again.describe()
    assert (run.path / "plots" / "scatter.png").exists() and "Regression" in (run.path / "report.html").read_text()


def test_recomputation_trains_to_the_same_weights(tmp_path: Path) -> None:
    def trained(recompute: int) -> Any:
        options = QUICK | {"epochs": 2, "out": tmp_path / str(recompute), "recompute": recompute}
        return recurra.train("regress", data=sums(60), **options)

    plain, cut = trained(0), trained(2)
    assert cut.model.body.encoder.recompute == 2
    for one, other in zip(cut.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_series_and_vectors_are_regressed_too(tmp_path: Path) -> None:
    run = recurra.train("regress", data=sums(400), out=tmp_path / "series", loss="huber", **(QUICK | {"epochs": 25}))
    assert run.evaluate(sums(100, seed=1))["r2"] > 0.8
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=300), draw.normal(size=300)
    data = {"a": a, "b": b, "target": a * b}
    run = recurra.train(
        "regress", data=data, input=["a", "b"], out=tmp_path / "vector", loss="mae", **(QUICK | {"epochs": 60})
    )
    assert run.settings.model.cell == "feedforward"
    assert run.evaluate(data)["r2"] > 0.8


def test_metrics_equal_those_of_scikit_learn(tmp_path: Path) -> None:
    run = recurra.train("regress", data=texts(60), out=tmp_path / "run", **(QUICK | {"epochs": 1}))
    data = texts(50, seed=2)
    metrics, values = run.evaluate(data), [one.value for one in run.predict(data["text"])]
    assert metrics["mae"] == pytest.approx(mean_absolute_error(data["target"], values))
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(data["target"], values))
    assert metrics["r2"] == pytest.approx(r2_score(data["target"], values))
    assert metrics["examples"] == 50


def test_the_command_line_trains_evaluates_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, rows = tmp_path / "scores.csv", texts(80)
    data.write_text("text,score\n" + "".join(f"{t},{n}\n" for t, n in zip(rows["text"], rows["target"], strict=True)))
    run = str(tmp_path / "run")
    options = ["--target", "score", "--epochs", "2", "--hidden-size", "8", "--progress", "none", "--out", run]
    assert main(["train", "regress", "--data", str(data), *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == run
    assert main(["evaluate", run, "--json"]) == 0
    assert {"mae", "rmse", "r2", "loss"} <= json.loads(capsys.readouterr().out).keys()
    assert main(["predict", run, str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 80 and json.loads(lines[0]).keys() == {"value"}


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"data": {"text": ["x", "y"] * 9, "target": [1, "high"] * 9}}, DataError, "is 'high'; a finite number"),
        ({"data": {"text": ["x", "y"] * 9, "target": [1, float("nan")] * 9}}, DataError, "a finite number"),
        ({"data": {"text": ["x", "y"] * 9, "target": [1, None] * 9}}, DataError, "is missing; a finite number"),
        ({"data": {"text": ["x", "y"] * 9, "target": [3] * 18}}, DataError, "rows have the number 3"),
        ({"data": {"text": ["x", "y"] * 9, "target": [1e308, -1e308] * 9}}, DataError, "too large"),
        ({"label_smoothing": 0.1}, SettingsError, "label_smoothing: it is for classes"),
        ({"class_weights": "balanced"}, SettingsError, "class_weights: no such setting"),
        ({"metric": "accuracy"}, SettingsError, "choose from mae, rmse, r2, loss"),
        ({"loss": "hubre"}, SettingsError, "did you mean 'huber'"),
        (
            {"data": {"text": ["x", "y"] * 9, "a": [1, 2] * 9, "b": [1, 2] * 9}, "target": ["a", "b"]},
            SettingsError,
            "regress answers one number",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_folder(
    change: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"data": texts(40), "out": tmp_path / "run", **QUICK} | change
    with pytest.raises(error, match=sentence) as caught:
        recurra.train("regress", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_regression_has_no_classes(tmp_path: Path) -> None:
    run = recurra.train("regress", data=texts(40), out=tmp_path / "run", **(QUICK | {"epochs": 1}))
    with pytest.raises(InputError, match="which has no classes"):
        run.confusion(texts(10))
