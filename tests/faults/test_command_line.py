"""Kills, signals and a full disk through the real command line."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import recurra

from .forks import leftovers, what_counts

PROGRAM = [sys.executable, "-c", "import sys; from recurra.cli.main import main; sys.exit(main())"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def start(*arguments: str | Path, most_bytes: int = 0) -> subprocess.Popen[str]:
    def bound() -> None:
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=bound
    )


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = child.communicate(timeout=120)
    return child.returncode, said


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """A training of a second or two, with a checkpoint at nearly every step."""
    data = tmp_path_factory.mktemp("data") / "rows.csv"
    draw = random.Random(0)
    rows = [" ".join(draw.choices("abcdefgh", k=30)) for _ in range(1500)]
    data.write_text("text,label\n" + "".join(f"{row},{'early' if row < 'd' else 'late'}\n" for row in rows))
    return [
        "train", "classify", "--data", data, "--epochs", "6", "--hidden-size", "16", "--progress", "none",
        "--checkpoint-every", "0.02", "--word-dropout", "0.1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(options: list[str | Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a training that was never stopped ends with."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    status, said = ended(start(*options, "--out", folder))
    assert status == 0, said
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 6
    return what_counts(folder)


def wait_until(there: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while not there() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert child.poll() is None, ended(child)


def last_step(folder: Path) -> int:
    names = [path.stem for path in (folder / "checkpoints").glob("step-*.safetensors")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def test_killed_three_times_once_in_the_middle_of_a_resume_it_ends_as_if_never_stopped(
    options: list[str | Path], whole: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    child = start(*options, "--out", folder)
    wait_until(lambda: last_step(folder) > 3, child)
    child.kill()
    assert ended(child) == (-signal.SIGKILL, "")

    lines = folder / "metrics.jsonl"
    before = lines.stat().st_ino if lines.exists() else 0
    child = start("train", "--resume", folder, "--progress", "none")
    # a resume writes metrics.jsonl before anything else
    wait_until(
        lambda: (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").stat().st_ino != before, child
    )
    child.kill()
    assert ended(child) == (-signal.SIGKILL, "")

    step = last_step(folder)
    child = start("train", "--resume", folder, "--progress", "none")
    wait_until(lambda: last_step(folder) > step + 20, child)
    child.kill()
    assert ended(child) == (-signal.SIGKILL, "")

    assert not (folder / "manifest.json").exists()
    recurra.resume(folder)
    assert what_counts(folder) == whole


def test_each_signal_ends_with_its_status_and_says_how_to_go_on(
    options: list[str | Path], whole: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    arguments = [*options, "--out", folder]
    for numbers, status in (
        ([signal.SIGTERM], 143),
        ([signal.SIGINT], 130),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGHUP], 129),
    ):
        step = last_step(folder)
        child = start(*arguments)
        wait_until(lambda step=step: last_step(folder) > step + 3, child)  # type: ignore[misc]
        for number in numbers:
            child.send_signal(number)
        found, said = ended(child)
        assert found == status, said
        assert said.startswith(f"recurra: training was stopped by {numbers[0].name} ")
        assert said.endswith(f"saved; go on with: recurra train --resume {folder}\n") and said.count("\n") == 1
        arguments = ["train", "--resume", folder, "--progress", "none"]
    recurra.resume(folder)
    assert what_counts(folder) == whole


def test_a_file_that_the_disk_has_no_room_for_ends_in_a_sentence_and_nothing_is_lost(
    options: list[str | Path], whole: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    status, said = ended(start(*options, "--out", folder, most_bytes=10_000))
    assert status == 1
    assert said.startswith(f"recurra: {folder / 'checkpoints' / 'step-0000'}")
    assert said.endswith(".safetensors could not be written: File too large\n") and said.count("\n") == 1
    assert leftovers(folder) == []
    recurra.resume(folder)
    assert what_counts(folder) == whole
