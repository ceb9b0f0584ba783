from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.readers import read_table
from recurra.data.readers.lines import MOST_RATIO, RATIO_FREE_BYTES
from recurra.errors import DataError, SettingsError

# a lone \r is left out: Python 3.11 writes it without quotes, as the end of a row
CHARACTER = st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])
FIELD = st.lists(CHARACTER | st.sampled_from(["\r\n", "\n", '"', ","]), max_size=8).map("".join)

FIELD_LIMIT = 131_072  # the csv module's own


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@given(rows=st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=6), ends=st.sampled_from(["\n", "\r\n"]))
def test_what_the_csv_module_writes_reads_back(
    rows: list[tuple[str, str]], ends: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ends).writerows([("text", "label"), *rows])
    path = write(tmp_path_factory.getbasetemp(), "any.csv", text.getvalue())
    table = read_table(path)
    assert list(zip(table.column("text"), table.column("label"), strict=True)) == rows


def test_rows_know_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"two\nlines",x\n\nlast,y\n')
    table = read_table(path)
    assert table.column("text") == ["two\nlines", "last"]
    assert table.lines == [2, 5]


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", "x,1\ny,2\n"), header=False)
    assert table.columns == {"1": ["x", "y"], "2": ["1", "2"]}
    assert table.lines == [1, 2]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert list(read_table(write(tmp_path, "a.csv", b"\xef\xbb\xbftext\nx\n")).columns) == ["text"]


