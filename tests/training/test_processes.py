"""Several processes that train one model: the same weights as one process, one folder, and an end for all of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file

import recurra
from recurra.cli.main import main
from recurra.cli.processes import speaks
from recurra.errors import Elsewhere, SettingsError, ShapeError
from recurra.nn.frontends import TokenNgrams
from recurra.nn.noise import dropout_mask, zoneout_mask
from recurra.randomness import rows_dealt
from recurra.sequence import Sequence
from recurra.training.checkpoint import checkpoints
from recurra.training.processes import ALONE, Processes, count_rows, processes_here, share
from recurra.training.protocol import Interrupted

from .ragged import TASKS, VARIANTS, train, train_task
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
@pytest.mark.parametrize("name", TASKS)
def test_a_task_trained_by_two_processes_is_that_of_one(together, tmp_path, name):
    alone, _ = train_task(name, tmp_path)
    parts = [load_file(together / f"{name}-{rank}.safetensors") for rank in (0, 1)]
    for key, tensor in alone.model.state_dict().items():
        assert torch.equal(parts[0][key], parts[1][key]), key
        assert torch.allclose(parts[0][key], tensor, rtol=0, atol=1e-9), (key, (parts[0][key] - tensor).abs().max())
    assert bool(alone.carried()) == (name == "model")
    for key, tensor in alone.carried().items():
        joined = torch.stack([parts[row % 2][f"carried {key}"][row // 2] for row in range(3)])
        assert torch.allclose(joined, tensor, rtol=0, atol=1e-9), key


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
    shutil.copytree(together / "left", tmp_path / "left")
    by_one, _ = train("carried", tmp_path / "left", resume=True)
    for key, tensor in alone.model.state_dict().items():
        assert torch.allclose(by_one.model.state_dict()[key], tensor, rtol=0, atol=1e-9), key
    for rank in (0, 1):
        resumed = load_file(together / f"resumed-{rank}.safetensors")
        for key, tensor in alone.model.state_dict().items():
            assert torch.allclose(resumed[key], tensor, rtol=0, atol=1e-9), key


@needs_gloo
def test_the_first_process_s_clock_ends_all_at_the_same_step(together):
    first, second = ((together / f"timed-{rank}.txt").read_text() for rank in (0, 1))
    assert first == second
    stopped, steps, _ = first.split()
    assert stopped == "max_time" and int(steps) > 0


@needs_gloo
def test_a_fault_of_the_first_process_is_told_to_the_others(together):
    told = [(together / f"fault-{rank}.txt").read_text() for rank in (0, 1)]
    assert told == ["ValueError: a fault of the first", "Elsewhere: process 0 stopped: a fault of the first"]


def test_a_process_alone_loads_no_fabric(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert processes_here("cpu") is ALONE
    assert "lightning_fabric" not in sys.modules


def test_a_batch_is_dealt_by_rows():
    class Second(Processes):
        rank, count = 1, 2

    class Pair(NamedTuple):
        inputs: Sequence
        targets: torch.Tensor
        sizes: torch.Tensor | None
        total: int

    values = TokenNgrams(torch.arange(15).view(5, 3), torch.arange(30).view(5, 3, 2))
    batch = (True, Pair(Sequence(values, torch.tensor([3, 2, 2, 1, 0])), torch.arange(5), None, 7))
    begins, own = share(batch, Second())
    assert count_rows(batch) == 5
    assert begins is True and own.sizes is None and own.total == 7
    assert own.inputs.values.token.tolist() == [[3, 4, 5], [9, 10, 11]]
    assert own.inputs.values.ngrams.shape == (2, 3, 2)
    assert (own.inputs.lengths.tolist(), own.targets.tolist()) == ([2, 1], [1, 3])
    assert share(torch.arange(1), Second()).shape == (0,)
    with pytest.raises(TypeError, match="a batch holds a dict"):
        share(({},), Second())


def test_noise_is_that_of_the_global_rows():
    like, shape = torch.zeros(1), (5, 1, 4)
    torch.manual_seed(3)
    whole = dropout_mask(shape, 0.5, like)
    twice = zoneout_mask((10, 2), 0.5, like)
    weight = dropout_mask((4, 2), 0.5, like, rows=False)
    for rank in (0, 1):
        torch.manual_seed(3)
        with rows_dealt(5, rank, 2):
            own = len(whole[rank::2])
            assert torch.equal(dropout_mask((own, 1, 4), 0.5, like), whole[rank::2])
            expected = torch.cat([twice[:5][rank::2], twice[5:][rank::2]])
            assert torch.equal(zoneout_mask((2 * own, 2), 0.5, like), expected)
            assert torch.equal(dropout_mask((4, 2), 0.5, like, rows=False), weight)
    with rows_dealt(5, 0, 2), pytest.raises(ShapeError, match=r"noise for 4 rows, expected those of .* batch: 3"):
        dropout_mask((4, 1), 0.5, like)


@pytest.mark.parametrize(
    ("set_to", "words"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE: 'two' is no number"),
        ({"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "2"}, "start as many processes on each machine"),
        ({"WORLD_SIZE": "2"}, "LOCAL_WORLD_SIZE is 0"),
    ],
)
def test_an_environment_that_fits_no_processes_is_refused(monkeypatch, set_to, words):
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=re.escape(words)):
        processes_here("cpu")


def test_a_dry_run_is_for_one_process(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="start it without torchrun"):
        recurra.dry_run("classify", data=str(tmp_path / "reviews.csv"))


def test_another_process_than_the_first_prints_its_own_errors_only(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert main(["evaluate", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("recurra (process 1): nowhere")
    assert not speaks() and not speaks(Elsewhere("process 0 stopped")) and not speaks(Interrupted(15, "is saved"))
    monkeypatch.setenv("RANK", "0")
    assert speaks() and speaks(Elsewhere("x")) and speaks(Interrupted(15, "is saved"))


@needs_gloo
def test_a_process_that_is_killed_ends_the_others_with_a_sentence(tmp_path):
    with torchrun("training.processes_child", str(tmp_path / "run"), "kill") as started:
        _, err = started.communicate(timeout=120)
    assert started.returncode == 1
    assert (
        "process 1 of 2 has ended in the middle of the training, so process 0 of 2 stops too; what the run folder's "
        "last checkpoint holds is saved, and `recurra train --resume` goes on from there"
    ) in err


@needs_gloo
def test_a_run_of_two_processes_is_stopped_goes_on_and_is_that_of_one(tmp_path):
    """The command under torchrun: one folder, one sentence, one table, one last line."""
    data, together = tmp_path / "reviews.csv", tmp_path / "together"
    rows = [f"a {one} film {number},{one}" for number in range(30) for one in ("charming", "dull")]
    data.write_text("\n".join(["text,label", *rows, ""]))
    chosen = {"max_steps": 150, "epochs": 100, "hidden_size": 8, "checkpoint_every": 0, "patience": 0, "threads": 1}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    with torchrun("recurra", "train", "classify", f"--data={data}", f"--out={together}", *options) as started:
        while not checkpoints(together) and started.poll() is None:
            time.sleep(0.02)
        started.terminate()
        out, err = started.communicate(timeout=120)
    assert started.returncode != 0
    assert out == ""
    assert re.findall("^recurra.*", err, re.M) == [
        f"recurra: training was stopped by SIGTERM after step {stopped_at(together)} and is saved; "
        f"go on with: recurra train --resume {together}"
    ]
    with torchrun("recurra", "train", "--resume", str(together)) as started:
        out, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    lines = out.splitlines()
    assert lines[-1] == str(together)
    assert lines.count(str(together)) == sum(line.startswith("metric") for line in lines) == 1
    run = recurra.load(together)
    alone = recurra.train("classify", data=data, out=tmp_path / "alone", **chosen)
    assert (run.result["processes"], alone.result["processes"]) == (2, 1)
    assert sorted(path.name for path in together.iterdir()) == sorted(path.name for path in alone.path.iterdir())
    assert run.evaluate()["loss"] == pytest.approx(alone.evaluate()["loss"], abs=1e-4)
    for name, tensor in load_file(alone.path / "model.safetensors").items():
        assert torch.allclose(load_file(together / "model.safetensors")[name], tensor, rtol=0, atol=1e-4), name


def stopped_at(folder: Path) -> int:
    return int(checkpoints(folder)[0].stem.removeprefix("step-"))


@needs_gloo
def test_the_first_process_alone_writes(together):
    for number in range(len(VARIANTS)):
        assert (together / f"{number}-process-0" / "metrics.jsonl").exists()
        assert not (together / f"{number}-process-1").exists()
