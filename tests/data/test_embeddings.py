"""Pretrained vectors as GloVe, word2vec and fastText write them."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from recurra.data.embeddings import EmbeddingsRecord, read_embeddings
from recurra.data.vocabulary import Vocabulary
from recurra.errors import DataError, RunError

IDS = {"fine": 2, "film": 3, "don't": 4, "unheard": 5, "\xa0": 6}
VECTORS = {2: [1.0, -2.5], 3: [0.25, 3e-3], 4: [5.0, 6.0]}
GLOVE = "the 9 9\nfine 1 -2.5\nfilm 0.25 3e-3\nat name@domain 1 2\ndon't 5 6\nfine 7 7\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("glove.txt", GLOVE),
        ("no end.txt", GLOVE.removesuffix("\n")),
        ("word2vec.vec", f"6 2\n{GLOVE}"),
        ("fasttext.vec", "6 2\n" + GLOVE.replace("\n", " \n")),
        ("tabs.tsv", GLOVE.replace("fine 1", "fine\t1")),
        ("two blanks.txt", GLOVE.replace("fine 1", "fine  1")),
        ("windows.txt", GLOVE.replace("\n", "\r\n") + "\r\n"),
        ("mark.txt", f"\ufeff{GLOVE}"),
        ("packed.vec.gz", f"6 2\n{GLOVE}"),
    ],
)
def test_the_formats_of_the_field_give_the_same_vectors(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    raw = gzip.compress(content.encode()) if name.endswith(".gz") else content.encode()
    path.write_bytes(raw)
    found = read_embeddings(path, IDS)
    assert found.ids.tolist() == list(VECTORS)
    np.testing.assert_array_equal(found.vectors, np.array(list(VECTORS.values()), np.float32))
    assert found.record == EmbeddingsRecord(str(path), hashlib.sha256(raw).hexdigest(), 3, 5)
    assert found.record.share == 0.6
    assert EmbeddingsRecord.from_json(found.record.to_json()) == found.record


def test_a_word_may_be_a_space_that_is_no_blank(tmp_path: Path) -> None:
    path = tmp_path / "a.vec"
    path.write_text("2 1\n\xa0 4\nfine 5\n")
    assert read_embeddings(path, IDS).ids.tolist() == [2, 6]


def test_the_reserved_tokens_take_no_vectors(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("<unk> 1 2\n<pad> 3 4\nfine 5 6\n")
    assert read_embeddings(path, Vocabulary.build([["fine"]], 9).ids).ids.tolist() == [2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("fine 1 2\nfilm 1\n", r"a\.txt, line 2: has 1 number\(s\) after its word, and 2 are expected"),
        ("fine 1 2\nother 1\n", "line 2: has 1 number"),
        ("fine 1 2\nfilm 1 2 3\n", "line 2: has 3 number"),
        ("fine 1 2\nfilm 1 x\n", "line 2: is no word with its numbers .*'x'"),
        ("fine 1 2\nfilm nan 2\n", "line 2: has a number that is not finite"),
        ("fine 1 2\nfilm 1 1e99\n", "line 2: has a number that is not finite"),
        ("3 2\nfine 1 2\nfilm 1 2\n", "promises 3 words of 2 numbers, and it has 2 of 2; copy it again"),
        ("2 3\nfine 1 2\nfilm 1 2\n", "promises 2 words of 3 numbers, and it has 2 of 2"),
        ("the 1 2\na 1 2\n", "has a vector for none of the 5 tokens of the training texts"),
        ("fine\n", "line 1: is no word with its numbers"),
        ("\n", "line 1: is no word with its numbers"),
        ("", "holds no vectors"),
        ("5 2\n", "holds no vectors"),
        ("fine 1 2\nfi\0lm 1 2\n", "line 2: holds a NUL byte"),
    ],
)
def test_a_faulty_file_is_refused_by_its_line(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(DataError, match=sentence):
        read_embeddings(tmp_path / "a.txt", IDS)


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.txt.gz").write_bytes(gzip.compress(b"fine 1 2\n" + b" " * (65 * 2**20)))
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(GLOVE.encode())[:-9])
    (tmp_path / "binary.bin").write_bytes(b"3 2\nfine \x00\x80\xff\xc3")
    for name, words in [
        ("bomb.txt.gz", "inflate to more than"),
        ("cut.txt.gz", "is not a whole gzip file"),
        ("binary.bin", "byte 0x80 is not utf-8 text"),
        ("nothing.txt", r"nothing\.txt: cannot be read: No such file"),
        ("", "cannot be read: Is a directory"),
    ]:
        with pytest.raises(DataError, match=words):
            read_embeddings(tmp_path / name, IDS)


@pytest.mark.parametrize("name", ["path", "sha256", "found", "tokens"])
def test_a_damaged_record_is_refused(name: str) -> None:
    data = EmbeddingsRecord("a", "b", 1, 2).to_json()
    del data[name]
    with pytest.raises(RunError, match=f"{name} is not"):
        EmbeddingsRecord.from_json(data)
