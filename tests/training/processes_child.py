"""What each of several processes does in tests: `torchrun … -m training.processes_child FOLDER [kill]`.

Every variant's and task's training, each process with a folder of its own name; the weights of each go to FOLDER.
Then one that the second process is told to stop, and that goes on. With `kill` the second one kills itself in
mid-training.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from safetensors.torch import save_file

from recurra.errors import Elsewhere
from recurra.training.processes import processes_here
from recurra.training.protocol import Interrupted, Trainable

from .ragged import TASKS, VARIANTS, train, train_task


def kill(folder: Path) -> None:
    processes = processes_here("cpu")

    def end(count: int) -> None:
        if count == 4 and processes.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    train("carried", folder, processes, end)


def main(folder: Path) -> None:
    processes = processes_here("cpu")
    for number, name in enumerate(VARIANTS):
        own = folder / f"{number}-process-{processes.rank}"
        ragged, result = train(name, own, processes)
        save(ragged, folder / f"{number}-{processes.rank}.safetensors")
        (folder / f"{number}-{processes.rank}.json").write_text(json.dumps(result.history))

    for name in TASKS:
        training, _ = train_task(name, folder / f"{name}-process-{processes.rank}", processes)
        save(training, folder / f"{name}-{processes.rank}.safetensors")

    _, result = train("one row", folder / f"timed-{processes.rank}", processes, max_time=0.3, max_steps=0)
    (folder / f"timed-{processes.rank}.txt").write_text(f"{result.stopped} {result.steps} {result.seconds}")

    def fail() -> int:
        raise ValueError("a fault of the first")

    try:
        processes.found(fail)
    except (ValueError, Elsewhere) as error:
        (folder / f"fault-{processes.rank}.txt").write_text(f"{type(error).__name__}: {error}")

    def stop(count: int) -> None:
        if count == 8 and processes.rank == 1:
            signal.raise_signal(signal.SIGHUP)

    try:
        train("carried", folder / "stopped", processes, stop)
    except Interrupted as error:
        (folder / f"stopped-{processes.rank}.txt").write_text(str(error))
    if processes.first:  # the other one waits for it
        shutil.copytree(folder / "stopped", folder / "left")
    ragged, _ = train("carried", folder / "stopped", processes, resume=True)
    save(ragged, folder / f"resumed-{processes.rank}.safetensors")


def save(training: Trainable, path: Path) -> None:
    carried = {f"carried {name}": one for name, one in training.carried().items()}
    save_file({**training.model.state_dict(), **carried}, path)


if __name__ == "__main__":
    kill(Path(sys.argv[1])) if "kill" in sys.argv else main(Path(sys.argv[1]))
