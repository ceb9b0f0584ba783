from __future__ import annotations

import gzip
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.corpus import Corpus, read_corpus, read_text
from recurra.data.corpus.counting import Counter, Counts
from recurra.data.corpus.cutting import at_line_ends, places, stretches
from recurra.data.corpus.encoding import TextWriter
from recurra.data.partition import Given, check_unchanged
from recurra.data.readers.blocks import BLOCK_BYTES
from recurra.data.symbols import fit_symbols
from recurra.errors import DataError, InputError, SettingsError, WorkError
from recurra.files import ScratchFile, sha256

LINES = "".join(f"line {i} of the text\n" for i in range(100))


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts_of(corpus: Corpus) -> list[str | None]:
    return [
        None if text is None else corpus.symbols.decode(text.ids) for text in (corpus.train, corpus.valid, corpus.test)
    ]


@pytest.mark.parametrize("unit", ["char", "byte", "bpe"])
def test_training_comes_first_then_validation_then_test_and_lines_stay_whole(tmp_path: Path, unit: str) -> None:
    corpus = read_corpus([write(tmp_path, "a.txt", LINES)], unit, valid="0.2", test="0.1", vocabulary_size=300)
    train, valid, test = texts_of(corpus)
    assert train is not None and valid is not None and test is not None
    assert train + valid + test == LINES
    assert all(text.endswith("\n") for text in (train, valid, test))
    assert abs(len(valid) - 0.2 * len(LINES)) < 25
    assert abs(len(test) - 0.1 * len(LINES)) < 25


def test_a_text_without_lines_is_cut_at_the_exact_place() -> None:
    corpus = read_corpus([], "char", given=Given("ab" * 50), valid="0.2", test="0.1")
    assert [len(text or "") for text in texts_of(corpus)] == [70, 20, 10]


def test_no_part_is_cut_off_where_none_is_wanted() -> None:
    corpus = read_corpus([], "char", given=Given("hello"), valid="0", test="0")
    assert texts_of(corpus) == ["hello", None, None]
    assert corpus.files == ()


def test_the_symbols_are_those_of_the_training_text_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "ab" * 45 + "xy" * 5)
    corpus = read_corpus([path], "char", valid="0.1", test="0")
    assert corpus.symbols.names == ("<begin>", "<unk>", "a", "b")
    assert corpus.valid is not None
    assert set(corpus.valid.ids.tolist()) == {corpus.symbols.unk_id}


def test_files_of_their_own_serve_for_validation_and_test(tmp_path: Path) -> None:
    train, valid = write(tmp_path, "a.txt", "abc\n"), write(tmp_path, "b.txt", "cab\nb")
    corpus = read_corpus([str(train)], "char", valid=str(valid), test="0")
    assert texts_of(corpus) == ["abc\n", "cab\nb", None]
    assert [(record.path, record.sha256, record.rows, record.split) for record in corpus.files] == [
        (str(train), sha256(train), 1, "train"),
        (str(valid), sha256(valid), 2, "valid"),
    ]
    check_unchanged(corpus.files)
    valid.write_text("other")
    with pytest.raises(DataError, match="has changed since this run began"):
        check_unchanged(corpus.files)


