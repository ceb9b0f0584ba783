"""A training in a process of its own, for tests that end it: `python -m training.child FOLDER HOW STEP`.

It ends itself with the signal of that name (KILL, INT, TERM) while it makes the batch of that step.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from recurra.training.protocol import Interrupted

from .tiny import Tiny, train


def main(folder: Path, how: str, step: int) -> int:
    def end(count: int) -> None:
        if count == step:
            os.kill(os.getpid(), getattr(signal, f"SIG{how}"))

    tiny = Tiny()
    tiny.before_batch = end
    try:
        train(tiny, folder)
    except Interrupted as error:
        print(error)
        return 128 + error.signal
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
