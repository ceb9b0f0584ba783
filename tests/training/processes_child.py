"""What each of several processes does in tests: `torchrun … -m training.processes_child FOLDER`.

Every variant's training, each process with a folder of its own name; the weights of each go to FOLDER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import save_file

from recurra.training.processes import processes_here

from .ragged import VARIANTS, train


def main(folder: Path) -> None:
    processes = processes_here("cpu")
    for number, name in enumerate(VARIANTS):
        own = folder / f"{number}-process-{processes.rank}"
        ragged, result = train(name, own, processes)
        save_file(ragged.model.state_dict(), folder / f"{number}-{processes.rank}.safetensors")
        (folder / f"{number}-{processes.rank}.json").write_text(json.dumps(result.history))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
