"""What runs in the other process: `python -m recurra.certification.elsewhere RUN FOLDER OPTIONS`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from recurra.certification.another_process import LARGEST, state_from
from recurra.certification.model import model_subject
from recurra.certification.rows import given_to
from recurra.files import read_bounded, write_whole
from recurra.laws.subject import time_slice
from recurra.laws.trees import tree_leaves
from recurra.run import load_run


def go_on(path: Path, folder: Path, device: str, threads: int) -> None:
    """The work of the process: load the run, predict its inputs, and go on with every row from its stored state."""
    torch.set_num_threads(threads)
    run = load_run(path, device)
    given = given_to(run)
    subject = model_subject(run.model)
    states = safetensors.torch.load(read_bounded(folder / "given.safetensors", LARGEST))
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for row in sorted({int(name.partition(".")[0]) for name in states}):
            values = given.rows[row]
            steps = _steps(values)
            _, like = subject.run(time_slice(values, 0, 1))
            outputs, end = subject.run(time_slice(values, steps // 2, steps), None, state_from(states, f"{row}.", like))
            found[f"{row}.outputs"] = outputs.cpu().contiguous()
            for number, leaf in enumerate(tree_leaves(end)):
                found[f"{row}.{number}"] = leaf.cpu().clone().contiguous()
    write_whole(folder / "found.safetensors", safetensors.torch.save(found))
    write_whole(folder / "answers.json", json.dumps(list(run.predict_rows(given.inputs))))


def _steps(values: Any) -> int:
    return int((values if isinstance(values, Tensor) else values[0]).shape[1])


if __name__ == "__main__":
    go_on(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3]))
