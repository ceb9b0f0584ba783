"""Refit: a second training on all labelled rows, for the steps of the first one's best evaluation."""

from __future__ import annotations

import itertools
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra.data.partition import Given, partition
from recurra.data.table import concatenate
from recurra.errors import SettingsError
from recurra.settings.structure import from_keywords
from recurra.tasks import Classify, ManyToOneTraining
from recurra.training.loop import fit
from recurra.training.progress import Silent
from recurra.training.protocol import Interrupted

WORDS = ["a", "film", "a", "mess", "so", "good", "so", "bad", "not", "that", "good"]
DATA = {
    "text": [f"{WORDS[n % 7]} {WORDS[(3 * n) % 11]} {'good' if n % 2 else 'bad'} {WORDS[n % 5]}" for n in range(60)],
    "label": ["up" if n % 2 == (n % 5 != 0) else "down" for n in range(60)],
}
OPTIONS: dict[str, Any] = {
    "epochs": 4, "hidden_size": 4, "embedding_size": 4, "lr": 0.4, "average": 0.9, "batch_size": 8, "patience": 0,
    "threads": 1, "checkpoint_every": 0.0, "metric": "loss",
}  # fmt: skip


class Crash(Exception):  # noqa: N818
    """A fault in the middle of training."""


def weights(run: recurra.Run) -> dict[str, torch.Tensor]:
    return dict(run.model.state_dict())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def break_at(monkeypatch: pytest.MonkeyPatch, batch: int, what: BaseException | int) -> None:
    """Raise, or send a signal, while that batch is made, counted over both trainings."""
    made, original = [0], ManyToOneTraining.batch

    def batch_or_end(self: ManyToOneTraining, indices: list[int], step_seed: int) -> Any:
        made[0] += 1
        if made[0] == batch:
            if isinstance(what, BaseException):
                raise what
            signal.raise_signal(what)
        return original(self, indices, step_seed)

    monkeypatch.setattr(ManyToOneTraining, "batch", batch_or_end)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> recurra.Run:
    """A run with refit that was never stopped."""
    return recurra.train("classify", data=DATA, refit=True, out=tmp_path_factory.mktemp("refit") / "run", **OPTIONS)


def test_the_weights_are_those_that_a_training_on_all_labelled_rows_has_at_that_step(
    whole: recurra.Run, tmp_path: Path
) -> None:
    settings = from_keywords("classify", **OPTIONS)
    parts = partition(settings.data, 0, Given(data=DATA))
    task = Classify.fit_features(settings, parts.train)
    everything = task.examples(concatenate([parts.train, parts.valid]))
    training = ManyToOneTraining(task, everything, everything)
    losses = itertools.count()
    training.evaluate = lambda: {"loss": float(next(losses))}  # type: ignore[method-assign]  # the first is the best
    result = fit(training, replace(settings.training, evaluate_every=whole.result["best_step"]), tmp_path, Silent())
    assert result.steps == whole.result["steps"] > result.best_step == whole.result["best_step"]
    assert same(weights(whole), dict(task.model.state_dict()))


def test_the_first_training_is_as_it_would_be_alone(whole: recurra.Run, tmp_path: Path) -> None:
    alone = recurra.train("classify", data=DATA, out=tmp_path / "run", **OPTIONS)
    assert whole.result["best_step"] < whole.result["steps"]
    for name in ("valid_accuracy", "valid_loss", "best_step", "steps", "train_examples", "valid_examples"):
        assert whole.result[name] == alone.result[name]
    assert not same(weights(whole), weights(alone))
    line = json.loads((whole.path / "refit" / "metrics.jsonl").read_text())
    assert line["step"] == alone.result["best_step"] and line["valid_loss"] is None
    assert "Refit" in (whole.path / "report.html").read_text()


def test_the_stored_run_answers_with_the_second_weights(whole: recurra.Run) -> None:
    assert same(weights(recurra.load(whole.path)), weights(whole))


@pytest.mark.parametrize("batch", [5, 28, 29, 30, 42])  # 28 batches make the first training, 14 the second
def test_a_run_that_crashed_in_either_training_ends_as_one_never_stopped(
    whole: recurra.Run, tmp_path: Path, batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        break_at(patch, batch, Crash())
        with pytest.raises(Crash):
            recurra.train("classify", data=DATA, refit=True, out=tmp_path / "run", **OPTIONS)
    again = recurra.resume(tmp_path / "run", data=DATA)
    assert same(weights(again), weights(whole))
    without_times = [
        {
            name: value
            for name, value in run.result.items()
            if not name.endswith("seconds") and name != "peak_memory_bytes"
        }
        for run in (again, whole)
    ]
    assert without_times[0] == without_times[1]


def test_a_signal_in_the_second_training_names_the_run(
    whole: recurra.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, 33, signal.SIGTERM)
    with pytest.raises(Interrupted, match=f"--resume {tmp_path / 'run'}$"):
        recurra.train("classify", data=DATA, refit=True, out=tmp_path / "run", **OPTIONS)
    assert same(weights(recurra.resume(tmp_path / "run", data=DATA)), weights(whole))


def test_an_empty_text_of_the_validation_data_is_left_out(tmp_path: Path) -> None:
    valid = {"text": ["a good film", ""], "label": ["up", "down"]}
    run = recurra.train("classify", data=DATA, valid=valid, refit=True, out=tmp_path / "run", **OPTIONS)
    assert run.result["valid_examples"] == 2


def test_a_schedule_that_follows_validation_data_is_refused() -> None:
    with pytest.raises(SettingsError, match="refit: the schedule plateau follows validation data"):
        from_keywords("classify", refit=True, schedule="plateau")
