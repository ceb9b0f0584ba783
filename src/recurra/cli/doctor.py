"""`recurra doctor`: versions, devices, engines, and what is missing."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import facts, print_json, print_text


def doctor(*, json: Annotated[bool, Parameter(help="Print one JSON object.", negative="")] = False) -> None:
    """Show versions, devices, which engines are usable here, and which libraries are missing."""
    from recurra.doctor import report

    content = report()
    if json:
        print_json(content)
    else:
        print_text(facts(content))
