"""What runs in the other process: `python -m recurra.certification.elsewhere RUN FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from recurra.certification.another_process import LARGEST
from recurra.certification.model import model_subject
from recurra.certification.numbers import numbers_of
from recurra.certification.rows import given_to
from recurra.certification.sessions import middle, together
from recurra.files import parse_json, read_bounded, write_whole
from recurra.laws.subject import time_slice
from recurra.run import load_run
from recurra.sequence import first_tensor
from recurra.state_file import load_state, save_state, weights_digest


def go_on(path: Path, folder: Path) -> None:
    """Load the run, predict its inputs, and go on with every row and every session from its stored state."""
    options = parse_json(read_bounded(folder / "options.json", LARGEST))
    torch.set_num_threads(options["threads"])
    run = load_run(path, options["device"])
    given = given_to(run)
    subject, weights = model_subject(run.model), weights_digest(run.model)
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for row in options["rows"]:
            values = given.rows[row]
            steps = int(first_tensor(values).shape[1])
            _, like = subject.run(time_slice(values, 0, 1))
            state = load_state(folder / f"begin-{row}.safetensors", like=like, weights=weights)
            outputs, end = subject.run(time_slice(values, steps // 2, steps), None, state)
            found[str(row)] = outputs.cpu().contiguous()
            save_state(folder / f"end-{row}.safetensors", end, weights=weights)
    sessions = {}
    for place in options["sessions"]:
        value = given.inputs[place]
        session = run.stream(folder / f"session-{place}.safetensors")
        sessions[place] = numbers_of(together(run, [session.push(value[middle(value) :])]))
    answers = {"predictions": list(run.predict_rows(given.inputs)), "sessions": sessions}
    write_whole(folder / "outputs.safetensors", safetensors.torch.save(found))
    write_whole(folder / "answers.json", json.dumps(answers))


if __name__ == "__main__":
    go_on(Path(sys.argv[1]), Path(sys.argv[2]))
