"""The inputs that `recurra predict` reads: a file, or standard input as it comes."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from recurra.errors import DataError, SettingsError

if TYPE_CHECKING:
    from recurra.run import Run

FormatName = Literal["text", "jsonl", "csv", "tsv", "parquet", "npz", "conllu", "conll"]

STANDARD_INPUT = Path("-")
PIPE_BYTES = 65536  # what one read of a pipe gives at most
LINE_FORMATS: dict[str, FormatName] = {".txt": "text", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def batches_of_rows(run: Run, file: Path, format: FormatName | None) -> Iterator[Iterable[Any]]:
    """The inputs, as many together as are there at once; a row that cannot be read is an error in its place.

    Args:
        run: whose model reads them.
        file: any format that the task trains on, or `-`.
        format: None: by the file's name; on standard input one text a line, or one JSON value for other runs.

    Raises:
        DataError: the file cannot be read at all.
        SettingsError: lines of text for a run that reads numbers.
    """
    if format is None:
        format = _usual(run) if file == STANDARD_INPUT else _by_name(file)
    if format == "text" and _usual(run) != "text":
        raise SettingsError("--from text: the run reads numbers; give one JSON value a line, with --from jsonl")
    if format not in ("text", "jsonl") or run.needs_whole_input:
        yield _whole_input(run, format) if file == STANDARD_INPUT else run.inputs_of(file, format)
        return
    count = 0
    for lines in _arriving_lines(sys.stdin.buffer) if file == STANDARD_INPUT else [_lines_of_file(run, file)]:
        yield lines if format == "text" else _values(run, lines, str(file), count)
        count += len(lines) if isinstance(lines, list) else 0


def _usual(run: Run) -> FormatName:
    """What a line of standard input is to a run."""
    return "text" if run.reads_text else "jsonl"


def _by_name(file: Path) -> FormatName | None:
    ending = (Path(file.stem) if file.suffix.lower() == ".gz" else file).suffix.lower()
    return LINE_FORMATS.get(ending)


def _arriving_lines(stream: BinaryIO) -> Iterator[list[str]]:
    """Lines without their end, cut at newlines only, as soon as they arrive: whoever waits for an answer gets it."""
    if stream.isatty():
        print("recurra: reading one input a line from the keyboard; Ctrl-D ends", file=sys.stderr)
    unfinished: list[bytes] = []
    while chunk := stream.read1(PIPE_BYTES):  # type: ignore[attr-defined]
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            unfinished.append(chunk)
            continue
        lines = b"".join([*unfinished, head]).split(b"\n")
        unfinished = [tail]
        yield [_text(line) for line in lines]
    if last := b"".join(unfinished):
        yield [_text(last)]


def _text(line: bytes) -> str:
    """A line as text; bytes that are not UTF-8 become lone surrogates, symbols that no model has seen."""
    return line.removesuffix(b"\r").decode("utf-8", "surrogateescape")


def _lines_of_file(run: Run, file: Path) -> Iterator[str]:
    from recurra.data.readers.lines import read_lines
    from recurra.data.readers.options import ReadOptions

    for line in read_lines(file, ReadOptions(encoding=run.settings.data.encoding)):
        yield line.rstrip("\r\n")


def _values(run: Run, lines: Iterable[str], source: str, before: int) -> Iterator[Any]:
    """Each line's input: the value itself, or from an object the run's input column."""
    from recurra.data.readers.jsonl import parse_line

    source = "standard input" if source == "-" else source
    for number, line in enumerate(lines, before + 1):
        try:
            yield run.input_of(parse_line(line, source, number), source, number)
        except DataError as error:
            yield error


def _whole_input(run: Run, format: FormatName | None) -> list[Any]:
    """Standard input in a format that is read as a whole file, through a file that vanishes."""
    with tempfile.NamedTemporaryFile(prefix="recurra-", suffix=f".{format}") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        try:
            return run.inputs_of(Path(copy.name), format)
        except DataError as error:
            raise DataError(error.message, "standard input", error.line, error.column) from error
