"""`recurra certify RUN`: whether every way of asking a run gives the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import print_json, print_text, table


def certify(
    run: Annotated[Path, Parameter(help="Run folder.")],
    /,
    *,
    json: Annotated[bool, Parameter(help="Print one JSON object.", negative="")] = False,
) -> int:
    """Compare one shot of a run with every other way to its answers; exit status 1 where one fails."""
    from recurra import api
    from recurra.laws.certificate import HEADER

    certificate = api.certify(api.load(run))
    if json:
        print_json(certificate.to_json())
        return int(not certificate.holds)
    print_text(table(HEADER, certificate.rows()))
    failing = ", ".join(pair.name for pair in certificate.failing)
    verdict = f"fails: {failing}" if failing else "holds: every way that applies gives the same answers"
    print_text(f"{verdict} ({certificate.dtype}, {certificate.device}, {certificate.seconds:.1f} seconds)")
    print_text(str(run / "certificate.json"))
    return int(not certificate.holds)
