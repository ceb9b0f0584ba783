"""`recurra demo [NAME]`: train and show a real example that needs no download."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import print_text, table
from recurra.settings.names import DemoName, Progress


def demo(
    name: Annotated[DemoName, Parameter(help="Which example.")] = "numbers",
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Folder to write. Default: runs/demo-NAME-DATE.")] = None,
    progress: Annotated[Progress, Parameter(help="How training shows itself, on standard error.")] = "auto",
) -> None:
    """Train on an example that needs no download, and show samples, metrics and a report."""
    from recurra import demos

    folder = out or Path("runs") / f"demo-{name}-{datetime.now():%Y%m%d-%H%M%S}"
    result = demos.run(name, folder, progress)
    for shown in result.tables:
        print_text(f"{shown.title}\n{table(shown.header, shown.rows)}\n")
    for sample in result.samples:
        print_text(str(sample))
    print()
    print_text(str(result.report))
