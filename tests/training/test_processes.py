"""Several processes that train one model: the same weights as one process, one folder, and an end for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from .ragged import VARIANTS, train
from .tiny import without_times

needs_gloo = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()), reason="this torch has no gloo"
)
TESTS = Path(__file__).parents[1]


def torchrun(*arguments: str, processes: int = 2) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")])
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    return subprocess.Popen(
        [*start, *arguments],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder in which two processes have trained every variant."""
    folder = tmp_path_factory.mktemp("together")
    with torchrun("training.processes_child", str(folder)) as started:
        out, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    assert out == ""
    return folder


@needs_gloo
@pytest.mark.parametrize(("number", "name"), list(enumerate(VARIANTS)))
def test_two_processes_have_the_weights_of_one_after_twenty_steps(together, tmp_path, number, name):
    alone, result = train(name, tmp_path)
    first, second = (load_file(together / f"{number}-{rank}.safetensors") for rank in (0, 1))
    for key, tensor in alone.model.state_dict().items():
        assert torch.equal(first[key], second[key]), key
        assert torch.allclose(first[key], tensor, rtol=0, atol=1e-9), (key, (first[key] - tensor).abs().max())
    history = json.loads((together / f"{number}-0.json").read_text())
    for line, expected in zip(without_times(history), without_times(result.history), strict=True):
        assert line == pytest.approx(expected, abs=1e-9)


@needs_gloo
def test_a_state_is_carried_by_rows(together, tmp_path):
    alone, _ = train("carried", tmp_path)
    number = list(VARIANTS).index("carried")
    parts = [load_file(together / f"{number}-{rank}.safetensors")["carried state"] for rank in (0, 1)]
    joined = torch.stack([parts[row % 2][row // 2] for row in range(5)])
    assert torch.allclose(joined, alone.carried()["state"], rtol=0, atol=1e-9)


@needs_gloo
def test_all_stop_at_the_same_step_when_one_is_told_to_and_go_on_to_the_same_weights(together, tmp_path):
    told = [(together / f"stopped-{rank}.txt").read_text() for rank in (0, 1)]
    assert "training was stopped by SIGHUP after step 10 and is saved" in told[1]
    assert "training was stopped by SIGTERM after step 10 and is saved" in told[0]
    alone, _ = train("carried", tmp_path)
    for rank in (0, 1):
        resumed = load_file(together / f"resumed-{rank}.safetensors")
        for key, tensor in alone.model.state_dict().items():
            assert torch.allclose(resumed[key], tensor, rtol=0, atol=1e-9), key


@needs_gloo
def test_the_first_process_alone_writes(together):
    for number in range(len(VARIANTS)):
        assert (together / f"{number}-process-0" / "metrics.jsonl").exists()
        assert not (together / f"{number}-process-1").exists()
