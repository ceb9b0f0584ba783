"""A text as words and signs that can be joined again: what stood against the word before it says so.

    It's l'eau, no?  →  It' ￭s l' ￭eau ￭, no ￭?

The mark is OpenNMT's joiner (Klein et al., 2017). Blanks between words come back as one space each, and nothing else is
lost. Words are cut finer than for other tasks, behind an apostrophe and at hyphens and points: nothing hinges on where,
and the parts come again more often. Scripts written without spaces come out as whole stretches: use characters or BPE
for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from recurra.data.text import tokens_of

JOINER = "\uffed"
PART = re.compile(r"[^'’.,-]+['’]?|['’.,-]")


def words_of(text: str) -> list[str]:
    """The words of a text, each with the mark where no blank stands before it."""
    found: list[str] = []
    for stretch in text.split():
        first, *others = (part for token in tokens_of(stretch) for part in PART.findall(token))
        found.append(first)
        found += [JOINER + other for other in others]
    return found


def joined(words: Iterable[str]) -> str:
    """The text of words: a space before each that has no mark."""
    text = "".join(word[1:] if word.startswith(JOINER) and len(word) > 1 else f" {word}" for word in words)
    return text.removeprefix(" ")


def bare(word: str) -> str:
    """A word without the mark."""
    return word[1:] if word.startswith(JOINER) and len(word) > 1 else word
