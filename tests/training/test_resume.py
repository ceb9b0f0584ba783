import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recurra.errors import RunError
from recurra.training.checkpoint import checkpoints
from recurra.training.interruption import stop_requests
from recurra.training.protocol import Interrupted

from .tiny import Crash, Tiny, crash_at, equal, train, weights, without_times

VARIANTS = {
    "adamw": {},
    "sgd, averaged": {"optimizer": "sgd", "average": 0.9, "warmup_steps": 5},
    "plateau, accumulated": {"schedule": "plateau", "accumulate": 2, "patience": 4, "evaluate_every": 2},
    "each epoch": {"evaluate_every": 0},
    "checkpoints averaged": {"average_checkpoints": 3, "evaluate_every": 2},
}


def lines(folder):
    return without_times([json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()])


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    """For each variant: the weights and metric lines of a training that ran through."""
    found = {}
    for name, changes in VARIANTS.items():
        tiny = Tiny()
        result = train(tiny, tmp_path_factory.mktemp("whole"), **changes)
        found[name] = weights(tiny), without_times(result.history), result
    return found


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("stops", [(0,), (1,), (4,), (9, 3), (5, 5, 5)])
def test_a_training_that_crashed_and_went_on_equals_one_never_stopped(tmp_path, never_stopped, name, stops):
    for again, stop in enumerate(stops):
        tiny = Tiny()
        tiny.before_batch = crash_at(stop)
        with pytest.raises(Crash):
            train(tiny, tmp_path, resume=again > 0, **VARIANTS[name])
    tiny = Tiny()
    with torch.no_grad():
        for parameter in tiny.model.parameters() if checkpoints(tmp_path) else ():
            parameter.add_(1.0)  # what the new process starts from must not matter, once there is a checkpoint
    result = train(tiny, tmp_path, resume=True, **VARIANTS[name])
    expected_weights, expected_lines, expected = never_stopped[name]
    assert equal(weights(tiny), expected_weights)
    assert without_times(result.history) == lines(tmp_path) == expected_lines
    assert (result.steps, result.epochs, result.best, result.stopped) == (
        expected.steps, expected.epochs, expected.best, expected.stopped,
    )  # fmt: skip


def test_it_goes_on_at_once_in_mid_epoch(tmp_path):
    tiny = Tiny()
    tiny.before_batch = crash_at(9)
    with pytest.raises(Crash):
        train(tiny, tmp_path)
    tiny = Tiny()
    train(tiny, tmp_path, resume=True)
    assert tiny.batches_made == 24 - 9
    assert tiny.plans == [0, 1, 2, 3]


def test_metric_lines_are_neither_lost_nor_doubled_by_a_stop_between_them_and_the_checkpoint(tmp_path, never_stopped):
    tiny = Tiny()
    tiny.before_batch = crash_at(7)
    with pytest.raises(Crash):
        train(tiny, tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "made": "by the killed process, before its checkpoint"}\n')
    train(Tiny(), tmp_path, resume=True)
    assert lines(tmp_path) == never_stopped["adamw"][1]


def test_a_finished_training_resumes_to_its_result_at_once(tmp_path, never_stopped):
    first = train(Tiny(), tmp_path)
    tiny = Tiny()
    (tmp_path / "metrics.jsonl").unlink()
    again = train(tiny, tmp_path, resume=True)
    assert tiny.batches_made == 0
    assert again == first
    assert equal(weights(tiny), never_stopped["adamw"][0])
    assert lines(tmp_path) == never_stopped["adamw"][1]


def test_the_time_of_all_processes_is_counted(tmp_path):
    tiny = Tiny()
    tiny.before_batch = crash_at(20)
    with pytest.raises(Crash):
        train(tiny, tmp_path)
    seconds = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    assert train(Tiny(), tmp_path, resume=True).seconds > seconds


def stopped_half_way(folder: Path) -> Path:
    tiny = Tiny()
    tiny.before_batch = crash_at(10)
    with pytest.raises(Crash):
        train(tiny, folder)
    return checkpoints(folder)[0]


