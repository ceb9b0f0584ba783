"""A run gone on with in a process of its own: it loads the folder and the states, and shares nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

import recurra
from recurra.errors import WorkError
from recurra.files import parse_json, read_bounded, write_whole
from recurra.laws.pairs import Case
from recurra.laws.subject import DoesNotApply, time_slice
from recurra.laws.trees import Tree, map_tree, tree_leaves
from recurra.run import Run

ELSEWHERE = "recurra.certification.elsewhere"
LARGEST = 1 << 30  # bytes of what the process answers
SECONDS = 600  # after which it is taken to hang


class AnotherProcess:
    """What a process of its own answers, asked once.

    Args:
        run: loaded from its folder, which the process loads again.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._found: tuple[list[dict[str, Any]], dict[str, Tensor]] | None = None
        self._fault: Exception | None = None

    def predictions(self, case: Case) -> list[dict[str, Any]]:
        """Its predictions of the run's inputs."""
        return self._ask(case)[0]

    def continued(self, case: Case) -> Iterator[tuple[int, Tensor, Tree]]:
        """Of every row with two steps or more: which, its outputs whole, and its state at the end."""
        tensors = self._ask(case)[1]
        for row in _cut_rows(case):
            if f"{row}.outputs" not in tensors:
                raise DoesNotApply("the process went on with none")
            first, begun = _first_half(case, row)
            rest = tensors[f"{row}.outputs"].to(first.device)
            state = state_from(tensors, f"{row}.", begun)
            yield row, torch.cat([first, rest], 1)[0] if case.per_step else rest[0], state

    def _ask(self, case: Case) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        if self._found is None and self._fault is None:
            try:
                with tempfile.TemporaryDirectory(prefix="recurra-certify-") as folder:
                    self._found = self._asked(case, Path(folder))
            except Exception as error:  # kept: the next pair would only wait for the same
                self._fault = error
        if self._found is None:
            raise self._fault or WorkError("the process answered nothing")
        return self._found

    def _asked(self, case: Case, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        write_whole(folder / "given.safetensors", safetensors.torch.save(_states(case)))
        command = [sys.executable, "-P", "-m", ELSEWHERE, str(self.run.path.absolute()), str(folder)]
        options = json.dumps({"device": str(self.run.parts.device), "threads": torch.get_num_threads()})
        place = str(Path(recurra.__file__).parents[1])
        path = os.pathsep.join([place, *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [*command, options],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env=os.environ | {"PYTHONPATH": path},
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
            raise WorkError(f"the process ended with status {done.returncode}: {last[0]}")
        answers = parse_json(read_bounded(folder / "answers.json", LARGEST))
        return answers, safetensors.torch.load(read_bounded(folder / "found.safetensors", LARGEST))


def _states(case: Case) -> dict[str, Tensor]:
    """The state of each row after its first half, leaf by leaf; none where the model cannot go on from one."""
    try:
        case.subject.check_streamable()
    except DoesNotApply:
        return {}
    return {
        f"{row}.{number}": leaf.detach().cpu().clone().contiguous()
        for row in _cut_rows(case)
        for number, leaf in enumerate(tree_leaves(_first_half(case, row)[1]))
    }


def _cut_rows(case: Case) -> list[int]:
    return [row for row in case.filled() if case.lengths[row] > 1]


def _first_half(case: Case, row: int) -> tuple[Tensor, Tree]:
    outputs, state = case.subject.run(time_slice(case.row(row), 0, case.lengths[row] // 2))
    return outputs, state


def state_from(tensors: dict[str, Tensor], prefix: str, like: Tree) -> Tree:
    """A state from its leaves, which are named by a prefix and their number."""
    numbers = iter(range(len(list(tree_leaves(like)))))
    return map_tree(lambda leaf: tensors[f"{prefix}{next(numbers)}"].to(leaf.device), like)
