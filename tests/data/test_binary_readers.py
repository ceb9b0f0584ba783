from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recurra.data.readers import READERS, read_table, table_from_python
from recurra.errors import DataError, SettingsError
from recurra.files import sha256


def test_parquet_gives_python_values(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"text": ["x", None, "z"], "label": [1, 0, 1], "series": [[1.0, 2.0], [3.0], []]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.columns == columns
    assert table.lines == [1, 2, 3]


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), path)
    whole = path.read_bytes()
    for content in (b"PAR1 no parquet", whole[:-20], whole[:40] + bytes(200) + whole[240:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.parquet: is not a whole Parquet file"):
            read_table(path)


def test_a_parquet_file_that_claims_more_than_memory_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from recurra.data.readers import parquet

    rows = 2**20
    constant = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["x"]))
    pq.write_table(pa.table({"a": constant, "b": constant}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 2**14
    monkeypatch.setattr(parquet, "MOST_CELLS", 2 * rows - 1)
    with pytest.raises(DataError, match=rf"a\.parquet: claims {rows} rows of 2 columns"):
        read_table(tmp_path / "a.parquet")


def test_npz_arrays_are_columns_and_lengths_cut_rows_of_rank_three(tmp_path: Path) -> None:
    steps = np.arange(12.0).reshape(2, 3, 2)
    vectors = np.ones((2, 4))
    np.savez(tmp_path / "a.npz", x=steps, v=vectors, label=np.array(["p", "q"]), lengths=np.array([3, 1]))
    table = read_table(tmp_path / "a.npz")
    assert list(table.columns) == ["x", "v", "label"]
    assert [row.tolist() for row in table.column("x")] == [steps[0].tolist(), steps[1, :1].tolist()]
    assert table.column("v")[1].shape == (4,)
    assert table.column("label") == ["p", "q"]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((2, 3)), "y": np.zeros(3)}, "column 'y': has 3 rows, and 'x' has 2"),
        ({"x": np.array([[1], [1, 2]], dtype=object)}, "column 'x': holds Python objects.*never read"),
        ({"x": np.array(1.0)}, "column 'x': is a single value"),
        ({"x": np.zeros(2, complex)}, "column 'x': is of type complex128"),
        ({"x": np.zeros((0, 3))}, "has no rows"),
        ({"x": np.zeros((2, 3, 1)), "lengths": np.array([1, 4])}, "line 2, column 'lengths': is 4, outside 0 to 3"),
        ({"x": np.zeros((2, 3, 1)), "lengths": np.array([1.0, 2.0])}, "column 'lengths': is float64"),
        ({"x": np.zeros((2, 3)), "lengths": np.array([1, 2])}, "column 'lengths': there is no array of rank 3"),
    ],
)
def test_arrays_that_cannot_be_a_table_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"a\.npz, .*{words}|a\.npz: {words}"):
        read_table(tmp_path / "a.npz")


def npz_with_header(path: Path, header: bytes, body: bytes = b"") -> None:
    block = header + b" " * (-(len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(block).to_bytes(2, "little") + block + body)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8), }",
        b"{'descr': '<U536870912', 'fortran_order': False, 'shape': (2,), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        b"(" * 5000,
        b"__import__('os')",
    ],
)
def test_a_header_that_lies_is_refused_before_memory_is_taken(tmp_path: Path, header: bytes) -> None:
    npz_with_header(tmp_path / "a.npz", header, bytes(64))
    with pytest.raises(DataError, match=r"a\.npz, column 'x': (claims the shape|holds Python|has a header)"):
        read_table(tmp_path / "a.npz")


def test_an_npz_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_BZIP2) as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(4_000_000))
        archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(DataError, match="claim to inflate to"):
        read_table(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"no zip at all", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        read_table(tmp_path / "a.npz")


def test_every_flipped_byte_of_an_npz_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(6.0).reshape(2, 3))
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :])
        try:
            table = read_table(path)
        except DataError:
            continue
        assert [row.tolist() for row in next(iter(table.columns.values()))] == [[0, 1, 2], [3, 4, 5]]


def test_python_columns_rows_and_lists_become_tables() -> None:
    assert table_from_python({"a": np.array([1, 2]), "b": ["x", "y"]}).columns == {"a": [1, 2], "b": ["x", "y"]}
    assert table_from_python([{"a": 1}, {"a": 2, "b": 3}]).columns == {"a": [1, 2], "b": [None, 3]}
    assert table_from_python(["p", "q"]).columns == {"input": ["p", "q"]}
    assert table_from_python(["p", "q"]).lines == [1, 2]
    assert [row.shape for row in table_from_python(np.zeros((2, 5, 3))).column("input")] == [(5, 3), (5, 3)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": [1, 2], "b": [1]}, "the given data, column 'b': has 1 values, and 'a' has 2"),
        ({"a": "text"}, "column 'a': is str; a list"),
        ("a text", "the given data: is str; a frame, a mapping"),
        (3, "is int; a frame, a mapping"),
        ([], "is empty"),
        ({}, "is empty"),
        ({"a": []}, "is empty"),
        ([{"a": 1}, 2], "row 2: is a dictionary and the first row is not, or"),
    ],
)
def test_python_data_that_is_no_table_is_refused(data: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        table_from_python(data)


def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "a.parquett").write_text("x")
    (tmp_path / "a.npz.gz").write_text("x")
    for name, words in [
        ("missing.csv", "does not exist"),
        ("folder.csv", "is a folder"),
        ("a.parquett", "did you mean '.parquet'.*known: .csv"),
        ("a.npz.gz", "compressed within"),
    ]:
        with pytest.raises(DataError, match=words):
            read_table(tmp_path / name)
    with pytest.raises(DataError, match="not a regular file"):
        read_table(Path("/dev/null"), format="csv")
    with pytest.raises(SettingsError, match="did you mean 'jsonl'"):
        read_table(tmp_path / "a.parquett", format="json")


def test_a_format_given_outranks_the_ending(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\tb\n1\t2\n")
    assert read_table(tmp_path / "a.txt", format="tsv").columns == {"a": ["1"], "b": ["2"]}


def test_every_reader_refuses_an_empty_file(tmp_path: Path) -> None:
    for suffix in READERS:
        (tmp_path / f"a{suffix}").write_bytes(b"")
        with pytest.raises(DataError, match="is empty"):
            read_table(tmp_path / f"a{suffix}")


def test_the_fingerprint_is_the_files_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
