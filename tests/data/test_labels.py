from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recurra.data.labels import Labels
from recurra.data.table import Place, Table
from recurra.errors import DataError, RunError


def table(**columns: list[Any]) -> Table:
    rows = len(next(iter(columns.values())))
    return Table("a.csv", dict(columns), list(range(2, rows + 2)))


def test_names_are_sorted_and_numbers_by_their_value() -> None:
    assert Labels.from_table(table(y=["b", "a", "b"]), ["y"]).names == ("a", "b")
    assert Labels.from_table(table(y=["10", "9", "-1"]), ["y"]).names == ("-1", "9", "10")


def test_labels_of_every_file_format_are_the_same_text() -> None:
    labels = Labels.from_table(table(y=["0", "1"]), ["y"])
    for one in (1, 1.0, True, np.int64(1), np.float32(1), np.True_, "1"):
        assert labels.encode(one, Place("b.csv")) == 1


def test_a_list_column_gives_several_labels_a_row() -> None:
    given = table(y=[["b", "a"], [], ["c"]])
    labels = Labels.from_table(given, ["y"])
    assert labels.several
    assert labels.encode_table(given, ["y"]) == [[0, 1], [], [2]]


def test_several_columns_of_zero_and_one_give_several_labels_a_row() -> None:
    given = table(toxic=["1", "0", "1"], rude=[0, 0, 1], never=[0, 0, 0])
    labels = Labels.from_table(given, ["toxic", "rude", "never"])
    assert labels.names == ("never", "rude", "toxic")
    assert labels.encode_table(given, ["toxic", "rude", "never"]) == [[2], [], [1, 2]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["x", "x"], "all 2 rows have the label 'x'; classification needs two"),
        ([["x"], ["x"]], "all 2 rows have the label 'x'"),
        ([[], []], "no label at all"),
        (["x", " "], "line 3, column 'y': the label is missing"),
        (["x", None], "line 3, column 'y': the label is missing"),
        ([1.0, float("nan")], "line 3, column 'y': the label is nan"),
        (["x", ["y"]], "line 3, column 'y': is a list, and other rows have one label"),
        ([["x"], "y"], "line 3, column 'y': is no list"),
        (["x", {"a": 1}], "line 3, column 'y': the label is dict"),
        (["x", 10**5000], "line 3, column 'y': .*thousands of digits"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused_with_their_line(values: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv.*{words}"):
        Labels.from_table(table(y=values), ["y"])


def test_of_several_target_columns_each_holds_zero_or_one() -> None:
    with pytest.raises(DataError, match=r"line 3, column 'b': is 'yes'.*0 or 1"):
        Labels.from_table(table(a=["0", "1"], b=["1", "yes"]), ["a", "b"])


def test_a_label_never_seen_is_refused_with_the_nearest() -> None:
    labels = Labels(("negative", "positive"), several=False)
    with pytest.raises(DataError, match=r"b\.csv, line 7: the label 'postive' was never seen.*'positive'"):
        labels.encode("postive", Place("b.csv", 7))


def test_labels_come_back_from_json_and_damage_is_refused() -> None:
    labels = Labels(("1", "2", "\ud800"), several=True)
    assert Labels.from_json(labels.to_json()) == labels
    for damaged in (None, [], {}, {"names": ["a", "a"], "several": False}, {"names": ["a", 1], "several": False},
                    {"names": [], "several": False}, {"names": ["a", "b"], "several": 1}):  # fmt: skip
        with pytest.raises(RunError, match="labels"):
            Labels.from_json(damaged)
