from __future__ import annotations

import json
from pathlib import Path

import pytest

from recurra.data.readers import read_table
from recurra.data.table import Table
from recurra.errors import DataError


def read(folder: Path, content: str | bytes) -> Table:
    path = folder / "a.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path)


def test_objects_become_columns_and_a_missing_key_is_none(tmp_path: Path) -> None:
    table = read(tmp_path, '{"text": "x", "label": 1}\n\n{"text": "y\\ud800"}\n')
    assert table.columns == {"text": ["x", "y\ud800"], "label": [1, None]}
    assert table.lines == [1, 3]


def test_bare_values_become_the_column_input(tmp_path: Path) -> None:
    assert read(tmp_path, '"a text"\n[1, 2.5]\n').columns == {"input": ["a text", [1, 2.5]]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{'a': 1}", "is not JSON: .*character 2"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": ' + "9" * 5000 + "}", "thousands of digits"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "deeper than is read"),
        ('{"a": 1, "a": 2}', "key 'a' is given twice"),
        ("[1, 2]", "is a bare value, and line 1 is an object"),
        ('{"a": "\0"}', "NUL"),
        ('{"a": "cut', "is not JSON"),
    ],
)
def test_a_faulty_line_is_refused_with_its_number(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.jsonl, line 2: .*{words}"):
        read(tmp_path, '{"a": 0}\n' + line + "\n")


def test_an_undecodable_byte_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: byte 0xe9"):
        read(tmp_path, b'{"a": 0}\n{"a": "\xe9"}\n')


def test_lines_that_share_no_keys_do_not_fill_the_memory(tmp_path: Path) -> None:
    content = "\n".join(json.dumps({f"key{i}": 1}) for i in range(4000))
    with pytest.raises(DataError, match="share almost none"):
        read(tmp_path, content)
