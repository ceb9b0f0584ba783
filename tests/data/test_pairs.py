"""Pairs: two files of lines, tables and Python objects; what is left out, cut and counted."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest

from recurra.data.pairs import (
    SOURCE,
    TARGET,
    describe_pairs,
    looks_paired,
    overlap,
    pairs_of,
    partition_pairs,
    read_line_pairs,
    source_texts,
)
from recurra.data.partition import Given, check_recorded, check_unchanged
from recurra.data.table import Table
from recurra.errors import DataError, InputError, SettingsError
from recurra.settings.translation import PairsSettings

ENGLISH = [f"sentence number {n}" for n in range(20)]
FRENCH = [f"phrase numéro {n}" for n in range(20)]


def lines(path: Path, texts: list[str], encoding: str = "utf-8") -> str:
    content = "".join(f"{text}\n" for text in texts).encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def by_lines(folder: Path, source: list[str] = ENGLISH, target: list[str] = FRENCH, **more: Any) -> PairsSettings:
    names = lines(folder / "a.en", source), lines(folder / "a.fr", target)
    return PairsSettings(source=names[:1], target=names[1:], **more)


def pairs(table: Table) -> list[tuple[str, str]]:
    return list(zip(table.columns[SOURCE], table.columns[TARGET], strict=True))


def test_line_n_of_one_file_stands_beside_line_n_of_the_other(tmp_path: Path) -> None:
    settings = by_lines(tmp_path)
    parts = partition_pairs(settings, seed=0)
    everything = pairs(parts.train) + pairs(parts.valid) + pairs(parts.test)
    assert sorted(everything) == sorted(zip(ENGLISH, FRENCH, strict=True))
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (16, 2, 2)
    assert [(Path(one.path).name, one.rows, one.split) for one in parts.files] == [
        ("a.en", 20, "train"), ("a.fr", 20, "train"),
    ]  # fmt: skip
    assert parts.notes == ()
    check_unchanged(parts.files)


def test_the_cut_is_the_seeds_and_the_same_again(tmp_path: Path) -> None:
    settings = by_lines(tmp_path)
    first, again, other = (partition_pairs(settings, seed) for seed in (1, 1, 2))
    assert pairs(first.test) == pairs(again.test) != pairs(other.test)


def test_compressed_lines_of_several_files_follow_each_other(tmp_path: Path) -> None:
    settings = PairsSettings(
        source=(lines(tmp_path / "a.en.gz", ENGLISH[:8]), lines(tmp_path / "b.en", ENGLISH[8:])),
        target=(lines(tmp_path / "a.fr", FRENCH[:8]), lines(tmp_path / "b.fr.gz", FRENCH[8:])),
        valid_source=lines(tmp_path / "v.en", ["one"]),
        valid_target=lines(tmp_path / "v.fr", ["un"]),
        test_source=lines(tmp_path / "t.en", ["two", ""]),
        test_target=lines(tmp_path / "t.fr", ["deux", ""]),
    )
    parts = partition_pairs(settings, seed=0)
    assert pairs(parts.train) == list(zip(ENGLISH, FRENCH, strict=True))
    assert pairs(parts.valid) == [("one", "un")]
    assert pairs(parts.test) == [("two", "deux"), ("", "")]  # a score is one of all lines
    assert [(Path(one.path).name, one.split) for one in parts.files][-2:] == [("t.en", "test"), ("t.fr", "test")]
    assert parts.train.place(9).source.endswith("b.en and " + str(tmp_path / "b.fr.gz"))


@pytest.mark.parametrize(
    ("data", "header"), [("a.csv", True), ("a.tsv", False), ("a.jsonl", True), ("a.parquet", True)]
)
def test_a_table_says_the_same_as_lines(tmp_path: Path, data: str, header: bool) -> None:
    path = tmp_path / data
    rows = list(zip(ENGLISH, FRENCH, strict=True))
    if data == "a.csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["en", "fr"], *rows])
    elif data == "a.tsv":
        path.write_text("".join(f"{one}\t{other}\n" for one, other in rows))
    elif data == "a.jsonl":
        path.write_text("".join(json.dumps({"en": one, "fr": other}) + "\n" for one, other in rows))
    else:
        pandas.DataFrame(rows, columns=["en", "fr"]).to_parquet(path)
    columns = {"source": ("en",), "target": ("fr",)} if header else {}
    parts = partition_pairs(PairsSettings(data=(str(path),), header=header, **columns), seed=0)
    of_lines = partition_pairs(by_lines(tmp_path), seed=0)
    assert pairs(parts.train) == pairs(of_lines.train) and pairs(parts.test) == pairs(of_lines.test)
    assert parts.settings.source == (("en",) if header else ("1",))


@pytest.mark.parametrize(
    "data",
    [
        {"en": ENGLISH, "fr": FRENCH},
        pandas.DataFrame({"en": ENGLISH, "fr": FRENCH}),
        [{"en": one, "fr": other} for one, other in zip(ENGLISH, FRENCH, strict=True)],
    ],
)
def test_python_objects_are_tables_with_columns(data: Any) -> None:
    parts = partition_pairs(PairsSettings(source=("en",), target=("fr",)), 0, Given(data))
    assert sorted(pairs(parts.train) + pairs(parts.valid) + pairs(parts.test)) == sorted(
        zip(ENGLISH, FRENCH, strict=True)
    )
    with pytest.raises(DataError, match="no column 'eng'; did you mean 'en'"):
        partition_pairs(PairsSettings(source=("eng",), target=("fr",)), 0, Given(data))


def test_a_list_of_pairs_needs_no_columns() -> None:
    parts = partition_pairs(PairsSettings(), 0, Given([*zip(ENGLISH, FRENCH, strict=True)], [("a", "b")], [["c", "d"]]))
    assert pairs(parts.train) == [*zip(ENGLISH, FRENCH, strict=True)]
    assert (pairs(parts.valid), pairs(parts.test)) == ([("a", "b")], [("c", "d")])
    with pytest.raises(DataError, match="row 2: is 3 values; a pair of texts is expected"):
        partition_pairs(PairsSettings(), 0, Given([("a", "b"), ("a", "b", "c")]))


def test_usual_columns_are_found_and_others_are_asked_for(tmp_path: Path) -> None:
    usual = Table("a", {"question": ["q"], "answer": ["a"], "id": [1]}, [1])
    assert source_texts(usual, PairsSettings()) == ("question", ["q"])
    path = tmp_path / "a.tsv"
    path.write_text("Wow!\tÇa alors !\nFire!\tAu feu !\n")
    with pytest.raises(DataError, match=r"which column holds the source texts\? give --source .* give --no-header too"):
        partition_pairs(PairsSettings(data=(str(path),)), 0)


def test_files_of_unequal_length_are_refused_with_both_counts(tmp_path: Path) -> None:
    settings = by_lines(tmp_path, target=FRENCH[:-1])
    with pytest.raises(DataError, match=r"a\.en: has 20 line\(s\), and .*a\.fr has 19; line n of one must belong"):
        partition_pairs(settings, 0)


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_bytes("one\r\ntwo\rand\u2028a half\x0b\n three ".encode())
    (tmp_path / "a.fr").write_bytes(b"un\ndeux\ntrois\n")
    table = read_line_pairs(tmp_path / "a.en", tmp_path / "a.fr")
    assert pairs(table) == [("one", "un"), ("two\rand\u2028a half\x0b", "deux"), (" three ", "trois")]


def test_pairs_with_an_empty_side_are_left_out_and_counted(tmp_path: Path) -> None:
    settings = by_lines(tmp_path, ["", *ENGLISH[1:]], [*FRENCH[:4], " \t", *FRENCH[5:]])
    parts = partition_pairs(settings, 0)
    everything = pairs(parts.train) + pairs(parts.valid) + pairs(parts.test)
    assert len(everything) == 18 and all(one.strip() and other.strip() for one, other in everything)
    (note,) = parts.notes
    assert note.startswith("2 of 20 pairs have an empty side and are left out, the first in line 1 of ")
    with pytest.raises(DataError, match="every pair has an empty side"):
        partition_pairs(by_lines(tmp_path, [""] * 3, ["a", "b", "c"]), 0)


def test_a_missing_text_is_an_empty_one_and_a_number_is_refused() -> None:
    parts = partition_pairs(PairsSettings(), 0, Given({"source": [*ENGLISH, None], "target": [*FRENCH, "x"]}))
    assert parts.notes == ("1 of 21 pairs have an empty side and are left out, the first in line 21 of the given data",)
    with pytest.raises(DataError, match="row 2, column 'target': is int; a text is expected"):
        partition_pairs(PairsSettings(), 0, Given({"source": ["a", "b"], "target": ["c", 5]}))


def test_a_tab_inside_a_field_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("source\ttarget\na\tb\nc\td\te\n")
    with pytest.raises(
        DataError, match=r"a\.tsv, line 3: has 3 fields where the header has 2; write tabs .* as spaces"
    ):
        partition_pairs(PairsSettings(data=(str(path),)), 0)


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    settings = by_lines(tmp_path)
    lines(tmp_path / "a.fr", [*FRENCH[:2], "é", *FRENCH[3:]], "latin-1")
    with pytest.raises(DataError, match=r"a\.fr, line 1: byte 0xe9 is not utf-8 text; give the file's encoding"):
        partition_pairs(settings, 0)
    latin = PairsSettings(source=settings.source, target=settings.target, encoding="latin-1")
    assert "é" in partition_pairs(latin, 0).train.columns[TARGET]


def test_one_file_for_both_sides_is_refused(tmp_path: Path) -> None:
    name = lines(tmp_path / "a.tsv", ENGLISH)
    (found,) = PairsSettings(source=(name,), target=(name,)).problems()
    assert found.startswith(f"source: {name} is target too; name the file of the other side, or give a table with data")
    (tmp_path / "b.tsv").symlink_to(tmp_path / "a.tsv")
    with pytest.raises(DataError, match="is both source and target"):
        read_line_pairs(name, tmp_path / "b.tsv")


@pytest.mark.parametrize("missing", ["source", "target"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, missing: str) -> None:
    settings = by_lines(tmp_path)
    Path(getattr(settings, missing)[0]).unlink()
    with pytest.raises(DataError, match=r"a\.(en|fr): does not exist; check the name"):
        partition_pairs(settings, 0)


def test_no_data_and_data_from_both_sides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data is given; name two files with --source FILE --target FILE"):
        partition_pairs(PairsSettings(), 0)
    with pytest.raises(InputError, match="give files or Python objects, not both"):
        partition_pairs(PairsSettings(data=("a.csv",)), 0, Given({"source": ["a"], "target": ["b"]}))
    with pytest.raises(SettingsError, match="group: files of lines have no column 'scene', and source names some"):
        partition_pairs(by_lines(tmp_path, group="scene"), 0)


def test_test_pairs_that_training_has_seen_are_counted() -> None:
    train = {"source": ["a", "b", "c"], "target": ["A", "B", "C"]}
    test = {"source": ["a", "b", "d"], "target": ["A", "x", "C"]}
    valid = {"source": ["e"], "target": ["E"]}
    parts = partition_pairs(PairsSettings(), 0, Given(train, valid, test))
    assert overlap(parts.train, parts.test) == (2, 1, 3)
    assert parts.notes == ("2 of 3 test pairs have a source that is in the training data too, 1 with the same target",)
    assert len(parts.test) == 3


def test_groups_are_never_divided() -> None:
    data = {"source": ENGLISH, "target": FRENCH, "scene": [str(n // 4) for n in range(20)]}
    parts = partition_pairs(PairsSettings(group="scene", valid="0.2", test="0.2"), 0, Given(data))
    scenes = [set(part.columns["scene"]) for part in (parts.train, parts.valid, parts.test)]
    assert all(scenes) and sum(map(len, scenes)) == 5 == len(set.union(*scenes))


@pytest.mark.parametrize("kind", ["lines", "objects", "named"])
def test_pairs_with_the_same_source_stay_together_where_it_is_asked(tmp_path: Path, kind: str) -> None:
    source = [text for text in ENGLISH for _ in range(2)]
    target = [f"{text} {n}" for text in FRENCH for n in range(2)]
    given = None
    if kind == "lines":
        settings = by_lines(tmp_path, source, target)
    else:
        names = ("en", "fr") if kind == "named" else ("source", "target")
        settings = PairsSettings(source=names[:1], target=names[1:])
        given = Given(dict(zip(names, (source, target), strict=True)))
    (valid, test) = partition_pairs(settings, 0, given).notes
    assert valid.endswith("; --group source keeps equal sources on one side") and " test pairs " in test
    together = partition_pairs(replace(settings, group="en" if kind == "named" else "source"), 0, given)
    assert together.notes == () and len(together.test) == 4
    assert partition_pairs(replace(settings, group="source"), 0, given).notes == ()


def test_a_column_of_translations_is_one_a_language(tmp_path: Path) -> None:
    rows = [{"translation": {"en": one, "fr": other}} for one, other in zip(ENGLISH, FRENCH, strict=True)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns: dict[str, Any] = {"source": ("en",), "target": ("fr",)}
    of_file = partition_pairs(PairsSettings(data=(str(path),), **columns), 0)
    of_objects = partition_pairs(PairsSettings(**columns), 0, Given(rows))
    assert pairs(of_file.test) == pairs(of_objects.test) == pairs(partition_pairs(by_lines(tmp_path), 0).test)
    rows[4] = {"translation": {"en": "a"}}
    with pytest.raises(DataError, match="row 5, column 'translation': has not the texts of the first row: 'en', 'fr'"):
        partition_pairs(PairsSettings(**columns), 0, Given(rows))


def test_pairs_to_evaluate_on_come_as_a_table_lines_or_objects(tmp_path: Path) -> None:
    settings = by_lines(tmp_path)  # source and target are files there, and a table has columns of its own
    path = tmp_path / "a.jsonl"
    path.write_text('{"source": "a", "target": "b"}\n')
    assert pairs(pairs_of(path, settings)) == [("a", "b")] == pairs(pairs_of([("a", "b")], settings))
    assert pairs(pairs_of((settings.source[0], settings.target[0]), settings))[3] == (ENGLISH[3], FRENCH[3])


def test_a_file_of_lines_that_changed_is_noticed_when_a_run_is_repeated(tmp_path: Path) -> None:
    settings = by_lines(tmp_path).with_whole_paths()
    files = partition_pairs(settings, 0).files
    record = {"files": [vars(one) for one in files]}
    check_recorded(record, settings, "config.toml")
    lines(tmp_path / "a.fr", [*FRENCH[:-1], "other"])
    with pytest.raises(DataError, match=r"a\.fr: has changed since the run of config\.toml"):
        check_recorded(record, settings, "config.toml")


def test_real_pairs_are_read_whole(shared_data: Path) -> None:
    folder = shared_data / "multi30k_en_fr"
    names = {"train": ("source", "target"), "val": ("valid_source", "valid_target"),
             "test_2016_flickr": ("test_source", "test_target")}  # fmt: skip
    files = {
        key: str(folder / f"{part}.{side}.gz")
        for part, keys in names.items()
        for key, side in zip(keys, ("en", "fr"), strict=True)
    }
    settings = PairsSettings(**{**files, "source": (files["source"],), "target": (files["target"],)})
    parts = partition_pairs(settings, 0)
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (29000, 1014, 1000)
    assert parts.train.columns[TARGET][0] == "Deux jeunes hommes blancs sont dehors près de buissons."
    assert overlap(parts.train, parts.valid).pairs == 1 and overlap(parts.train, parts.test).pairs == 0


def test_a_real_table_without_a_header_is_read_whole(shared_data: Path) -> None:
    folder = shared_data / "tatoeba_en_fr"
    train, valid, test = (str(folder / f"{part}.tsv.gz") for part in ("train", "valid", "test"))
    parts = partition_pairs(PairsSettings(data=(train,), valid=valid, test=test, header=False), 0)
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (123164, 4838, 4790)
    assert overlap(parts.train, parts.test).sources == 0


def test_a_table_of_pairs_is_described() -> None:
    table = Table("a", {"source": ["a b", "", "c", "c"], "target": ["x", "y", "c", "c"]}, [1, 2, 3, 4])
    assert looks_paired(table, PairsSettings())
    found = describe_pairs(table, PairsSettings())
    assert found["source_lengths"] == {"shortest": 0, "median": 1, "longest": 2, "unit": "words"}
    assert found["problems"] == [
        "1 pair(s) have an empty side; training leaves them out",
        "1 pair(s) stand there more than once",
        "2 pair(s) have the same text on both sides",
    ]
    assert not looks_paired(Table("a", {"input": ["a"], "target": ["b"]}, [1]), PairsSettings())
    assert not looks_paired(Table("a", {"source": [1], "target": ["b"]}, [1]), PairsSettings())
    assert looks_paired(
        Table("a", {"en": ["a"], "fr": ["b"]}, [1]), PairsSettings(data=("a",), source=("en",), target=("fr",))
    )
