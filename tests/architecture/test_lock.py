"""requirements.lock: every package by its exact version, from any index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))


def test_every_line_is_a_name_and_an_exact_version() -> None:
    for name, version in locked().items():
        assert re.fullmatch(r"[a-z0-9._-]+", name), name
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), (name, version)  # no +cpu, no URL, no hash


def test_every_dependency_is_locked() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    names = {re.split(r"[<>=]", requirement)[0] for requirement in wanted}
    assert names <= set(locked())
