"""The README and the pages of docs: every command and every listing runs as it stands."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.journeys.test_classify import recurra as call

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md", "docs/recurrence.md", "docs/cells.md", "docs/classify.md", "docs/data.md", "docs/drop-ins.md",
    "docs/streaming.md", "docs/certificate.md", "docs/tag.md",
    "docs/model.md", "docs/compare.md", "docs/lab.md", "docs/translate.md",
]  # fmt: skip
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
RECURRA = f"{sys.executable} -c 'import sys; from recurra.cli.main import main; sys.exit(main())'"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page, in order."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def run_commands(block: str, known: dict[str, str]) -> str:
    """What a block of commands prints. Those of recurra run in this process, where torch is there already.

    Args:
        block: lines for a shell; of pipes only `echo … | recurra …`.
        known: what commands print that have run here already; filled.
    """
    printed = ""
    others: list[str] = []
    block = block.replace(".venv/bin/recurra", "recurra").replace(" \\\n", " ")
    for line in [*block.splitlines(), "recurra --version"]:
        line = line.partition("  #")[0].rstrip()
        before, of, after = line.partition("recurra ")
        if not of or (before and not re.fullmatch(r"echo .* \| ", before)):
            others.append(line)
            continue
        if others:  # a loop takes several lines
            subprocess.run(["bash", "-e", "-c", "\n".join(others)], check=True)
            others = []
        if line not in known:
            answer = call(*shlex.split(after), stdin=" ".join(shlex.split(before)[1:-1]) + "\n")
            assert answer.status == 0, (line, answer.err)
            known[line] = answer.out
        printed += known[line]
    return printed


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder in which the README's commands on language models have run, and what each printed."""
    folder, printed = tmp_path_factory.mktemp("book"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_commands(next(block for block in blocks("README.md", "sh") if "book.txt" in block), printed)
    return folder, printed


def test_the_readmes_commands_and_listings_run_in_order(tmp_path: Path) -> None:
    commands = next(block for block in blocks("README.md", "sh") if "reviews.csv" in block)
    compared = next(block for block in blocks("README.md", "sh") if "recurra compare" in block).splitlines()[0]
    script = "set -e\n" + f"{commands}\n{compared}".replace(".venv/bin/recurra", RECURRA)
    run = {"cwd": tmp_path, "env": ENVIRONMENT, "capture_output": True, "text": True, "check": False}
    done = subprocess.run(["bash", "-c", script], **run)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    assert '"label"' in done.stdout
    assert (tmp_path / "runs" / "reviews" / "report.html").exists()
    assert (tmp_path / "runs" / "compared" / "compare.html").exists()
    listing = "\n".join(blocks("README.md", "python"))
    done = subprocess.run([sys.executable, "-c", listing], **run)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


def test_the_readmes_language_model_beats_the_n_grams_and_is_certified(book: tuple[Path, dict[str, str]]) -> None:
    printed = "".join(book[1].values())
    assert "does not beat" not in printed
    assert "Anna took her hat and her coat, and" in printed
    assert "holds: every way that applies gives the same answers" in printed


def test_the_readmes_story_outlives_a_kill(book: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(book[0])
    block = next(block for block in blocks("README.md", "sh") if "story.py" in block)
    written, calls = block.split(".venv/bin/python", 1)
    assert "kill -9 $!" in calls
    subprocess.run(["bash", "-e", "-c", written], check=True)
    story = Path("story.py").read_text().replace("< 1000", "< 150")
    Path("story.py").write_text(story)
    whole = subprocess.run([sys.executable, "story.py"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    state = load_file("story.safetensors")
    Path("story.safetensors").unlink()

    first = subprocess.Popen([sys.executable, "-u", "story.py"], env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert first.stdout is not None
    begun = first.stdout.read(40)
    first.send_signal(signal.SIGKILL)
    begun += first.stdout.read()
    assert first.wait() == -signal.SIGKILL
    second = subprocess.run([sys.executable, "story.py"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert 40 <= len(begun) < len(whole.stdout) == 150
    assert whole.stdout.startswith(begun.decode())
    assert whole.stdout.endswith(second.stdout)
    assert 0 <= 150 - len(begun) - len(second.stdout) <= 1  # one may be kept and not yet printed
    again = load_file("story.safetensors")
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)


def test_the_commands_of_the_page_on_language_models_run_in_order(
    book: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(book[0])
    page = "docs/model.md"
    printed = [run_commands(block, book[1]) for block in blocks(page, "sh")]
    assert len(book[1]) > 12  # some the README has too, and they are not run again
    assert "Anna took her hat and her coat, and" in printed[2]
    assert "Anna took her shoe" in printed[3]
    assert "hell → o" in printed[4]
    for listing in blocks(page, "python"):
        exec(compile(listing, page, "exec"), {"__name__": "listing"})


def test_the_commands_and_listings_of_the_page_on_translation_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = "docs/translate.md"
    french, answers, names = (run_commands(block, {}) for block in blocks(page, "sh"))
    assert re.search(r"^exact_match +1\.0000", french, re.MULTILINE)
    assert '"text": "nous avons un loup brun"' in french
    for answer, source in (("loup", "wolf"), ("brun", "brown")):
        assert re.search(rf"^{answer} +{source} +(1\.0|0\.9)", french, re.MULTILINE), french
    assert answers.count('"text"') == 257 and '"attention"' in answers and '"text"' in names
    known = {"__name__": "listing"}
    for listing in blocks(page, "python"):
        exec(compile(listing, page, "exec"), known)
    printed = capsys.readouterr().out
    assert "le bateau vert est ici (6, 6)" in printed
    assert re.search(r"\('bateau', 'boat', (1\.0|0\.9)", printed), printed
    assert "Before proceed any further hear speak" in printed and "ov'" in printed.splitlines()[-1]


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if page not in ("docs/model.md", "docs/translate.md")])
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
    from recurra.cli.generate import generate
    from recurra.settings.names import TASKS
    from recurra.settings.options import options

    settings = {name: option for task in TASKS for name, option in options(task).items()}
    switches = {f"no-{name.replace('_', '-')}" for name, option in settings.items() if option.type is bool}
    names = {*settings, *inspect.signature(generate).parameters}
    known = {name.replace("_", "-") for name in names} | switches | {
        "data", "out", "overwrite", "progress", "resume", "from", "json", "help", "debug", "version", "dry-run",
        "cells", "seeds",
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
