"""The batch size found by trial: a rule over the seconds of a step, and a training that is as if it were given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra.errors import SettingsError
from recurra.settings.structure import from_keywords
from recurra.settings.toml import from_toml, to_toml
from recurra.training import batch_size
from recurra.training.batch_size import chosen, find_batch_size
from tests.cli.conftest import Call, call

__all__ = ["call"]

DATA = {"text": ["good film", "bad film and more"] * 200, "label": ["g", "b"] * 200}


@pytest.mark.parametrize(
    ("rows", "seconds", "expected"),
    [
        (100_000, {8: 1.0, 16: 1.0, 32: 1.0, 64: 2.0}, 32),  # nothing gained by the last doubling
        (100_000, {8: 1.0, 16: 1.9}, 8),  # 5 % are no gain
        (100_000, {8: 1.0, 16: 1.0, 32: None}, 16),  # memory is short
        (100_000, dict.fromkeys([8, 16, 32, 64, 128, 256, 512, 1024], 1.0), 1024),  # the largest
        (16 * 64, dict.fromkeys([8, 16, 32, 64], 1.0), 64),  # sixteen steps an epoch
        (16 * 64 - 1, dict.fromkeys([8, 16, 32], 1.0), 32),
        (5, {5: 1.0}, 5),
        (100_000, {8: None}, 8),
    ],
)
def test_the_batch_doubles_while_an_example_gets_cheaper(
    rows: int, seconds: dict[int, float | None], expected: int
) -> None:
    asked = []

    def measure(size: int) -> float | None:
        asked.append(size)
        return seconds[size]

    assert chosen(rows, measure) == expected
    assert asked == list(seconds)


def test_a_trial_leaves_weights_mode_and_generators_as_they_were() -> None:
    model = torch.nn.Linear(2, 1)
    model.train(False)

    class Squares:
        metric, higher_is_better = "loss", False

        def __init__(self) -> None:
            self.model = model
            self.sizes: list[list[int]] = []

        def batch(self, indices: list[int], step_seed: int) -> torch.Tensor:
            self.sizes.append(indices)
            return torch.randn(len(indices), 2)

        def size(self, batch: torch.Tensor) -> tuple[int, int]:
            return len(batch), len(batch)

        def loss(self, batch: torch.Tensor) -> tuple[torch.Tensor, float]:
            return model(batch).square().sum(), float(len(batch))

        def describe(self, indices: list[int]) -> str:
            return "rows"

    trainable: Any = Squares()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    before = torch.get_rng_state()
    settings = from_keywords("classify", batch_size="auto", lr=1.0, threads=1).training
    lengths = list(range(400))
    found = find_batch_size(trainable, lengths, settings)
    assert found in (8, 16)  # 400 rows keep sixteen steps an epoch
    assert trainable.sizes[0] == list(range(399, 391, -1))  # the longest rows show whether memory suffices
    assert sorted(trainable.sizes[1]) == list(range(196, 204))  # those in the middle are timed
    assert torch.equal(before, torch.get_rng_state())
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_a_run_keeps_the_number_found_and_is_the_run_with_that_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small: dict[str, Any] = {"data": DATA, "epochs": 1, "hidden_size": 4, "embedding_size": 4, "threads": 1}
    monkeypatch.setattr(batch_size, "chosen", lambda rows, seconds: (seconds(8), seconds(16)) and 16)
    found = recurra.train("classify", **small, batch_size="auto", out=tmp_path / "a")
    given = recurra.train("classify", **small, batch_size=16, out=tmp_path / "b")
    assert found.settings.training.batch_size == 16
    config = (tmp_path / "a" / "config.toml").read_text()
    assert from_toml(config, "config.toml")[1].training.batch_size == 16
    assert (found.path / "model.safetensors").read_bytes() == (given.path / "model.safetensors").read_bytes()


def test_only_a_number_or_auto_is_a_batch_size(call: Call) -> None:
    assert from_keywords("classify", batch_size="auto").training.batch_size == "auto"
    settings = from_keywords("classify", batch_size="auto")
    assert from_toml(to_toml("classify", settings), "c.toml")[1] == settings
    for wrong in ("x", 2.5, True):
        with pytest.raises(SettingsError, match=f"batch_size: {wrong!r} is neither a whole number nor auto"):
            from_keywords("classify", batch_size=wrong)
    with pytest.raises(SettingsError, match="batch_size: 0 is below 1"):
        from_keywords("classify", batch_size=0)
    with pytest.raises(SettingsError, match="batch_size: auto and batch_tokens exclude each other"):
        from_keywords("classify", batch_size="auto", batch_tokens=100)
    status, out, err = call("train", "classify", "--data", "a.csv", "--batch-size", "x")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--batch-size" in err
