"""Where a text is cut into training, validation and test: at a place, or the end of the line that lies across it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from recurra.data.corpus.source import Piece

LINE_REACH = 4096  # characters (bytes) behind a place in which the end of its line is looked for
REACH_SHARE = 0.1  # of the shortest stretch: no more than that is moved


def places(size: int, fractions: Sequence[float]) -> list[int]:
    """Where stretches at the end of a text begin.

    Args:
        size: characters or bytes of the text.
        fractions: of the stretches, in order; their sum is below 1.
    """
    left = [sum(fractions[i:]) for i in range(len(fractions))]
    return [size - round(size * share) for share in left]


def at_line_ends(pieces: Iterable[Piece], size: int, wanted: Sequence[int]) -> list[int]:
    """The wanted places, each moved to just behind the next newline where one is near.

    Args:
        pieces: the text.
        size: its characters or bytes.
        wanted: places, rising, above 0.
    """
    if not wanted:
        return []
    shortest = min(b - a for a, b in pairwise([0, *wanted, size]))
    reach = min(LINE_REACH, int(REACH_SHARE * shortest))
    # a place is at a line end already where a newline is the last symbol before it
    around = stretches(pieces, [edge for place in wanted for edge in (place - 1, place + reach)])
    found = ["" for _ in range(2 * len(wanted) + 1)]
    for number, piece in around:
        if number % 2:
            found[number] += piece if isinstance(piece, str) else piece.decode("latin-1")
    near = [text.find("\n") for text in found[1::2]]
    return [place + max(0, at) for place, at in zip(wanted, near, strict=True)]


def stretches(pieces: Iterable[Piece], cuts: Sequence[int]) -> Iterator[tuple[int, Piece]]:
    """The pieces of a text, cut at places, each with the number of the stretch it lies in.

    Args:
        pieces: the text.
        cuts: rising places.
    """
    number, position = 0, 0
    for piece in pieces:
        start = 0
        while number < len(cuts) and cuts[number] - position < len(piece):
            end = cuts[number] - position
            if end > start:
                yield number, piece[start:end]
            start, number = max(start, end), number + 1
        if start < len(piece):
            yield number, piece[start:]
        position += len(piece)
