"""Trainings in forked children, and what they leave, compared with one that was never stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recurra

TIMES = ("seconds", "examples_per_second", "tokens_per_second", "training_seconds", "test_seconds", "peak_memory_bytes")


@dataclass
class Answer:
    """What became of a child: how it ended, and what it said."""

    status: int
    said: dict[str, Any]

    @property
    def killed(self) -> bool:
        """Whether it died by SIGKILL, at the point that was asked for."""
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL and "here" in self.said

    @property
    def exit_status(self) -> int:
        assert os.WIFEXITED(self.status), (self.status, self.said)
        return os.WEXITSTATUS(self.status)

    @property
    def error(self) -> str:
        return str(self.said.get("error", ""))


class Forks:
    """A process with one thread that forks a child for each training.

    Args:
        folder: of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tests = Path(__file__).parents[1]
        path = os.pathsep.join([str(tests), str(tests.parent / "src"), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.server"],
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.data = folder / "rows.csv"
        draw = random.Random(0)
        rows = [" ".join(draw.choices("abcdefgh", k=8)) for _ in range(60)]
        self.data.write_text("text,label\n" + "".join(f"{row},{'early' if row < 'd' else 'late'}\n" for row in rows))
        threads = self._ask(verb="train", folder=str(folder / "first"), settings=self.settings())["threads"]
        assert threads == 1

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Ten steps with noise, averaged weights, an evaluation every three steps, a checkpoint at each."""
        return {
            "data": str(self.data),
            "epochs": 2,
            "batch_size": 10,
            "hidden_size": 3,
            "embedding_size": 3,
            "word_dropout": 0.2,
            "average": 0.9,
            "evaluate_every": 3,
            "checkpoint_every": 0.0,
            "threads": 1,
        } | changes

    def train(self, folder: Path, **job: Any) -> Answer:
        """Train into a folder; `kill=[event, nth]` or `fault=[event, nth, kind]` say what happens on the way."""
        settings = self.settings(**job.pop("settings", {}))
        return self._answer(verb="train", folder=str(folder), settings=settings, **job)

    def resume(self, folder: Path, **job: Any) -> Answer:
        """Go on in a folder."""
        return self._answer(verb="resume", folder=str(folder), **job)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def predict(self, folder: Path, **job: Any) -> Answer:
        """Load a run and answer `inputs`."""
        return self._answer(verb="predict", folder=str(folder), **job)

    def train_at_once(self, folder: Path, copies: int) -> list[Answer]:
        """Several trainings of the same folder that start at the same instant."""
        return self._answers(verb="train", folder=str(folder), settings=self.settings(), copies=copies)

    def _answer(self, **job: Any) -> Answer:
        return self._answers(copies=1, **job)[0]

    def _answers(self, copies: int, **job: Any) -> list[Answer]:
        files = [self.folder / f"said{copy}" for copy in range(copies)]
        for file in files:
            file.unlink(missing_ok=True)
        asked = {"report": False, "said": str(self.folder / "said"), "copies": copies} | job
        texts = []
        statuses = self._ask(**asked)["statuses"]
        for file in files:
            texts.append(file.read_text() if file.exists() else "{}")
        said = [{"here": True} if text == "here" else json.loads(text) for text in texts]
        return [Answer(*one) for one in zip(statuses, said, strict=True)]

    def _ask(self, **job: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def what_counts(folder: Path) -> dict[str, Any]:
    """Everything of an ended run that a stop must not change: weights bit by bit, metric lines and result but times."""
    assert leftovers(folder) == []
    assert len(list((folder / "checkpoints").iterdir())) == 1
    recurra.load(folder)  # what the manifest binds is what is there
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "weights": (folder / "model.safetensors").read_bytes(),
        "features": (folder / "features.json").read_bytes(),
        "config": (folder / "config.toml").read_bytes(),
        "lines": [without_times(line) for line in lines],
        "result": without_times(json.loads((folder / "result.json").read_text())),
        "names": sorted(path.name for path in folder.iterdir()),
    }


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in TIMES and not name.endswith("_seconds")}


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))
