"""Data at fault, through the command line: one clear sentence, status 2, and no run folder; or it is simply learned."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recurra.data.text_features import TextFeatures
from recurra.settings.groups import TextSettings

from .conftest import Call

QUICK = "--epochs 1 --hidden-size 4 --embedding-size 4 --threads 1 --progress none"
GOOD = "text,label\n" + "a fine film,good\na dull film,bad\n" * 15


@dataclass(frozen=True)
class Case:
    """Files by name, the options beside `--data data.csv`, and words of the answer."""

    words: tuple[str, ...]
    files: dict[str, Any] = field(default_factory=dict)
    options: str = ""
    data: str = "data.csv"


def long_table() -> str:
    rows = [f"p{i},{t},{i * t % 7},{'ill' if i % 2 else 'well'}" for i in range(20) for t in range(5)]
    return "patient,hour,pulse,label\n" + "\n".join(rows) + "\n"


def csv(*rows: str) -> dict[str, Any]:
    return {"data.csv": GOOD + "".join(f"{row}\n" for row in rows)}


CASES = {
    "a folder": Case(("folder: is a folder; give a file",), data="folder"),
    "a folder to validate on": Case(("folder: is a folder",), csv(), "--valid folder"),
    "a missing file": Case(("gone.csv: does not exist",), data="gone.csv"),
    "an empty file": Case(("data.csv: is empty; at least one row",), {"data.csv": ""}),
    "a header only": Case(("has a header and no rows",), {"data.csv": "text,label\n"}),
    "one row": Case(("1 row(s) are too few to set 0.1 of them aside for test",), {"data.csv": "text,label\na,b\n"}),
    "a wrong input column": Case(("no column 'txt'; did you mean 'text'?",), csv(), "--input txt"),
    "a wrong target column": Case(("no column 'labels'; did you mean 'label'?",), csv(), "--target labels"),
    "a wrong id": Case(
        ("no column 'patent'; did you mean 'patient'?",), {"data.csv": long_table()}, "--id patent --input pulse"
    ),
    "a wrong group": Case(("there is no column 'autor'",), csv(), "--group autor --input text"),
    "bytes that are no text": Case(
        ("line 3: byte 0xe9 is not utf-8 text",), {"data.csv": b"text,label\nx,y\n\xe9,y\n"}
    ),
    "UTF-16 that is not said": Case(("line 1: byte 0xff", "utf-16"), {"data.csv": GOOD.encode("utf-16")}),
    "a ragged row": Case(("line 32: has 3 fields where the header has 2",), csv("one,two,three")),
    "a wrong delimiter": Case(
        ("line 1: has the one column 'text;label'; did you mean --delimiter ';'?",),
        {"data.csv": GOOD.replace(",", ";")},
    ),
    "a quote never closed": Case(("line 32: a quote opens in the row", "never closed"), csv('"open,good', "a,b")),
    "a quote never closed before a long rest": Case(
        ("line 32: a field is longer than 16777216 characters, as after a quote that is never closed",),
        csv('"open,good', "words upon words,good\n" * 800_000),
    ),
    "a NUL": Case(("line 32: holds a NUL byte",), csv("a\0b,good")),
    "a gzip bomb": Case(
        ("inflate to more than",), {"data.csv.gz": gzip.compress(b"a,b\n" * (17 * 2**20), 1)}, data="data.csv.gz"
    ),
    "half a gzip file": Case(
        ("is not a whole gzip file",), {"data.csv.gz": gzip.compress(GOOD.encode())[:-9]}, data="data.csv.gz"
    ),
    "an empty text": Case(
        ("data.csv, line 2", "the input is empty; training needs"),
        {"data.csv": 'text,label\n"",good\n' + "a,good\nb,bad\n" * 9, "held.csv": GOOD},
        "--valid held.csv --test held.csv",
    ),
    "one label": Case(
        ("rows have the label 'y'; classification needs two",), {"data.csv": "text,label\n" + "x,y\n" * 20}
    ),
    "a label that validation alone has": Case(
        ("held.csv, line 3, column 'label': the label 'god' was never seen in training; did you mean 'good'?",),
        csv() | {"held.csv": "text,label\nx,good\ny,god\n"},
        "--valid held.csv",
    ),
    "a label that the test alone has": Case(
        ("held.csv, line 2, column 'label': the label 'ugly' was never seen in training",),
        csv() | {"held.csv": "text,label\nx,ugly\n"},
        "--test held.csv",
    ),
    "a fault in the second of two files": Case(
        ("more.csv, line 2, column 'label': the label is missing",),
        csv() | {"more.csv": "text,label\nso,\n"},
        "--data more.csv",
    ),
    "files of other columns": Case(
        ("more.csv: has no column 'label' and a column 'mark' more", "data.csv"),
        csv() | {"more.csv": "text,mark\nso,good\n"},
        "--data more.csv",
    ),
    "a missing label": Case(("line 32, column 'label': the label is missing",), csv("text,")),
    "a row a time step": Case(
        ("seem to be time steps of 20 sequences, by the column 'patient'; give --id patient", "--input"),
        {"data.csv": long_table()},
    ),
    "a row a time step and text": Case(
        ("line 2, column 'text': is 'a fine film'; with --id an input is numbers step by step",),
        {"data.csv": "id,text,label\n" + "1,a fine film,good\n2,a dull film,bad\n" * 9},
        "--id id --input text",
    ),
    "a time without an id": Case(("time: it orders the rows of an id; give --id too",), csv(), "--time text"),
    "two uses of a column": Case(("target: the column 'text' is input already",), csv(), "--input text --target text"),
    "an unknown option value": Case(("--unit", "wrod", '"word"'), csv(), "--unit wrod"),
    "an unknown encoding": Case(("encoding: 'utf9' is not known",), csv(), "--encoding utf9"),
    "a long delimiter": Case(("delimiter: ';;' is not one character",), csv(), "--delimiter ;;"),
    "a hundred thousand columns": Case(
        ("give --target with one of: 'c0', 'c1'", "(100000 in all)"),
        {"data.csv": ",".join(f"c{i}" for i in range(100_000)) + "\n" + ",".join("1" * 100_000) + "\n"},
    ),
    "deep nesting": Case(
        ("line 1: nests lists or objects deeper than is read here",),
        {"data.jsonl": '{"text": ' + "[" * 100_000 + "]" * 100_000 + ', "label": "x"}\n'},
        data="data.jsonl",
    ),
    "an integer of 5000 digits": Case(
        ("line 1: holds an integer of thousands of digits",),
        {"data.jsonl": '{"input": [' + "9" * 5000 + '], "label": "x"}\n'},
        data="data.jsonl",
    ),
    "an integer beyond floats": Case(
        ("step 1 is an integer too large for arithmetic",),
        {"data.jsonl": ('{"input": [' + "9" * 400 + '], "label": "x"}\n{"input": [1], "label": "y"}\n') * 9},
        data="data.jsonl",
    ),
    "an object cut short": Case(("line 1: is not JSON",), {"data.jsonl": '{"text": "a'}, data="data.jsonl"),
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Write files by name in a working folder of the test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()

    def put(files: dict[str, Any]) -> None:
        for name, content in files.items():
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return put


Write = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize("name", CASES)
def test_bad_data_are_one_sentence_and_leave_no_run(name: str, call: Call, write: Write) -> None:
    case = CASES[name]
    write(case.files)
    status, out, err = call(*f"train classify --data {case.data} --out run {QUICK} {case.options}".split())
    assert (status, out) == (2, ""), err
    for words in case.words:
        assert words in err
    assert err.startswith("recurra: ")
    assert err.count("\n") == 1
    assert len(err) < 1500
    assert "Traceback" not in err
    assert not Path("run").exists() and not Path("runs").exists()


def test_an_empty_text_and_unknown_symbols_are_answered(call: Call, write: Write) -> None:
    write(csv() | {"ask.csv": 'text\n""\n\u2603 unseen\n', "ask.txt": "\n\u2603\n"})
    assert call(*f"train classify --data data.csv --out run {QUICK}".split()).status == 0
    for file in ("ask.csv", "ask.txt"):
        status, out, _ = call("predict", "run", file)
        assert status == 0
        assert [json.loads(line)["label"] in ("good", "bad") for line in out.splitlines()] == [True, True]


def test_a_label_never_seen_is_refused_in_evaluation_with_its_row(call: Call, write: Write) -> None:
    write(csv() | {"more.csv": "text,label\nx,good\ny,odd\n"})
    assert call(*f"train classify --data data.csv --out run {QUICK}".split()).status == 0
    status, out, err = call("evaluate", "run", "--data", "more.csv")
    assert (status, out) == (2, "")
    assert "more.csv, line 3, column 'label': the label 'odd' was never seen in training" in err


def test_a_vocabulary_of_one_word_trains_on_how_often_it_comes(call: Call, write: Write) -> None:
    write({"data.csv": "text,label\n" + "so,once\nso so so,more\n" * 20})
    options = "--epochs 30 --batch-size 4 --lr 0.05 --hidden-size 8 --threads 1 --progress none"
    assert call(*f"train classify --data data.csv --out run {options}".split()).status == 0
    assert json.loads(Path("run/result.json").read_text())["accuracy"] == 1.0


def test_markup_in_labels_and_texts_is_inert_in_the_report(call: Call, write: Write) -> None:
    attack = "<script>alert(1)</script>"
    write({"data.csv": "text,label\n" + f"{attack} so,{attack}\nplain </script><img src=x>,<b>&amp;\n" * 20})
    assert call(*f"train classify --data data.csv --out run {QUICK}".split()).status == 0
    page = Path("run/report.html").read_text()
    assert attack not in page and "<img src=x>" not in page and "<b>&amp;" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_text_of_a_million_tokens_is_cut_counted_and_answered(call: Call, write: Write) -> None:
    endless = "so it goes on " * 250_000
    write(csv(f"{endless},good") | {"held.csv": GOOD, "ask.txt": endless})
    arguments = f"train classify --data data.csv --valid held.csv --test held.csv --out run {QUICK}"
    assert call(*arguments.split()).status == 0
    result = json.loads(Path("run/result.json").read_text())
    assert (result["train_cut"], result["train_examples"]) == (1, 31)
    status, out, _ = call("predict", "run", "ask.txt")
    assert (status, out.count("\n")) == (0, 1)


def test_the_memory_of_a_long_text_grows_no_faster_than_the_text() -> None:
    features = TextFeatures.fit(["so it goes on"] * 3, TextSettings(), 4096)

    def peak(words: int) -> int:
        text = "so it goes on " * (words // 4)
        tracemalloc.start()
        try:
            assert features.encode(text).cut == words - 4096
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(20_000), peak(80_000)
    assert many < 4.5 * few
    assert many < 200 * 80_000  # bytes a token