@pytest.mark.parametrize("damage", ["cut", "header", "weights", "empty"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, damage):
    path = stopped_half_way(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-7]
    elif damage == "header":
        content[40] ^= 1
    elif damage == "weights":
        content[-40] ^= 1
    else:
        content.clear()
    path.write_bytes(content)
    tiny = Tiny()
    before = weights(tiny)
    with pytest.raises(RunError, match=r"step-00000010\.safetensors is damaged"):
        train(tiny, tmp_path, resume=True)
    assert equal(weights(tiny), before)
    assert path.read_bytes() == content


def test_other_settings_are_refused_by_name_and_those_that_do_not_matter_are_not(tmp_path):
    stopped_half_way(tmp_path)
    with pytest.raises(RunError, match=r"was written with lr = 0\.05, and lr is now 0\.1; go on with the same"):
        train(Tiny(), tmp_path, resume=True, lr=0.1)
    assert train(Tiny(), tmp_path, resume=True, checkpoint_every=5.0).steps == 24


def test_another_model_or_other_data_are_refused(tmp_path):
    stopped_half_way(tmp_path)
    tiny = Tiny(dtype=torch.float64)
    with pytest.raises(RunError, match=r"is not of this training: weights: 0\.bias is \[8\] torch.float32"):
        train(tiny, tmp_path, resume=True)
    tiny = Tiny()
    tiny.plan = lambda epoch: [[0, 1]]
    with pytest.raises(RunError, match="epoch 1 has 1 batches, and 4 are done"):
        train(tiny, tmp_path, resume=True)


def test_another_number_of_threads_is_said(tmp_path):
    stopped_half_way(tmp_path)
    result = train(Tiny(), tmp_path, resume=True, threads=2)
    assert result.notes == ["threads was 1 and is now 2: the last bits may differ from a training never stopped"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(tmp_path, never_stopped, number):
    tiny = Tiny()
    tiny.before_batch = lambda count: signal.raise_signal(number) if count == 7 else None
    before = signal.getsignal(number)
    folder = tmp_path / "my run"
    with pytest.raises(Interrupted) as caught:
        train(tiny, folder, checkpoint_every=1e9)
    assert caught.value.signal == number
    assert f"after step 8 and is saved; go on with: recurra train --resume '{folder}'" in str(caught.value)
    assert signal.getsignal(number) is before
    assert [path.name for path in checkpoints(folder)] == ["step-00000008.safetensors"]
    tiny = Tiny()
    train(tiny, folder, resume=True, checkpoint_every=1e9)  # the evaluation of step 8 was still to be made
    assert equal(weights(tiny), never_stopped["adamw"][0])
    assert lines(folder) == never_stopped["adamw"][1]


def test_a_second_signal_stops_at_once(tmp_path):
    tiny = Tiny()

    def twice(count):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    tiny.before_batch = twice
    with pytest.raises(KeyboardInterrupt):
        train(tiny, tmp_path)
    assert tiny.batches_made == 0


def test_a_second_signal_may_mean_no_more_than_the_first():
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests(at_once=False) as request:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert request.signal == signal.SIGINT
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_the_process_ignores_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        tiny = Tiny()
        tiny.before_batch = lambda count: signal.raise_signal(signal.SIGHUP)
        assert train(tiny, tmp_path).steps == 24
    finally:
        signal.signal(signal.SIGHUP, before)


def run_child(folder: Path, how: str, step: int) -> "subprocess.CompletedProcess[str]":
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "training.child", str(folder), how, str(step)],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(("how", "step", "status"), [("KILL", 9, -9), ("INT", 13, 130)])
def test_a_process_killed_or_interrupted_goes_on_to_the_same_end(tmp_path, never_stopped, how, step, status):
    child = run_child(tmp_path, how, step)
    assert child.returncode == status, child.stderr
    if how == "INT":
        assert f"recurra train --resume {tmp_path}" in child.stdout
    tiny = Tiny()
    result = train(tiny, tmp_path, resume=True)
    assert tiny.batches_made == 24 - step - (how == "INT")
    assert result.notes == []
    assert equal(weights(tiny), never_stopped["adamw"][0])
    assert lines(tmp_path) == never_stopped["adamw"][1]
