"""The demonstration, and a training that is stopped and goes on, through the real command line."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.numpy

PROGRAM = [sys.executable, "-c", "import sys; from recurra.cli.main import main; sys.exit(main())"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def recurra(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_the_digits_demo_reads_rows_as_well_as_pixels(tmp_path: Path) -> None:
    done = recurra("demo", "digits", "--out", tmp_path / "demo", "--progress", "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "demo" / "report.html")
    for name in ("lstm", "gru", "feedforward"):
        result = json.loads((tmp_path / "demo" / name / "result.json").read_text())
        assert result["accuracy"] > 0.9
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "http://" not in page


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_training_that_is_stopped_goes_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [" ".join(draw.choices("abcdefgh", k=30)) for _ in range(1500)]
    data = tmp_path / "rows.csv"
    data.write_text("text,label\n" + "".join(f"{row},{'early' if row < 'd' else 'late'}\n" for row in rows))
    options = ("--data", data, "--epochs", "6", "--hidden-size", "16", "--progress", "none")
    options += ("--checkpoint-every", "0.02", "--word-dropout", "0.1")
    whole = recurra("train", "classify", *options, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr

    command = [*PROGRAM, "train", "classify", *map(str, options), "--out", str(tmp_path / "cut")]
    child = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    checkpoints = tmp_path / "cut" / "checkpoints"
    deadline = time.monotonic() + 60
    while not list(checkpoints.glob("step-*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(getattr(signal, name))
    _, said = child.communicate(timeout=60)
    if name == "SIGINT":
        assert child.returncode == 130 and "recurra train --resume" in said
    assert not (tmp_path / "cut" / "manifest.json").exists()

    resumed = recurra("train", "--resume", tmp_path / "cut", "--progress", "none")
    assert resumed.returncode == 0, resumed.stderr
    one, other = (safetensors.numpy.load_file(tmp_path / folder / "model.safetensors") for folder in ("whole", "cut"))
    assert all((one[key] == other[key]).all() for key in one)
    lines = [
        [
            {key: value for key, value in json.loads(line).items() if "second" not in key}
            for line in (tmp_path / folder / "metrics.jsonl").read_text().splitlines()
        ]
        for folder in ("whole", "cut")
    ]
    assert lines[0] == lines[1] and len(lines[0]) == 6
