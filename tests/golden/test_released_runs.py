"""Runs that earlier versions wrote load and answer as they did then; a stream they left goes on.

A release adds its own folders here: `python tests/golden/make.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import recurra
from tests.golden.make import KINDS, STREAMED, numbers_of

RUNS = sorted(Path(__file__).parent.glob("run-*"))
KEPT = [folder for folder in RUNS if (folder / "state.safetensors").exists()]
RELEASES = ("0.1.0", "0.2.0", "0.3.0", "0.4.0")
TO_COME = ("translate",)  # with the next release


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_run_of_an_earlier_version_answers_as_it_did(folder: Path) -> None:
    run = recurra.load(folder, device="cpu")
    expected = json.loads((folder / "expected.json").read_text())
    for found, then in zip(run.predict_rows(expected["inputs"]), expected["answers"], strict=True):
        assert alike(json.loads(json.dumps(found)), then)
    metrics = run.evaluate(expected["rows"])
    assert {name: metrics[name] for name in expected["metrics"]} == pytest.approx(expected["metrics"], abs=1e-5)


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_a_stream_that_an_earlier_version_left_goes_on(folder: Path) -> None:
    session = recurra.load(folder, device="cpu").stream(folder / "state.safetensors")
    expected = json.loads((folder / "expected.json").read_text())["stream"]
    for piece, then in zip(expected["pushed"], expected["answers"], strict=True):
        assert numbers_of(session.push(piece)) == pytest.approx(then, abs=1e-5)


def test_there_are_runs_of_every_release_and_every_task_of_the_last() -> None:
    assert {folder.name.split("-")[1] for folder in RUNS} == set(RELEASES)
    assert {folder.name for folder in RUNS if RELEASES[-1] in folder.name} == {
        f"run-{RELEASES[-1]}-{name}" for name in KINDS if name not in TO_COME
    }
    assert {f"run-{RELEASES[-1]}-{name}" for name in STREAMED} <= {folder.name for folder in KEPT}


def alike(found: Any, then: Any) -> bool:
    """Whether two answers are the same but for the last digits of their numbers; what is new since is left out."""
    if isinstance(then, dict):
        return all(alike(found[name], then[name]) for name in then)
    if isinstance(then, list):
        return len(found) == len(then) and all(map(alike, found, then))
    if isinstance(then, float):
        return bool(found == pytest.approx(then, abs=1e-5))
    return bool(found == then)
