"""What an experiment comes to, before anything is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recurra.report.lines import Panel
from recurra.report.page import Headline, Table

Tell = Callable[[str], None]
"""Told now and then how far an experiment is."""


@dataclass(frozen=True)
class Drawing:
    """A picture of lines: the name of its file, its title, what it shows in words, and the panels."""

    name: str
    title: str
    alt: str
    caption: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Finding:
    """title: of the page. sentence: what was seen, made from the measurement. numbers: for result.json."""

    title: str
    sentence: str
    headline: Headline
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    numbers: Mapping[str, Any]


def silent(_: str) -> None:
    """Nothing is said."""


def finite(value: Any) -> Any:
    """The same for JSON: NaN and infinity, which are no JSON, become None."""
    if isinstance(value, Mapping):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
