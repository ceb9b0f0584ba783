"""The README and the pages of docs: every command and every listing runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md", "docs/recurrence.md", "docs/cells.md", "docs/classify.md", "docs/data.md", "docs/drop-ins.md",
    "docs/streaming.md", "docs/certificate.md", "docs/tag.md",
]  # fmt: skip
RECURRA = f"{sys.executable} -c 'import sys; from recurra.cli.main import main; sys.exit(main())'"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page, in order."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readmes_commands_and_listings_run_in_order(tmp_path: Path) -> None:
    commands = next(block for block in blocks("README.md", "sh") if "reviews.csv" in block)
    script = "set -e\n" + commands.replace(".venv/bin/recurra", RECURRA)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "check": False}
    done = subprocess.run(["bash", "-c", script], **run)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    assert '"label"' in done.stdout
    assert (tmp_path / "runs" / "reviews" / "report.html").exists()
    listing = "\n".join(blocks("README.md", "python"))
    done = subprocess.run([sys.executable, "-c", listing], **run)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES[1:])
def test_the_listings_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "listing"}  # a later listing goes on from the earlier ones
    for listing in blocks(page, "python"):
        exec(compile(listing, page, "exec"), names)


def test_a_cell_of_ones_own_is_twenty_lines() -> None:
    lines = [line for line in blocks("docs/cells.md", "python")[0].splitlines() if line.strip()]
    assert len(lines) <= 20, len(lines)


def test_the_table_of_cells_names_every_cell_and_counts_its_parameters() -> None:
    from recurra.cells import CELLS
    from recurra.engines import select_engine

    found = {}
    text = (ROOT / "docs/recurrence.md").read_text(encoding="utf-8")
    for names, formula, engine in re.findall(
        r"^\| (`[^|]*) \| [^|]* \| ([^|]*·I[^|]*) \| (\w+) \|$", text, re.MULTILINE
    ):
        value = eval(formula.replace("²", "**2").replace("·", "*"), {"I": 5, "H": 6, "P": 3})  # noqa: S307
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), (value, engine))
    assert set(found) == set(CELLS)
    for name, make in CELLS.items():
        cell = make(5, 6)
        assert found[name] == (sum(p.numel() for p in cell.parameters()), select_engine("auto", cell)), name


def test_every_option_that_a_page_names_exists() -> None:
    from recurra.settings.names import TASKS
    from recurra.settings.options import options

    settings = {name: option for task in TASKS for name, option in options(task).items()}
    known = {name.replace("_", "-") for name in settings} | {
        f"no-{name.replace('_', '-')}" for name, option in settings.items() if option.type is bool
    } | {
        "data", "out", "overwrite", "progress", "resume", "from", "json", "help", "no-header", "debug", "version",
    }  # fmt: skip
    for page in [*PAGES, "docs/course/README.md"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        named = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text))
        assert named <= known, f"{page}: {sorted(named - known)}"


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in [*PAGES, "docs/architecture.md", "docs/course/README.md", "CONTRIBUTING.md", "benchmarks/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (ROOT / page).parent.joinpath(target).exists(), f"{page} → {target}"