def test_another_delimiter_and_encoding(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text;label\ncafé;1\n".encode("latin-1"))
    assert read_table(path, delimiter=";", encoding="latin-1").column("text") == ["café"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"])
@pytest.mark.parametrize(("delimiter", "name"), [(";", "a.csv"), ("|", "a.csv"), ("\t", "a.csv"), ("", "a.tsv")])
def test_every_usual_encoding_and_delimiter_reads_the_same(
    tmp_path: Path, encoding: str, delimiter: str, name: str
) -> None:
    content = "text|label\r\ncaf\u00e9, na\u00efve|1\r\nfine|0\r\n".replace("|", delimiter or "\t")
    path = write(tmp_path, name, content.encode(encoding))
    found = read_table(path, delimiter=delimiter, encoding=encoding)
    assert found.columns == {"text": ["caf\u00e9, na\u00efve", "fine"], "label": ["1", "0"]}
    assert found.lines == [2, 3]


def test_curly_quotes_of_cp1252_are_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"text\n\x93so\x94\n")
    assert read_table(path, encoding="cp1252").column("text") == ["\u201cso\u201d"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text;label\na;1\nb;0\n", "line 1: has the one column 'text;label'; did you mean --delimiter ';'"),
        ("text|label\na|1\n", "did you mean --delimiter '\\|'"),
        ("text\tlabel\na\t1\n", r"did you mean --delimiter \$'\\t', or a name that ends in \.tsv"),
        ("text;label\n1,5;1\n", "line 2: has 2 fields where the header has 1; did you mean --delimiter ';'"),
        ('"text";"label"\n"a";"1"\n', "line 1: a field goes on .*, or give the file's own delimiter"),
    ],
)
def test_a_wrong_delimiter_is_said(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_table(write(tmp_path, "a.csv", content))


def test_commas_under_a_name_in_tsv_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean --delimiter ','"):
        read_table(write(tmp_path, "a.tsv", "text,label\na,1\n"))


@pytest.mark.parametrize("content", ["so; and so\na\nb;c\n", "text\na;b\nc;d\n", "a;b,c\n1;2,3\n"])
def test_a_semicolon_may_be_part_of_a_name_or_a_text(tmp_path: Path, content: str) -> None:
    assert len(read_table(write(tmp_path, "a.csv", content)).columns) == content.partition("\n")[0].count(",") + 1


def test_a_nameless_index_column_is_called_by_its_number(tmp_path: Path) -> None:
    assert list(read_table(write(tmp_path, "a.csv", ",text\n0,x\n")).columns) == ["1", "text"]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('"Look," she said.', '"Look," she said.'),
        ('5" wide', '5" wide'),
        ('"', '"'),
        ('"Says who?" "Says me."', '"Says who?" "Says me."'),
        ('"whole"', "whole"),
        ('"with ""quotes"" inside"', 'with "quotes" inside'),
    ],
)
def test_in_tsv_a_quote_is_a_character_unless_the_field_is_wholly_quoted(
    tmp_path: Path, field: str, expected: str
) -> None:
    table = read_table(write(tmp_path, "a.tsv", f"text\tlabel\n{field}\t1\nnext\t0\n"))
    assert table.column("text") == [expected, "next"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n1,2,3\n", r"line 3: has 3 fields where the header has 2; .*in quotes"),
        ("a,b\n1\n", r"line 2: has 1 field where the header has 2"),
        ('a,b\n1,2\n"open,2\n3,4\n', r"line 3: a quote opens .* never closed"),
        ('a,b\n"x"y,2\n', r"line 2: .*after its closing quote; double the quotes"),
        ("a,b\n1,\0\n", r"line 2: holds a NUL byte"),
        ("a,a\n1,2\n", r"line 1, column 'a': is named twice"),
        ("a,b\n", r"has a header and no rows"),
        ("\n\n", r"is empty"),
        ("", r"is empty"),
        (b"a,b\nfine,1\r\nb\xe9te,2\n", r"line 3: byte 0xe9 is not utf-8 text; .*latin-1"),
        (b"a\n" + b"x\n" * 100_000 + b"\xff\n", r"line 100002: byte 0xff"),
        ("a,b\nc,d\n".encode("utf-16"), r"line 1: byte 0xff .*utf-16"),
        ("a\n" + "x" * (2**24 + 1) + "\n", r"line 2: a field is longer than"),
    ],
)
def test_a_faulty_csv_is_refused_with_its_line(tmp_path: Path, content: bytes | str, words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv.*{words}"):
        read_table(write(tmp_path, "a.csv", content))


def test_a_long_document_is_read_and_the_limit_of_the_csv_module_stays(tmp_path: Path) -> None:
    csv.field_size_limit(FIELD_LIMIT)
    path = write(tmp_path, "a.csv", "text\n" + "x" * 1_000_000 + "\n")
    assert len(read_table(path).column("text")[0]) == 1_000_000
    with pytest.raises(DataError):
        read_table(write(tmp_path, "b.csv", 'text\n"open'))
    assert csv.field_size_limit() == FIELD_LIMIT


def test_gzip_reads_like_the_plain_file(tmp_path: Path) -> None:
    plain = write(tmp_path, "a.csv", "text\nx\ny\n")
    packed = write(tmp_path, "a.csv.gz", gzip.compress(b"text\nx\ny\n"))
    assert read_table(packed).columns == read_table(plain).columns


def test_a_gzip_bomb_is_refused_before_any_of_it_is_kept(tmp_path: Path) -> None:
    import tracemalloc

    bomb = write(tmp_path, "bomb.csv.gz", gzip.compress(b"a\n" * (RATIO_FREE_BYTES // 2 + 1000), 6))
    assert bomb.stat().st_size * MOST_RATIO < RATIO_FREE_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="inflate to more than"):
            read_table(bomb)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("damage", [lambda b: b[:-12], lambda b: b"no gzip at all", lambda b: b[:-8] + bytes(8)])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, damage: object) -> None:
    whole = gzip.compress(b"text\n" + b"hello\n" * 50)
    with pytest.raises(DataError, match="not a whole gzip file"):
        read_table(write(tmp_path, "a.csv.gz", damage(whole)))  # type: ignore[operator]


@pytest.mark.parametrize("delimiter", ['"', "\n", "ab"])
def test_a_delimiter_that_cannot_be_one_is_refused(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(SettingsError, match="delimiter"):
        read_table(write(tmp_path, "a.csv", "a\nb\n"), delimiter=delimiter)


@pytest.mark.parametrize("encoding", ["utf8x", "base64", "a\0b"])
def test_an_unknown_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(SettingsError, match="encoding"):
        read_table(write(tmp_path, "a.csv", "a\nb\n"), encoding=encoding)


def test_a_hundred_thousand_columns_are_read(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(100_000))
    values = ",".join("1" for _ in range(100_000))
    assert len(read_table(write(tmp_path, "a.csv", f"{names}\n{values}\n")).columns) == 100_000


def test_sst2_and_banking77_read_whole(shared_data: Path) -> None:
    sst2 = read_table(shared_data / "sst2" / "train.tsv", header=False)
    assert len(sst2) == 6920
    assert sorted(set(sst2.column("2"))) == ["0", "1"]
    banking = read_table(shared_data / "banking77" / "train.csv")
    assert len(banking) == 10003
    assert len(set(banking.column("category"))) == 77
