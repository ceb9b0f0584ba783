"""A live stream in a process of its own: `python -m streaming.child FOLDER [PIECE]`.

Each run of the folder reads its pieces and keeps its state after each; what it answers is written to the bit. Started
again, it goes on behind the last piece that was kept. With PIECE it is killed when it has read that piece of the run
"text" and not yet kept it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import recurra
from recurra.streaming import Session


def main(folder: Path, fatal: int | None) -> None:
    for name, pieces in json.loads((folder / "pieces.json").read_text()).items():
        state, log = folder / f"{name}.safetensors", folder / f"{name}.log"
        done = len(log.read_text().splitlines()) if log.exists() else 0
        session = recurra.load(folder / name).stream(state if done else None)
        for number, (call, piece) in enumerate(pieces[done:], done):
            answer = read(session, call, piece)
            if number == fatal and name == "text":
                os.kill(os.getpid(), signal.SIGKILL)
            session.save(state)
            with log.open("a") as file:
                file.write(f"{answer} {session.steps}\n")


def read(session: Session, call: str, piece: Any) -> str:
    answer = getattr(session, call)(bytes.fromhex(piece) if call == "push" and isinstance(piece, str) else piece)
    return ",".join(value.hex() for value in answer.probabilities.values())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
