"""What a plain text looks like to a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra.data.corpus.counting import Counter
from recurra.data.corpus.source import files_source
from recurra.data.readers.options import ReadOptions

SHOWN = 40  # characters of the first line


def describe_text(path: Path, encoding: str) -> dict[str, Any]:
    """Characters, bytes, words and lines, the different characters, and the problems found.

    Raises:
        DataError: it cannot be read as text; naming the line and the byte.
    """
    counter, different, begins = Counter(), set(""), ""
    for piece in files_source([path], ReadOptions(encoding=encoding), raw=False).pieces():
        assert isinstance(piece, str)  # raw pieces alone are bytes
        counter.add(piece)
        different |= set(piece)
        begins = begins or piece[:SHOWN].partition("\n")[0]
    problems = [] if len(different) > 1 else ["it holds fewer than two different characters: nothing can be predicted"]
    return {
        "kind": "plain text",
        **counter.counts._asdict(),
        "different_characters": len(different),
        "begins": begins,
        "problems": problems,
    }
