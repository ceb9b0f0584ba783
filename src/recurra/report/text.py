"""Users' text made fit to show: always valid UTF-8, free of control characters, and no longer than its place."""

from __future__ import annotations

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "…"
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def readable(text: str) -> str:
    """The text with white space as plain blanks, and U+FFFD for what cannot be written or shown.

    That is control characters (NUL among them), lone surrogates, and the directional overrides that would turn
    around the text beside them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_readable(character) for character in text)


def shorten(text: str, limit: int) -> str:
    """A readable text of at most `limit` characters: a longer one loses its middle to an ellipsis.

    Args:
        text: any text; a long one costs no more than its two ends.
        limit: most characters, at least 1.
    """
    if len(text) <= limit:
        return readable(text)
    tail = (limit - 1) // 2
    head = limit - 1 - tail
    return readable(text[:head]).rstrip() + ELLIPSIS + readable(text[len(text) - tail :]).lstrip()


def _readable(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    # format characters stay (joiners shape words and emoji), but not those that open or close a direction
    if category in ("Cc", "Cs") or unicodedata.bidirectional(character) in DIRECTIONS:
        return REPLACEMENT
    return character
