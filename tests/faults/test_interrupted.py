"""Told to stop, wherever a training is: exit status 128 + the signal, and how to go on is said."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from .forks import Forks, leftovers, what_counts

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
NOTHING = "before anything was saved; give the same command again"
AT_ONCE = "at once; what its last checkpoint holds is saved; go on with: recurra train --resume {folder}"


@pytest.mark.parametrize("number", [SIGNALS[0], *(pytest.param(one, marks=pytest.mark.deep) for one in SIGNALS[1:])])
@pytest.mark.parametrize(
    ("point", "words"),
    [
        (["read the data", 1], NOTHING),
        (["clear", 1], NOTHING),
        (["write features.json", 1], NOTHING),
        (["wrote config.toml", 1], NOTHING),
        (["beginning is saved", 1], AT_ONCE),
        (["batch", 4], "after step 4 and is saved; go on with: recurra train --resume {folder}"),
        (["evaluate", 2], "after step 6 and is saved; go on with: recurra train --resume {folder}"),
        (["write checkpoint", 5], "after step 4 and is saved; go on with: recurra train --resume {folder}"),
        (["report", 1], AT_ONCE),
        (["write model.safetensors", 1], AT_ONCE),
        (["write manifest.json", 1], AT_ONCE),
    ],
)
def test_it_says_what_is_saved_and_how_to_go_on_and_does(
    point: list[Any], words: str, number: int, forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    answer = forks.train(folder, signal=[*point, number])
    assert answer.exit_status == 128 + number
    name = signal.Signals(number).name
    assert answer.error == f"training was stopped by {name} {words.format(folder=folder)}"
    assert leftovers(folder) == []
    if number == signal.SIGTERM:  # the rest is the same for all
        again = forks.train(folder) if words == NOTHING else forks.resume(folder)
        assert again.exit_status == 0
        assert what_counts(folder) == expected


@pytest.mark.parametrize("point", [["batch", 6], ["write checkpoint", 6], ["evaluate", 3]])
def test_a_second_signal_stops_at_once_and_the_last_checkpoint_is_left(
    point: list[Any], forks: Forks, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    answer = forks.train(folder, signal=[*point, signal.SIGINT, signal.SIGINT])
    assert answer.exit_status == 130
    assert answer.error == f"training was stopped by SIGINT {AT_ONCE.format(folder=folder)}"
    assert answer.said["events"].count("batch") <= 9 and "report" not in answer.said["events"]
    assert leftovers(folder) == []
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected


def test_a_resume_can_be_stopped_too(forks: Forks, expected: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert forks.train(folder, kill=["batch", 4]).killed
    for point, words in (
        (["beginning is loaded", 1], "at once"),
        (["open metrics.jsonl", 1], "after step 3 and is saved"),
        (["batch", 2], "after step 5 and is saved"),
    ):
        answer = forks.resume(folder, signal=[*point, signal.SIGTERM])
        assert answer.exit_status == 143 and words in answer.error
    assert forks.resume(folder).exit_status == 0
    assert what_counts(folder) == expected