def test_several_files_are_one_text_with_a_newline_between(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.txt", "ab"), write(tmp_path, "b.txt", "ba\n"), write(tmp_path, "c.txt", "b")]
    for unit in ("char", "byte", "word"):
        assert texts_of(read_corpus(paths, unit, valid="0", test="0"))[0] == "ab\nba\nb"


def test_python_texts_are_read_as_files_are() -> None:
    assert texts_of(read_corpus([], "char", given=Given(["ab", "b\n", "", "a"], "b", "a"))) == ["ab\nb\na", "b", "a"]
    raw = read_corpus([], "byte", given=Given([b"\xff\x00", "é"]), valid="0", test="0")
    assert bytes(raw.train.ids.tolist()) == b"\xff\x00\n\xc3\xa9"


def test_gzip_encodings_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = "naïve\r\n" * 20000  # of more than one block
    for path, encoding in (
        (write(tmp_path, "a.txt.gz", gzip.compress(text.encode())), "utf-8"),
        (write(tmp_path, "a.txt", b"\xef\xbb\xbf" + text.encode()), "utf-8"),
        (write(tmp_path, "b.txt", text.encode("latin-1")), "latin-1"),
        (write(tmp_path, "c.txt", text.encode("utf-16")), "utf-16"),
    ):
        assert texts_of(read_corpus([path], "char", valid="0", test="0", encoding=encoding))[0] == text


@given(content=st.text(st.sampled_from("a é\n\r\t東"), max_size=30), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_counts_of_pieces_are_those_of_the_whole(content: str, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 90]
    raw = content.encode()
    of_text, of_bytes = Counter(), Counter()
    for a, b in pairwise(edges):
        of_text.add(content[a:b])
        of_bytes.add(raw[a:b])
    lines = content.count("\n") + (content != "" and not content.endswith("\n"))
    assert of_text.counts == Counts(len(content), len(raw), len(content.split()), lines)
    assert of_bytes.counts == of_text.counts


@given(
    content=st.text(st.sampled_from("ab\n"), min_size=4, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    size=st.integers(1, 9),
)
def test_stretches_lose_nothing(content: str, cuts: list[int], size: int) -> None:
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    edges = [0, *sorted(cuts), 60]
    found = [""] * (len(cuts) + 1)
    for number, piece in stretches(pieces, sorted(cuts)):
        assert isinstance(piece, str)
        found[number] += piece
    assert found == [content[a:b] for a, b in pairwise(edges)]


def test_a_cut_moves_to_the_next_line_and_never_far() -> None:
    assert places(100, [0.1, 0.2]) == [70, 80]
    text = "x" * 51 + "\n" + "x" * 27 + "\n" + "x" * 20
    assert at_line_ends([text], 100, [50, 80]) == [52, 80]  # the second is behind a newline already
    assert at_line_ends([text[:40], text[40:]], 100, [40, 70]) == [40, 70]  # the lines end too far behind
    assert at_line_ends([text.encode()], 100, [50]) == [52]


def test_a_large_text_is_kept_on_disk_and_leaves_no_file(tmp_path: Path) -> None:
    symbols = fit_symbols(["abc\n"], "char", vocabulary_size=9)
    small, large = TextWriter(symbols), TextWriter(symbols, tmp_path, most_in_memory=1000)
    for i in range(100):
        for writer in (small, large):
            writer.add("abc\n" * i)
    in_memory, on_disk = small.finish(), large.finish()
    assert on_disk.ids.tolist() == in_memory.ids.tolist()
    assert on_disk.counts == in_memory.counts == Counts(19800, 19800, 4950, 4950)
    assert on_disk.occurrences.tolist() == [0, 0, 4950, 4950, 4950, 4950]
    assert list(tmp_path.iterdir()) == []
    for text in (in_memory, on_disk):
        assert not text.ids.flags.writeable


def test_a_killed_process_leaves_no_file(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from recurra.files import ScratchFile\n"
        "s = ScratchFile(Path(sys.argv[1])); s.append(b'abc'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=dict(os.environ), check=False)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told() -> None:
    with pytest.raises(WorkError, match="a temporary file in /nowhere could not be written: No such file"):
        ScratchFile(Path("/nowhere"))


def test_a_byte_that_is_no_text_is_named_by_line_and_byte(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "é\nok\né!".encode() + b"\xff" + b"abc")
    with pytest.raises(DataError) as caught:
        read_corpus([path], "char")
    assert str(caught.value) == (
        f"{path}, line 3: byte 4 of the line, 10 of the file: 0xff is not utf-8 text; give the file's encoding with "
        "--encoding (latin-1 or cp1252, say), or read bytes with --unit byte"
    )
    assert len(read_corpus([path], "byte", valid="0", test="0").train) == 13


@pytest.mark.parametrize("before", [BLOCK_BYTES - 2, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1])
@pytest.mark.parametrize("lines", [0, 5])
def test_the_place_of_a_bad_byte_is_right_wherever_blocks_end(tmp_path: Path, before: int, lines: int) -> None:
    content = b"ab\n" * lines + b"x" * (before - 3 * lines)
    path = write(tmp_path, "a.txt", content + "é".encode()[:1] + b"!")
    with pytest.raises(
        DataError, match=f"line {lines + 1}: byte {before - 3 * lines + 1} of the line, {before + 1} of"
    ):
        read_corpus([path], "char")


def test_a_text_that_ends_inside_a_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: byte 2 of the line, 4 of the file: 0xe6"):
        read_corpus([write(tmp_path, "a.txt", b"a\nb" + "東".encode()[:2])], "char")


@pytest.mark.parametrize(
    ("content", "unit", "options", "words"),
    [
        (b"", "char", {}, "a.txt: is empty, and a text is expected"),
        (b"a", "char", {}, "a.txt: 1 character.s. are too few to train on and to set aside 0.1 of them for validation"),
        (b"a", "byte", {}, "a.txt: 1 byte.s. are too few"),
        (b"a", "char", {"valid": "0", "test": "0"}, "a.txt: 1 character.s. are too few to train on; give more"),
        (b"aaaaaaaaaaaaaaaaaaaaaaaa", "char", {}, "a.txt: the training text is the symbol 'a' 19 times"),
        (b"aaaaaaaaaaaaaaaaaaaaaaaa", "byte", {}, "a.txt: the training text is the symbol 'a' 19 times"),
        (b"one", "word", {"valid": "0", "test": "0"}, "the training text has 1 symbol.s."),
        (b"a\nb\0c", "char", {}, "a.txt, line 2: holds a NUL byte, which is no text; .*--unit byte"),
        (b"\xff\xfea\0", "char", {}, "a.txt: is not utf-8 text, and by its first bytes utf-16; give --encoding utf-16"),
        (b"abcdefgh", "char", {"encoding": "morse"}, "encoding: 'morse' is not known"),
        (b"abcdefgh", "char", {"valid": "0.5", "test": "0.5"}, "valid and test: they leave nothing of the text"),
        (b"abcdefgh", "char", {"valid": "none.txt"}, "none.txt: does not exist"),
        (b"abcdefgh", "char", {"test": "/dev/null"}, "/dev/null: is no regular file"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_name(
    tmp_path: Path, content: bytes, unit: str, options: dict[str, str], words: str
) -> None:
    with pytest.raises((DataError, SettingsError), match=words):
        read_corpus([write(tmp_path, "a.txt", content)], unit, **options)  # type: ignore[arg-type]


def test_bytes_may_be_anything(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20
    corpus = read_corpus([write(tmp_path, "a.bin", content)], "byte")
    assert corpus.valid is not None and corpus.test is not None
    assert b"".join(bytes(text.ids) for text in (corpus.train, corpus.valid, corpus.test)) == content


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (3, "the given data: a text or a list of texts is expected, not int"),
        ({"a": "b"}, "there is no 'text' in the mapping"),
        ({"text": {}}, "not dict"),
        (["a", 3], "the given data, row 2: a text is expected, not int"),
        ([b"a"], "row 1: a text is expected, not bytes; give --unit byte"),
        ([], "the given data: the training text is empty"),
        ("", "the training text is empty"),
    ],
)
def test_python_data_that_is_no_text_is_refused(data: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_corpus([], "char", given=Given(data))


def test_data_comes_from_one_side(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give files or Python objects, not both"):
        read_corpus([tmp_path / "a.txt"], "char", given=Given("abc"))
    with pytest.raises(InputError, match="no data is given"):
        read_corpus([], "char")


def test_another_text_is_read_by_the_symbols_of_a_run(tmp_path: Path) -> None:
    symbols = fit_symbols(["ab"], "char", vocabulary_size=9)
    text = read_text([write(tmp_path, "a.txt", "abx")], symbols)
    assert text.ids.tolist() == [2, 3, symbols.unk_id]
    assert text.counts == Counts(3, 3, 1, 1)
    assert len(read_text([], symbols, given="")) == 0
    run = read_corpus([], "word", given=Given("ba" * 9), symbols=symbols, valid="0", test="0")
    assert run.symbols is symbols


def test_characters_of_a_real_text(shared_data: Path) -> None:
    corpus = read_corpus([shared_data / "tiny_shakespeare" / "input.txt"], "char", test="0")
    assert len(corpus.symbols) == 65 + 2
    assert corpus.valid is not None
    assert len(corpus.train) + len(corpus.valid) == 1_115_394
    assert corpus.symbols.decode(corpus.valid.ids[:9].tolist()) == "\nGREMIO:\n"


def test_words_of_a_real_text(shared_data: Path) -> None:
    corpus = read_corpus([shared_data / "wikitext2" / "valid.txt.gz"], "word", test="0")
    assert corpus.valid is not None
    assert len(corpus.train) + len(corpus.valid) == 217_646
    assert corpus.train.occurrences[corpus.symbols.unk_id or 0] > 0
