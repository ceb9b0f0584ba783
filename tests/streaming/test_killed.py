"""A stream killed at any moment and taken up in another process goes on bit-equal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recurra.tasks import ManyToOne
from recurra.tasks.streams import session_of

from . import child
from .tasks import numbers, run_folder, series_task, text_task

TEXT = "It's they'll ΑΣ' ΑΣ re-made, 1,0.5 x😀 你好。ok?! rest " * 2
SETTINGS: dict[str, Any] = {"hidden_size": 33, "num_layers": 2, "pooling": "last+mean+attention"}


def text_pieces() -> list[tuple[str, Any]]:
    """Pieces of bytes that cut words, merges and characters, as hexadecimal."""
    content, cuts = TEXT.encode(), [0, 3, 9, 15, 16, 17, 40, 55, 56, 57, 80, 200]
    return [("push", content[a:b].hex()) for a, b in pairwise(cuts)]


def series_pieces() -> list[tuple[str, Any]]:
    x = np.random.default_rng(3).normal(3, 2, (40, 2)).tolist()
    return [("step", x[0]), ("push", x[1:14]), ("step", x[14]), ("push", x[15:16]), ("push", x[16:])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("streams")
    run_folder(made / "series", series_task(cell="gru", **SETTINGS))
    run_folder(made / "text", text_task("bpe", cell="lstm", **SETTINGS))
    (made / "pieces.json").write_text(json.dumps({"series": series_pieces(), "text": text_pieces()}))
    return made


def stream(folder: Path, *more: str) -> int:
    """The exit status of a process that streams."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "streaming.child", str(folder), *more]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def test_a_stream_killed_and_taken_up_in_another_process_answers_to_the_bit(folder: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    killed = Path(shutil.copytree(folder, tmp_path / "killed"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    child.main(whole, None)
    torch.set_num_threads(threads)
    assert stream(killed, "5") == -signal.SIGKILL
    assert len((killed / "text.log").read_text().splitlines()) == 5
    assert stream(killed) == 0
    for name in ("series", "text"):
        answers = (whole / f"{name}.log").read_text()
        assert (killed / f"{name}.log").read_text() == answers
        assert len(set(answers.splitlines())) > 4
        kept, expected = (load_file(one / f"{name}.safetensors") for one in (killed, whole))
        assert kept.keys() == expected.keys() and all(torch.equal(kept[leaf], expected[leaf]) for leaf in kept)


@pytest.mark.parametrize("unit", ["word", "char", "bpe", None])
def test_a_stream_taken_up_after_any_piece_answers_to_the_bit(unit: str | None, tmp_path: Path) -> None:
    def task() -> ManyToOne:
        return text_task(unit, cell="lstm", **SETTINGS) if unit else series_task(cell="gru", zoneout=0.1, **SETTINGS)

    pieces = [bytes.fromhex(piece) for _, piece in text_pieces()] if unit else [p for _, p in series_pieces()]
    pieces = [[piece] if unit is None and not isinstance(piece[0], list) else piece for piece in pieces]
    session, taken_up = session_of(task()), session_of(task())
    for piece in pieces:
        taken_up.save(tmp_path / "s")
        taken_up = session_of(task(), tmp_path / "s")
        assert numbers(taken_up.push(piece)) == numbers(session.push(piece))
        assert numbers(taken_up.answer()) == numbers(session.answer())
    assert taken_up.steps == session.steps > 20
