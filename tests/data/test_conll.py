"""CoNLL-U and CoNLL: words counted as Universal Dependencies counts them, and every fault with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from recurra.data.readers import read_table
from recurra.data.table import Table
from recurra.errors import DataError


def word(number: str, form: str = "a", upos: str = "X") -> str:
    return f"{number}\t{form}\t{form}\t{upos}\t_\t_\t0\troot\t_\t_\n"


def read(folder: Path, content: str | bytes, name: str = "a.conllu") -> Table:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_table(path)


SENTENCE = (
    "# sent_id = 1\n# text = vámonos al mar\n"
    "1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tvamos\tir\tVERB\t_\tMood=Imp\t0\troot\t_\t_\n"
    "2\tnos\tnosotros\tPRON\tPP\t_\t1\tobj\t_\t_\n"
    "3-4\tal\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n"
    "3\ta\ta\tADP\tAP\t_\t5\tcase\t_\t_\n"
    "4\tel\tel\tDET\tDA\t_\t5\tdet\t_\t_\n"
    "4.1\tgran\tgrande\tADJ\t_\t_\t_\t_\t1:dep\t_\n"
    "4.2\t_\t_\tADJ\t_\t_\t_\t_\t1:dep\t_\n"
    "5\tmar\tmar\tNOUN\tNC\t_\t1\tobl\t_\t_\n\n"
)


def test_words_are_whole_ids_and_ranges_and_empty_nodes_are_left_out(tmp_path: Path) -> None:
    table = read(tmp_path, SENTENCE + word("1", "_", "PUNCT") + "\n")
    assert table.columns["form"] == [["vamos", "nos", "a", "el", "mar"], ["_"]]
    assert table.columns["upos"] == [["VERB", "PRON", "ADP", "DET", "NOUN"], ["PUNCT"]]
    assert table.columns["xpos"] == [[None, "PP", "AP", "DA", "NC"], [None]]
    assert table.columns["feats"] == [["Mood=Imp", "_", "_", "_", "_"], ["_"]]
    assert table.lines == [3, 13]


@pytest.mark.parametrize("name", ["a.conllu", "a.conllu.gz"])
def test_a_byte_order_mark_windows_line_ends_and_spare_blank_lines_change_nothing(tmp_path: Path, name: str) -> None:
    plain = read(tmp_path, SENTENCE)
    text = "\n\n" + SENTENCE + " \n\n# newdoc\n\n"
    other = read(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), name)
    assert other.columns == plain.columns and other.lines == [5]


def test_a_form_may_hold_blanks_and_marks(tmp_path: Path) -> None:
    assert read(tmp_path, word("1", "20 000") + word("2", "#") + "\n").columns["form"] == [["20 000", "#"]]


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ("1\ta\ta\tX\t_\t_\t0\troot\t_\n\n", 3, "has 9 columns between tabs, and CoNLL-U has 10; is one missing"),
        ("1\ta\n\n", 3, "has 2 columns between tabs"),
        ("1 a a X _ _ 0 root _ _\n\n", 3, "has 1 column between tabs.*needs tabs between them, not blanks"),
        ("1\ta\ta\t\t_\t_\t0\troot\t_\t_\n\n", 3, "the column 'upos' is empty; fill it, with _"),
        ("\ta\ta\tX\t_\t_\t0\troot\t_\t_\n\n", 3, "the column 'id' is empty"),
        (word("x") + "\n", 3, "the ID 'x' is none of 3, 3-4 and 3.1"),
        (word("0") + "\n", 3, "the ID '0' is none of"),
        (word("٣") + "\n", 3, "is none of"),
        (word("2") + "\n", 3, "the ID 2 is out of order; 1 is expected"),
        (word("1") + word("3") + "\n", 4, "the ID 3 is out of order; 2 is expected"),
        (word("1") + word("2") + word("2") + "\n", 5, "the ID 2 is out of order; 3 is expected"),
        (word("1") + word("1") + "\n", 4, "the ID is 1 inside the sentence that begins in line 3; close"),
        (word("1") + "# sent_id = 3\n" + word("1") + "\n", 4, "a comment stands inside the sentence .* line 3; close"),
        (word("2-3") + word("1") + "\n", 3, "the ID 2-3 is out of order; 1 is expected"),
        (word("1-1") + word("1") + "\n", 3, "the ID 1-1 is out of order"),
        (word("1-3") + word("1") + word("2-3") + "\n", 5, "the ID 2-3 is out of order"),
        (word("1-3") + word("1") + word("2") + "\n", 5, "the sentence ends before the word 3; is a line missing"),
        (word("1") + word("2.1") + "\n", 4, "the ID 2.1 is out of order"),
        (word("1") + word("1.2") + "\n", 4, "the ID 1.2 is out of order"),
        (word("0.1") + "\n", 3, "the sentence ends before the word 1"),
        (word("1") + word("2"), 4, "ends inside the sentence that begins in line 3: no blank line closes it; was"),
        (word("1", "a\0"), 3, "holds a NUL byte"),
    ],
)
def test_a_fault_is_refused_with_its_line(tmp_path: Path, lines: str, place: int, words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.conllu, line {place}: .*{words}"):
        read(tmp_path, word("1") + "\n" + lines)


def test_a_file_without_sentences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.conllu: has no sentence"):
        read(tmp_path, "# sent_id = 1\n\n")


def test_a_byte_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 4: byte 0xe9"):
        read(tmp_path, (word("1") + "\n").encode() + word("1").encode() + b"2\t\xe9\n\n")


CONLL = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n# # O\n5 CD O\n\n"


def test_conll_has_columns_by_position(tmp_path: Path) -> None:
    table = read(tmp_path, CONLL, "a.conll")
    assert table.columns == {
        "token": [["EU", "rejects"], ["#", "5"]],
        "2": [["NNP", "VBZ"], ["#", "CD"]],
        "tag": [["B-ORG", "O"], ["O", "O"]],
    }
    assert table.lines == [3, 6]


def test_conll_between_tabs_keeps_blanks_and_passes_comments_over(tmp_path: Path) -> None:
    table = read(tmp_path, "# id = 7\nNew York\tB\n.\tO\n\n", "a.conll")
    assert table.columns == {"token": [["New York", "."]], "tag": [["B", "O"]]}


def test_the_first_line_may_name_the_columns(tmp_path: Path) -> None:
    table = read(tmp_path, "# global.columns = FORM NER\na\tO\n\nb\tB-X\n\n", "a.conll.gz")
    assert table.columns == {"FORM": [["a"], ["b"]], "NER": [["O"], ["B-X"]]} and table.lines == [2, 4]


def test_conll_of_one_column_is_tokens_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "a\nb\n\nc\n\n", "a.conll").columns == {"token": [["a", "b"], ["c"]]}


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        ("a O\nb\n\n", 2, "has 1 column, and line 1 has 2; is one missing"),
        ("a\tO\n\nb\tX\tO\n\n", 3, "has 3 columns, and line 1 has 2"),
        ("a\t\n\n", 1, "the column 'tag' is empty"),
        ("a O\n\nb O\nc O", 4, "no blank line closes it; was the file cut"),
        ("a O\n# id = 2\nb O\n\n", 2, "a comment stands inside the sentence that begins in line 1"),
    ],
)
def test_a_fault_of_conll_is_refused_with_its_line(tmp_path: Path, content: str, place: int, words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.conll, line {place}: .*{words}"):
        read(tmp_path, content, "a.conll")


def test_real_treebanks_have_the_words_that_their_page_says(shared_data: Path) -> None:
    folder = shared_data / "ud_english_ewt"
    for part, sentences, words in (("dev", 2001, 25147), ("test", 2077, 25094)):
        table = read_table(folder / f"en_ewt-ud-{part}.conllu.gz")
        assert (len(table), sum(map(len, table.columns["form"]))) == (sentences, words)
