"""The pages of the course: every command, name and link in them is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from recurra.cli.main import app
from recurra.demos import DEMOS
from recurra.settings.names import TASKS, LabName

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "course").glob("*.md"))


def commands(text: str) -> list[list[str]]:
    """The words of every `recurra …` of a page."""
    return [found.split() for found in re.findall(r"`recurra ([^`]*)`", text)]


def test_there_are_three_pages_and_the_first_leads_to_the_others() -> None:
    assert [page.name for page in PAGES] == ["README.md", "listings.md", "what-is-so.md"]
    first = PAGES[0].read_text(encoding="utf-8")
    assert all(f"]({page.name})" in first for page in PAGES[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    known = {name for name in app if not name.startswith("-")}
    names = {
        "demo": set(DEMOS),
        "train": set(TASKS),
        "config": set(TASKS),
        "compare": set(TASKS),
        "lab": set(get_args(LabName)),
    }
    for command, *words in commands(page.read_text(encoding="utf-8")):
        assert command in known, command
        if words and command in names and re.fullmatch(r"[a-z-]+", words[0]) and not words[0].startswith("-"):
            assert words[0] in names[command], (command, words)


def test_the_table_of_topics_names_every_demo() -> None:
    named = {words[1] for words in commands(PAGES[0].read_text(encoding="utf-8")) if words[0] == "demo" and words[1:]}
    assert named == set(DEMOS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), (page.name, target)
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, (target, heading)
