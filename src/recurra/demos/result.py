"""What a demonstration comes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recurra.report.page import Table


@dataclass(frozen=True)
class DemoResult:
    """tables to print, sample lines, and the path of the report"""

    tables: tuple[Table, ...]
    samples: tuple[str, ...]
    report: Path
