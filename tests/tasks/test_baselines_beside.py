"""The plain methods beside a run: measured with the same metrics, stored, asked again on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurra
from recurra.errors import RunError
from recurra.run import Run, load_baselines

QUICK: dict[str, Any] = {"epochs": 1, "hidden_size": 4, "embedding_size": 4, "threads": 1}
WORDS = ["good film", "fine film", "bad film", "dull film", "odd film"]
LABELS = ["yes", "yes", "no", "no", "no"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = {"text": WORDS * 8, "label": LABELS * 8}
    return recurra.train("classify", data=data, out=tmp_path_factory.mktemp("run") / "run", **QUICK)


def test_majority_and_linear_stand_beside_every_score(run: Run) -> None:
    data = {"text": ["good film", "bad film", "dull film", "fine film"], "label": ["yes", "no", "no", "yes"]}
    found = recurra.load(run.path).evaluate(data)
    assert found["baseline_majority_accuracy"] == 0.5  # "no" for all
    assert found["baseline_majority_macro_f1"] == pytest.approx((2 / 3) / 2)
    assert found["baseline_linear_accuracy"] == found["baseline_linear_macro_f1"] == 1.0
    assert {"baseline_linear_accuracy", "baseline_majority_macro_f1", "baseline_linear_seconds"} <= run.result.keys()
    page = (run.path / "report.html").read_text()
    assert "Scores beside plain methods" in page and "majority, test" in page
    assert ("does not beat" in page) == (run.result["accuracy"] <= run.result["baseline_linear_accuracy"])


def test_several_labels_and_numbers_have_theirs(tmp_path: Path) -> None:
    marks = [["new"] if "good" in text or "fine" in text else ["old", "sad"] for text in WORDS] * 8
    several = recurra.train("classify", data={"text": WORDS * 8, "label": marks}, out=tmp_path / "several", **QUICK)
    assert several.evaluate({"text": ["bad film"], "label": [["old", "sad"]]})["baseline_linear_accuracy"] == 1.0
    assert "baseline_majority_hamming_accuracy" in several.result
    draw = np.random.default_rng(0)
    series = [draw.normal(size=9) for _ in range(60)]
    data = {"input": series, "target": [float(one.max()) for one in series]}
    numbers = recurra.train("regress", data=data, out=tmp_path / "numbers", **QUICK)
    found = numbers.evaluate(data)
    assert found["baseline_mean_r2"] <= 0.0 < 0.9 < found["baseline_ridge_r2"]


def test_a_baseline_of_another_run_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    data = {"text": WORDS * 8, "label": LABELS * 8}
    other = recurra.train("classify", data=data, out=tmp_path / "run", seed=1, **QUICK)
    for name in ("baselines.safetensors", "baselines.json"):
        own = (other.path / name).read_bytes()
        (other.path / name).write_bytes((run.path / name).read_bytes() + b" ")
        with pytest.raises(RunError, match=f"{name} is damaged, or of another run"):
            recurra.load(other.path)
        (other.path / name).write_bytes(own)
    assert load_baselines(other.path, other.parts).names == ("majority", "linear")
