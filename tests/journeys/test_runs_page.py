"""docs/runs.md: its commands and its listing run as they stand, in order, and every option it names exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "runs.md"
RECURRA = (
    "recurra() { " + sys.executable + " -c 'import sys; from recurra.cli.main import main; sys.exit(main())' \"$@\"; }"
)
OTHERS = {
    "config", "schema", "dry-run", "resume", "out", "sort", "task", "name", "csv", "json", "logdir",
}  # fmt: skip


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_commands_of_the_page_run_in_order(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    script = "\n".join(["set -e", RECURRA, *blocks("sh")])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"lstm", "gru", "mine", "tracked"}
    assert "expected_seconds: " in done.stdout
    assert re.search(r"^runs/gru +classify +gru +accuracy .* finished$", done.stdout, re.MULTILINE)
    assert json.loads((tmp_path / "settings.schema.json").read_text())["title"] == "Settings of recurra train classify"
    assert (tmp_path / "runs/tracked/tensorboard").is_dir()
    named = set(re.findall(r"^\| `([a-z]+\.[a-z]+)`", PAGE.read_text(), re.MULTILINE)) | {"README.md", "plots"}
    assert named - {"tokenizer.json"} <= {path.name for path in (tmp_path / "runs/lstm").iterdir()}


def test_the_listing_of_the_page_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python"))], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"first", "again"}


def test_every_option_that_the_page_names_exists() -> None:
    from recurra.settings.options import options

    named = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", PAGE.read_text(encoding="utf-8")))
    assert named <= {name.replace("_", "-") for name in options("classify")} | OTHERS
