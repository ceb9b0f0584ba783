"""Tagged sentences: which columns, rows of tokens gathered by their id, tags as numbers."""

from __future__ import annotations

from typing import Any

import pytest

from recurra.data.table import Place, Table
from recurra.data.tagged import UNSEEN, Tags, also_columns, gathered, tag_column, token_column
from recurra.data.tagged_description import describe_tagged, looks_tagged
from recurra.errors import DataError, RunError
from recurra.settings.tagging import TaggedSettings

PLACE = Place("a.jsonl", 3, "tags")


def table(**columns: list[Any]) -> Table:
    rows = len(next(iter(columns.values())))
    return Table("a.jsonl", columns, list(range(1, rows + 1)))


def test_columns_are_found_by_their_usual_names_or_given() -> None:
    conllu = table(form=[["a"]], lemma=[["a"]], upos=[["X"]], xpos=[["Y"]], feats=[["_"]])
    assert (token_column(conllu, TaggedSettings()), tag_column(conllu, TaggedSettings())) == ("form", "upos")
    given = TaggedSettings(input=("lemma",), target=("xpos",))
    assert (token_column(conllu, given), tag_column(conllu, given)) == ("lemma", "xpos")
    assert token_column(table(other=[["a"]]), TaggedSettings()) == "other"
    with pytest.raises(DataError, match="which column holds the tokens"):
        token_column(table(a=[["a"]], b=[["a"]]), TaggedSettings())
    with pytest.raises(DataError, match="which column holds the tags"):
        tag_column(table(tokens=[["a"]]), TaggedSettings())
    with pytest.raises(DataError, match=r"no column 'upoz'; did you mean 'upos'"):
        tag_column(conllu, TaggedSettings(target=("upoz",)))


def test_what_is_learned_beside_the_target_is_chosen_or_given() -> None:
    conllu = table(upos=[["X", "Y"]], xpos=[["A", "B"]], feats=[["_", "_"]], deprel=[["x", "y"]])
    assert also_columns(conllu, "auto", "upos") == ("xpos",)  # features that never differ teach nothing
    assert also_columns(conllu, "auto", "deprel") == ()
    assert also_columns(conllu, "none", "upos") == ()
    assert also_columns(conllu, "xpos, deprel", "upos") == ("xpos", "deprel")
    assert also_columns(table(upos=[["X"]], xpos=[["A", None]]), "auto", "upos") == ()
    with pytest.raises(DataError, match="no column 'dep'"):
        also_columns(conllu, "dep", "upos")
    with pytest.raises(DataError, match="'upos' is the target already"):
        also_columns(conllu, "upos", "upos")


def test_rows_of_an_id_are_a_sentence_in_the_order_of_time() -> None:
    rows = table(s=["b", "a", "b", "a"], at=[2, 1, 1, 2], word=["y", "p", "x", "q"], tag=["Y", "P", "X", "Q"])
    found = gathered(rows, TaggedSettings(id="s", time="at"))
    assert found.columns["word"] == [["x", "y"], ["p", "q"]] and found.columns["tag"] == [["X", "Y"], ["P", "Q"]]
    assert found.columns["s"] == ["b", "a"] and found.lines == [1, 2]
    assert gathered(rows, TaggedSettings(id="s")).columns["word"] == [["y", "x"], ["p", "q"]]
    assert gathered(rows, TaggedSettings()) is rows
    with pytest.raises(DataError, match="line 3, column 'g': the group of the id 'b' is another one than in line 1"):
        gathered(table(s=["b", "a", "b"], g=[1, 1, 2]), TaggedSettings(id="s", group="g"))


def test_tags_are_numbered_by_name_and_an_unseen_one_has_no_number() -> None:
    tags = Tags.fit(table(tags=[["N", "V"], [1, "N"]]), "tags", [2, 2])
    assert tags.names == ("1", "N", "V")
    assert tags.encode(["V", "Z", 1], 3, PLACE).tolist() == [2, UNSEEN, 0]
    assert tags.decode([2, 0]) == ["V", "1"]
    assert Tags.from_json(tags.to_json()) == tags


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (["N"], "1 tags stand beside 2 tokens; give each token one"),
        (["N", None], "the tag of token 2 is missing"),
        (["", "N"], "the tag of token 1 is missing"),
        ("NV", "is str; a list of tags is expected"),
        (None, "is missing; a list of tags is expected"),
        (["N", ["V"]], "the label is list"),
    ],
)
def test_tags_that_do_not_fit_are_refused_with_their_line(value: Any, words: str) -> None:
    tags = Tags("tags", ("N", "V"))
    with pytest.raises(DataError, match=rf"a\.jsonl, line 3, column 'tags': {words}"):
        tags.encode(value, 2, PLACE)


def test_one_tag_alone_leaves_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="hold the one tag 'N'; tagging needs two"):
        Tags.fit(table(tags=[["N", "N"]]), "tags", [2])


@pytest.mark.parametrize("saved", [None, {}, {"column": "a", "names": ["x"]}, {"column": "a", "names": ["x", "x"]}])
def test_damaged_tags_are_refused(saved: Any) -> None:
    with pytest.raises(RunError, match="tags: a column and unique names"):
        Tags.from_json(saved)


def test_a_tagged_file_is_described() -> None:
    tagged = table(tokens=[["a", "b"], ["c"], []], tags=[["X", "Y"], ["X"], []])
    assert looks_tagged(tagged, TaggedSettings())
    found = describe_tagged(tagged, TaggedSettings())
    assert found["tokens"] == 3 and found["classes"] == {"X": 2, "Y": 1}
    assert found["lengths"] == {"shortest": 0, "median": 1, "longest": 2, "unit": "tokens"}
    assert found["problems"] == ["1 row(s) have no tokens", "2 tag(s) have fewer than 3 tokens: X, Y"]
    assert not looks_tagged(table(text=["a"], label=["X"]), TaggedSettings())
    assert not looks_tagged(table(tokens=["a b"], tags=["X Y"]), TaggedSettings())
