"""A language model killed in mid-epoch goes on with the state that its checkpoint carries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recurra.cli.main import main
from recurra.tasks.model import ModelTraining
from recurra.training.checkpoint import load_checkpoint

from .forks import what_counts

OPTIONS = (
    "--epochs", "2", "--hidden-size", "6", "--batch-size", "3", "--bptt-length", "16", "--evaluate-every", "5",
    "--checkpoint-every", "0", "--threads", "1", "--progress", "none",
)  # fmt: skip
KILLED_AT = 7  # windows that the killed training begins
KILLED = f"""
import itertools, os, signal, sys
from recurra.cli.main import main
from recurra.tasks.model import ModelTraining

window, loss = itertools.count(1), ModelTraining.loss

def killed(self, batch):
    if next(window) == {KILLED_AT}:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(self, batch)

ModelTraining.loss = killed
sys.exit(main())
"""


def test_killed_in_mid_epoch_the_carried_state_goes_on_and_the_run_ends_as_if_never_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "book.txt"
    text.write_text("Anna took her hat.\nOtto took his hat.\n" * 12)
    command = ["train", "model", "--data", str(text), *OPTIONS, "--out"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    folder = tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", KILLED, *command, str(folder)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL

    kept = load_checkpoint(folder, 10**6)
    assert kept is not None
    carried = kept.tensors["carried"]
    assert {name: tuple(one.shape) for name, one in carried.items()} == {
        "encoder.layers.0.hidden": (3, 6), "encoder.layers.0.cell": (3, 6)
    }  # fmt: skip
    assert all(one.any() for one in carried.values())
    begun: list[bool] = []
    loss = ModelTraining.loss

    def watched(self: ModelTraining, batch: tuple[bool, object]) -> object:
        begun.append(batch[0])
        return loss(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelTraining, "loss", watched)
    assert main(["train", "--resume", str(folder), "--progress", "none"]) == 0
    assert begun[0] is False  # in mid-epoch: the first window goes on from what was carried
    assert what_counts(folder) == what_counts(tmp_path / "whole")
    assert capsys.readouterr().err == ""


def test_killed_before_the_first_checkpoint_it_begins_again_as_it_began(tmp_path: Path) -> None:
    text = tmp_path / "book.txt"
    text.write_text("Anna took her hat.\nOtto took his hat.\n" * 12)
    command = ["train", "model", "--data", str(text), *OPTIONS, "--out"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    folder = tmp_path / "killed"
    at_once = KILLED.replace(f"== {KILLED_AT}", "== 1")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", at_once, *command, str(folder)], env=environment, check=False)
    assert load_checkpoint(folder, 10**6) is None
    assert main(["train", "--resume", str(folder), "--progress", "none"]) == 0
    assert what_counts(folder) == what_counts(tmp_path / "whole")
