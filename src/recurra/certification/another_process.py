"""A run gone on with in a process of its own: it loads the folder and the states, and shares nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

import recurra
from recurra.certification.sessions import middle
from recurra.errors import NotStreamable, WorkError
from recurra.files import parse_json, read_bounded, write_whole
from recurra.laws.pairs import Answer, Case
from recurra.laws.subject import DoesNotApply, time_slice
from recurra.run import Run
from recurra.settings.names import CELLS
from recurra.state_file import load_state, save_state, weights_digest

ELSEWHERE = "recurra.certification.elsewhere"
LARGEST = 1 << 30  # bytes of what the process answers
SECONDS = 600  # after which it is taken to hang


class Elsewhere(NamedTuple):
    """What the process answered. predictions: of the run's inputs. rows: of each row gone on with, its answer.

    sessions: of each session gone on with, the numbers of its answer, by the place of its input.
    """

    predictions: list[dict[str, Any]]
    rows: dict[int, Answer]
    sessions: dict[int, list[float]]


class AnotherProcess:
    """What a process of its own answers, asked once.

    Args:
        run: loaded from its folder, which the process loads again.
        sessions: inputs that sessions read, by their place; the process takes each up in the middle.
    """

    def __init__(self, run: Run, sessions: dict[int, Any]) -> None:
        self.run, self.sessions = run, sessions
        self._found: Elsewhere | None = None
        self._fault: Exception | None = None

    def ask(self, case: Case) -> Elsewhere:
        """Its answers.

        Raises:
            DoesNotApply: the run has a cell of the caller's own.
            WorkError: it did not answer.
        """
        own = sorted({name.strip() for name in str(self.run.settings.model.cell).split(",")} - set(CELLS))
        if own:
            raise DoesNotApply(f"{own[0]} is a cell of the caller's own, and another process does not have its code")
        if self._found is None and self._fault is None:
            try:
                with tempfile.TemporaryDirectory(prefix="recurra-certify-") as folder:
                    self._found = self._asked(case, Path(folder))
            except Exception as error:  # kept: the next pair would only wait for the same
                self._fault = error
        if self._found is None:
            raise self._fault or WorkError("the process answered nothing")
        return self._found

    def _asked(self, case: Case, folder: Path) -> Elsewhere:
        weights = weights_digest(self.run.model)
        begun = dict(_begun(case))
        for row, answer in begun.items():
            save_state(folder / f"begin-{row}.safetensors", answer.state, weights=weights)
        for place, value in self.sessions.items():
            session = self.run.stream()
            session.push(value[: middle(value)])
            session.save(folder / f"session-{place}.safetensors")
        options = {
            "device": str(self.run.parts.device),
            "threads": torch.get_num_threads(),
            "rows": list(begun),
            "sessions": list(self.sessions),
        }
        write_whole(folder / "options.json", json.dumps(options))
        _start(self.run.path, folder)
        answers = parse_json(read_bounded(folder / "answers.json", LARGEST))
        rest = safetensors.torch.load(read_bounded(folder / "outputs.safetensors", LARGEST))
        rows = {}
        for row, answer in begun.items():
            end = load_state(folder / f"end-{row}.safetensors", like=answer.state, weights=weights)
            rows[row] = Answer(_joined(answer.outputs, rest[str(row)], case.per_step), end)
        sessions = {int(place): numbers for place, numbers in answers["sessions"].items()}
        return Elsewhere(answers["predictions"], rows, sessions)


def _start(path: Path, folder: Path) -> None:
    """Run the process to its end.

    Raises:
        WorkError: it failed; with its last words.
    """
    # -P: a file of the user's in the working directory may have the name of a library
    command = [sys.executable, "-P", "-m", ELSEWHERE, str(path.absolute()), str(folder)]
    place = str(Path(recurra.__file__).parents[1])
    search = os.pathsep.join([place, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, check=False, env=os.environ | {"PYTHONPATH": search}
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise WorkError(f"the process ended with status {done.returncode}: {last[0]}")


def _begun(case: Case) -> Iterator[tuple[int, Answer]]:
    """Each row of two steps or more after its first half; none where the model cannot go on from a state."""
    try:
        case.subject.check_streamable()
    except (DoesNotApply, NotStreamable):
        return
    for row in case.filled():
        if case.lengths[row] > 1:
            yield row, Answer(*case.subject.run(time_slice(case.row(row), 0, case.lengths[row] // 2)))


def _joined(first: Tensor, rest: Tensor, per_step: bool) -> Tensor:
    rest = rest.to(first.device)
    return torch.cat([first, rest], 1)[0] if per_step else rest[0]
