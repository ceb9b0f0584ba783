"""Two files of lines, plain or gzip: line n of one belongs to line n of the other."""

from __future__ import annotations

from pathlib import Path

from recurra.data.pairs.columns import SOURCE, TARGET
from recurra.data.readers import check_file
from recurra.data.readers.lines import read_lines
from recurra.data.readers.options import ReadOptions
from recurra.data.table import Table
from recurra.errors import DataError


def read_line_pairs(source: str | Path, target: str | Path, encoding: str = "utf-8") -> Table:
    """The pairs of two files, as a table with the columns source and target; the lines keep their blanks.

    A line ends at a newline (and a carriage return before it), and nowhere else: other signs that some programs take
    for line ends stand inside sentences of real corpora, and would shift one side against the other.

    Args:
        source, target: files of equal length.
        encoding: of both.

    Raises:
        DataError: a file cannot be read, is empty or is no text (with the line), or they differ in length.
    """
    source, target = Path(source), Path(target)
    for path in (source, target):
        check_file(path)
    if source.samefile(target):
        raise DataError(
            "is both source and target; name the file of the other side, or give a table with --data FILE and its "
            "columns with --source and --target",
            source,
        )
    options = ReadOptions(encoding=encoding)
    sources, targets = (
        [line.removesuffix("\n").removesuffix("\r") for line in read_lines(path, options, ends="\n")]
        for path in (source, target)
    )
    if len(sources) != len(targets):
        raise DataError(
            f"has {len(sources)} line(s), and {target} has {len(targets)}; line n of one must belong to line n of the "
            "other",
            source,
        )
    return Table(f"{source} and {target}", {SOURCE: sources, TARGET: targets}, list(range(1, len(sources) + 1)))
