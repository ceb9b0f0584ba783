"""Runs that earlier versions wrote load and answer as they did then.

A release adds its own folder here: train a small run with that version, and keep config.toml, features.json,
manifest.json, model.safetensors, metrics.jsonl, result.json and, as expected.json, its answers and metrics.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import recurra

RUNS = sorted(Path(__file__).parent.glob("run-*"))
TEXTS = ["a fine film", "bad", "", "never seen"]
ROWS = {"text": ["a fine film", "a bad film", "so fine", "so bad"] * 8, "label": ["good", "bad"] * 16}


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_run_of_an_earlier_version_answers_as_it_did(folder: Path) -> None:
    run = recurra.load(folder, device="cpu")
    expected = json.loads((folder / "expected.json").read_text())
    for found, then in zip(run.predict_rows(TEXTS), expected["answers"], strict=True):
        assert found["label"] == then["label"]
        assert found["probabilities"] == pytest.approx(then["probabilities"], abs=1e-5)
    metrics = run.evaluate(ROWS)
    assert {name: metrics[name] for name in expected["metrics"]} == pytest.approx(expected["metrics"], abs=1e-5)


def test_there_is_a_run_of_every_release() -> None:
    assert [folder.name for folder in RUNS] == ["run-0.1.0"]
