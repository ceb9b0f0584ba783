from __future__ import annotations

import pytest

from recurra.data.table import Table, concatenate
from recurra.errors import DataError


def table(source: str = "a.csv", **columns: list[object]) -> Table:
    rows = len(next(iter(columns.values())))
    return Table(source, dict(columns), list(range(2, rows + 2)))


def test_a_missing_column_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(DataError, match=r"a\.csv: there is no column 'txt'; did you mean 'text'\?.*'text', 'label'"):
        table(text=["x"], label=["y"]).column("txt")


def test_a_hundred_thousand_columns_make_a_short_message() -> None:
    wide = Table("wide.csv", {f"c{i}": [0] for i in range(100_000)}, [2])
    with pytest.raises(DataError, match="100000 in all") as caught:
        wide.column("label")
    assert len(str(caught.value)) < 1000


def test_selected_rows_keep_their_lines() -> None:
    picked = table(text=["p", "q", "r"]).select([2, 0])
    assert picked.column("text") == ["r", "p"]
    assert picked.lines == [4, 2]


def test_joined_tables_name_each_row_by_its_own_file() -> None:
    whole = concatenate([table("a.csv", text=["p"]), table("b.csv", text=["q", "r"])])
    assert whole.column("text") == ["p", "q", "r"]
    assert str(whole.place(2, "text").error("is odd")) == "b.csv, line 3, column 'text': is odd"
    assert whole.select([1]).place(0).source == "b.csv"


def test_tables_of_other_columns_are_not_joined_and_both_files_are_named() -> None:
    with pytest.raises(DataError, match=r"b\.csv: has no column 'text' and a column 'body' more.*a\.csv"):
        concatenate([table("a.csv", text=["p"]), table("b.csv", body=["q"])])
