"""Ways to print: an aligned table, facts, JSON. Plain text, the same in a terminal, a file and a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_ENCODERS = {utf8: json.JSONEncoder(ensure_ascii=not utf8, allow_nan=False) for utf8 in (False, True)}


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns aligned by two spaces; numbers to the right, floats with four digits after the point, None left empty.

    metric    value
    accuracy  0.9000
    """
    rows = [list(row) for row in rows]
    cells = [list(header), *(["" if value is None else _cell(value) for value in row] for row in rows)]
    numeric = [
        bool(rows) and all(row[column] is None or isinstance(row[column], int | float) for row in rows)
        for column in range(len(header))
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    )


def facts(content: Mapping[str, Any], indent: str = "") -> str:
    """A nested object as indented lines: `name: value`, lists of values on one line, lists of objects as a table."""
    lines: list[str] = []
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{name}:", facts(value, indent + "  ")]
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            header = list(dict.fromkeys(key for item in value for key in item))
            rows = [[item.get(key, "") for key in header] for item in value]
            inner = table([str(key) for key in header], rows).splitlines()
            lines += [f"{indent}{name}:", *(f"{indent}  {line}" for line in inner)]
        elif isinstance(value, list | tuple):
            lines.append(f"{indent}{name}: {', '.join(_cell(item) for item in value) or 'none'}")
        else:
            lines.append(f"{indent}{name}: {_cell(value)}")
    return "\n".join(lines)


def print_text(text: str) -> None:
    """Print what may hold text from a user's file; what standard output cannot encode is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def print_json(content: Any) -> None:
    """Print one line of JSON: pure ASCII where standard output is not UTF-8; lone surrogates are escaped."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    line = _ENCODERS[utf8].encode(content)
    print(line.encode("utf-8", "backslashreplace").decode("utf-8"))  # "\ud800" is JSON for a lone surrogate


def _cell(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
