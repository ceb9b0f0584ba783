"""A training that starts from an earlier run: its weights, its vocabulary, its model options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra.errors import DataError, RecurraError, RunError, SettingsError
from recurra.run import Run

QUICK: dict[str, Any] = {"epochs": 3, "hidden_size": 6, "embedding_size": 5, "lr": 0.02, "threads": 1}
AGAIN: dict[str, Any] = {"epochs": 1, "lr": 1e-12, "weight_decay": 0.0, "threads": 1}
ROWS = {"text": ["a fine film", "a bad film", "so fine", "so bad"] * 8, "label": ["good", "bad"] * 16}
NUMBERS = {"text": ROWS["text"], "target": [1.0, -1.0] * 16}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recurra.train("classify", data=ROWS, out=tmp_path_factory.mktemp("first") / "run", cell="gru", **QUICK)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.model.state_dict()


def test_weights_vocabulary_and_model_options_are_taken_over(first: Run, tmp_path: Path) -> None:
    other = {"text": ["unheard words here", "a bad film"] * 9, "label": ["good", "bad"] * 9}
    run = recurra.train("classify", data=other, init=first.path, out=tmp_path / "run", **AGAIN)
    assert run.settings.model == first.settings.model and run.settings.text.embedding_size == 5
    for name, tensor in weights(first).items():
        torch.testing.assert_close(weights(run)[name], tensor, atol=1e-6, rtol=0)  # nothing was learned at that rate
    assert run.predict(["a fine film", "unheard"])[0].label == first.predict(["a fine film"])[0].label
    assert recurra.load(run.path).predict(["so bad"]) == run.predict(["so bad"])


def test_another_task_or_other_classes_keep_the_body_and_begin_a_new_head(first: Run, tmp_path: Path) -> None:
    more = {"text": [*ROWS["text"], "who knows"] * 2, "label": [*ROWS["label"], "unsure"] * 2}
    for number, (task, data) in enumerate((("classify", more), ("regress", NUMBERS))):
        run = recurra.train(task, data=data, init=first.path, out=tmp_path / str(number), **AGAIN)
        heads = [name for name in weights(first) if name.startswith("body.head.")]
        assert heads and all(weights(run)[name].shape != weights(first)[name].shape for name in heads)
        for name, tensor in weights(first).items():
            if name not in heads:
                torch.testing.assert_close(weights(run)[name], tensor, atol=1e-6, rtol=0)


def test_a_regression_goes_on_in_the_scale_of_the_earlier_one(tmp_path: Path) -> None:
    first = recurra.train("regress", data=NUMBERS, out=tmp_path / "first", **QUICK)
    shifted = {"text": NUMBERS["text"], "target": [101.0, 99.0] * 16}
    run = recurra.train("regress", data=shifted, init=first.path, out=tmp_path / "run", **AGAIN)
    assert run.predict(["so bad"])[0].value == pytest.approx(first.predict(["so bad"])[0].value, abs=1e-5)


def test_a_training_stopped_before_its_first_checkpoint_starts_from_the_run_again(first: Run, tmp_path: Path) -> None:
    options = AGAIN | {"lr": 0.01, "epochs": 2}
    whole = recurra.train("classify", data=ROWS, init=first.path, out=tmp_path / "whole", **options)
    cut = recurra.train("classify", data=ROWS, init=first.path, out=tmp_path / "cut", **options)
    for name in ("manifest.json", "model.safetensors", "metrics.jsonl"):
        (cut.path / name).unlink()
    for path in (cut.path / "checkpoints").iterdir():
        path.unlink()
    resumed = recurra.resume(cut.path, data=ROWS)
    assert all(torch.equal(tensor, weights(whole)[name]) for name, tensor in weights(resumed).items())


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"hidden_size": 7}, SettingsError, "hidden_size: it is 7, and the run to start from has 6; leave it out"),
        ({"cell": "lstm", "unit": "char"}, SettingsError, "cell: it is 'lstm'.*; unit: it is 'char'"),
        ({"init": "nowhere"}, RunError, "nowhere is no run folder"),
        ({"data": {"input": [[1.0, 2.0], [2.0]] * 9, "label": [1, 2] * 9}}, DataError, "that run reads text inputs"),
    ],
)
def test_what_does_not_fit_is_refused(
    first: Run, change: dict[str, Any], error: type[RecurraError], sentence: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"data": ROWS, "init": first.path, "out": tmp_path / "run"} | AGAIN | change
    with pytest.raises(error, match=sentence):
        recurra.train("classify", **options)
    assert not (tmp_path / "run").exists()
