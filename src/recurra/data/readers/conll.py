"""CoNLL-U and CoNLL: a word a line, a blank line after each sentence; columns of lists, a row a sentence.

CoNLL-U is counted as Universal Dependencies counts it: words are the lines with whole IDs; multiword tokens (`1-2`) and
empty nodes (`8.1`) are checked and left out, comments passed over. CoNLL has columns by position: the first is called
`token`, the last `tag`, those between by their number, unless the first line names them (`# global.columns = …`, as in
CoNLL-U Plus). A sentence that no blank line closes is refused in both: a file that was cut looks the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from recurra.data.readers.lines import read_lines
from recurra.data.readers.options import ReadOptions
from recurra.data.table import Table, check_not_empty
from recurra.errors import DataError

CONLLU_COLUMNS = ("form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")  # after the ID
MAY_BE_UNSPECIFIED = ("upos", "xpos", "head", "deprel")  # `_` is None here, and elsewhere a value
TOKEN, TAG = "token", "tag"
DOCUMENT_START = "-DOCSTART-"  # the word that stands alone between the documents of CoNLL-2003

_COMMENT = re.compile(r"#\s*[\w.:]+\s*=\s")  # in CoNLL, where # may be a word too
_COLUMN_NAMES = re.compile(r"#\s*global\.columns\s*=\s*(.*\S)")
_ID = re.compile(r"([1-9]\d{0,8})(?:-([1-9]\d{0,8}))?|(\d{1,9})\.([1-9]\d{0,8})", re.ASCII)

Line = tuple[int, list[str]]
"""The number of a line, and its fields."""


def read_conllu(path: Path, options: ReadOptions) -> Table:
    """A CoNLL-U file: the columns form, lemma, upos, xpos, feats, head, deprel, deps and misc, of lists a sentence.

    Raises:
        DataError: a column is missing or empty, an ID is out of order, or a sentence is not closed; with the line.
    """
    columns: dict[str, list[list[str | None]]] = {name: [] for name in CONLLU_COLUMNS}
    lines: list[int] = []
    shared: dict[str, str] = {}  # a file has millions of words, and few different ones
    for sentence in _sentences(path, options, words_may_be_marked=False):
        words = [_conllu_fields(line, path) for line in sentence]
        words = [fields for fields, whole in zip(words, _whole_words(words, sentence, path), strict=True) if whole]
        for at, name in enumerate(CONLLU_COLUMNS, 1):
            nothing = "_" if name in MAY_BE_UNSPECIFIED else ""
            columns[name].append(
                [None if fields[at] == nothing else shared.setdefault(fields[at], fields[at]) for fields in words]
            )
        lines.append(sentence[0][0])
    check_not_empty(len(lines), path, "has no sentence")
    return Table(str(path), dict(columns), lines)


def read_conll(path: Path, options: ReadOptions) -> Table:
    """A CoNLL file, its columns between tabs or blanks: of lists a sentence.

    Raises:
        DataError: a line has another number of columns than the first, or a sentence is not closed; with the line.
    """
    named = _COLUMN_NAMES.match(next(read_lines(path, options), ""))
    names = named[1].split() if named else []
    first = 1
    columns: dict[str, list[list[str]]] = {}
    lines: list[int] = []
    shared: dict[str, str] = {}
    for sentence in _sentences(path, options, words_may_be_marked=True):
        if not names:
            first, fields = sentence[0]
            names = _names_by_position(len(fields))
        for line, fields in sentence:
            if len(fields) != len(names):
                raise DataError(
                    f"has {_columns(len(fields))}, and line {first} has {len(names)}; is one missing, or do blanks "
                    "stand where others have tabs?",
                    path,
                    line,
                )
            if "" in fields:
                raise _empty(names[fields.index("")], path, line)
        if len(sentence) == 1 and sentence[0][1][0] == DOCUMENT_START:
            continue
        for at, name in enumerate(names):
            columns.setdefault(name, []).append([shared.setdefault(one[at], one[at]) for _, one in sentence])
        lines.append(sentence[0][0])
    check_not_empty(len(lines), path, "has no sentence")
    return Table(str(path), dict(columns), lines)


def _sentences(path: Path, options: ReadOptions, *, words_may_be_marked: bool) -> Iterator[list[Line]]:
    """The lines of each sentence; comments stand before it.

    Args:
        words_may_be_marked: whether a line that begins with # is a word, unless it looks like `# name = value`.
    """
    sentence: list[Line] = []
    for number, text in enumerate(read_lines(path, options), 1):
        if text.isspace():
            if sentence:
                yield sentence
            sentence = []
        elif _COMMENT.match(text) if words_may_be_marked else text.startswith("#"):
            if sentence:
                raise DataError(
                    f"a comment stands inside the sentence that begins in line {sentence[0][0]}; "
                    "close the sentence with a blank line before it",
                    path,
                    number,
                )
        else:
            content = text.rstrip("\r\n")
            marked = words_may_be_marked and "\t" not in content
            sentence.append((number, content.split() if marked else content.split("\t")))
    if sentence:
        raise DataError(
            f"the file ends inside the sentence that begins in line {sentence[0][0]}: no blank line closes it; "
            "was the file cut? if not, add a blank line",
            path,
            sentence[-1][0],
        )


def _conllu_fields(line: Line, path: Path) -> list[str]:
    """The ten fields of a line.

    Raises:
        DataError: there are more or fewer, or one is empty.
    """
    number, fields = line
    count = len(CONLLU_COLUMNS) + 1
    if len(fields) != count:
        blanks = len(fields) == 1 and len(fields[0].split()) > 1
        mend = "CoNLL-U needs tabs between them, not blanks" if blanks else "is one missing?"
        raise DataError(f"has {_columns(len(fields))} between tabs, and CoNLL-U has {count}; {mend}", path, number)
    if "" in fields:
        raise _empty(("id", *CONLLU_COLUMNS)[fields.index("")], path, number)
    return fields


def _whole_words(words: list[list[str]], sentence: list[Line], path: Path) -> list[bool]:
    """Of each line, whether it is a word: no multiword token and no empty node.

    Raises:
        DataError: IDs are not 1, 2, … with ranges before their words and empty nodes after theirs.
    """
    found: list[bool] = []
    last, until, empty = 0, 0, 0  # the last word, the end of the last multiword token, empty nodes after the last word
    for fields, (line, _) in zip(words, sentence, strict=True):
        given = _ID.fullmatch(fields[0])
        if given is None:
            raise DataError(f"the ID {_shown(fields[0])} is none of 3, 3-4 and 3.1", path, line)
        word, end, after, nth = (int(part) if part else None for part in given.groups())
        if word == 1 and last and end is None:
            raise DataError(
                f"the ID is 1 inside the sentence that begins in line {sentence[0][0]}; "
                "close that sentence with a blank line before it",
                path,
                line,
            )
        if end is not None:
            right = word == last + 1 and end > last + 1 and until <= last
            until = end
        elif word is not None:
            right = word == last + 1
            last, empty = word, 0
        else:
            right = after == last and nth == empty + 1
            empty += 1
        if not right:
            expected = f"{last + 1}" if end is not None or word is None else f"{sum(found) + 1}"
            raise DataError(f"the ID {fields[0]} is out of order; {expected} is expected next", path, line)
        found.append(word is not None and end is None)
    if last == 0 or until > last:
        missing = until if last else 1
        raise DataError(f"the sentence ends before the word {missing}; is a line missing?", path, sentence[-1][0])
    return found


def _empty(name: str, path: Path, line: int) -> DataError:
    return DataError(f"the column {name!r} is empty; fill it, with _ for nothing", path, line)


def _names_by_position(count: int) -> list[str]:
    return [TOKEN, *map(str, range(2, count)), TAG][:count]


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
