"""The demonstration, through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
