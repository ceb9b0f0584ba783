"""Lower case of a text that comes in pieces.

`str.lower` looks around at one letter only: Σ is ς where a word ends there and σ elsewhere (Unicode, Final_Sigma), so
what follows it decides. Such a letter waits until that is known.
"""

from __future__ import annotations

from typing import NamedTuple

SIGMA = "Σ"
FINAL = "ς"


class Lowered(NamedTuple):
    """text: in lower case; waiting: what stays until more has come; cased: whether a letter stands before it"""

    text: str
    waiting: str
    cased: bool


def lower_piece(piece: str, cased: bool) -> Lowered:
    """A piece in lower case, as `str.lower` has it in the whole text.

    Args:
        piece: what waited, and what has come.
        cased: whether a letter with case stands before it, signs inside words (such as an apostrophe) passed over.
    """
    if SIGMA not in piece:
        return Lowered(piece.lower(), "", ends_cased(piece, cased))
    known = piece
    while known and _passed_over(known[-1]):
        known = known[:-1]
    waiting = piece[len(known) - 1 :] if known.endswith(SIGMA) else ""
    before = "a" if cased else ""
    lowered = (before + piece).lower()[len(before) :]
    settled = piece[: len(piece) - len(waiting)]
    return Lowered(lowered[: len(lowered) - len(waiting.lower())], waiting, ends_cased(settled, cased))


def ends_cased(text: str, cased: bool) -> bool:
    """Whether a Σ after the text would be a final one: the last sign that is not passed over is a letter with case."""
    for character in reversed(text):
        if not _passed_over(character):
            return _final_after(character)
    return cased


def _final_after(before: str) -> bool:
    return (before + SIGMA).lower().endswith(FINAL)


def _passed_over(character: str) -> bool:
    """Whether Unicode's rule looks past the character (Case_Ignorable), told by what `str.lower` does around it."""
    return not _final_after(character) and _final_after("a" + character)
