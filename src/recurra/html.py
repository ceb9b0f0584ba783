"""Small tables for notebooks: HTML in which every text is text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MOST_CHARACTERS = 200  # of a cell


def html_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a caption; floats with four digits after the point, None an empty cell."""
    head = "".join(f"<th>{_text(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{_text(_shown(value))}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><caption>{_text(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _text(text: str) -> str:
    """Escaped and cut; a lone surrogate, which no page can hold, becomes a question mark."""
    cut = text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
    return escape(cut.encode("utf-8", "replace").decode("utf-8"))


def html_shares(title: str, columns: Sequence[str], rows: Sequence[str], shares: Sequence[Sequence[float]]) -> str:
    """A table whose cells are the darker the larger their share; the number is shown where the mouse rests.

    Args:
        shares: in [0, 1], a list for each row.
    """
    head = "".join(f"<th>{_text(name)}</th>" for name in ("", *columns))
    body = "".join(
        f"<tr><th>{_text(name)}</th>{''.join(map(_share, values))}</tr>"
        for name, values in zip(rows, shares, strict=True)
    )
    return f"<table><caption>{_text(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _share(share: float) -> str:
    # the square root: what got a few per cent can be seen
    alpha = min(1.0, max(0.0, share)) ** 0.5 if share == share else 0.0
    return f'<td title="{share:.4f}" style="background:rgba(35,104,184,{alpha:.2f})"></td>'
