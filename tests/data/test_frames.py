"""Frames of other libraries as tables, and columns as frames of the same kind."""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from recurra.data.answers import answer_columns, in_kind_of
from recurra.data.readers import table_from_python
from recurra.errors import DataError
from recurra.tasks.classify import Prediction
from recurra.tasks.regress import Estimate

COLUMNS: dict[str, list[Any]] = {
    "text": ["a fine film", None, "so bad"],
    "label": [1, 0, None],
    "series": [[1.0, 2.0], [3.0], []],
}
NAN = float("nan")


@pytest.fixture(scope="module")
def pandas() -> ModuleType:
    return pytest.importorskip("pandas")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def polars() -> ModuleType:
    return pytest.importorskip("polars")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def datasets() -> ModuleType:
    return pytest.importorskip("datasets")  # type: ignore[no-any-return]


@pytest.fixture(params=["pandas", "polars", "arrow", "record batch", "datasets"])
def frame(request: pytest.FixtureRequest) -> Any:
    """COLUMNS as a frame of each kind."""
    if request.param == "arrow":
        return pa.table(COLUMNS)
    if request.param == "record batch":
        return pa.record_batch(COLUMNS)
    library = request.getfixturevalue(request.param)
    if request.param == "datasets":
        return library.Dataset.from_dict(COLUMNS)
    columns: Any = dict(COLUMNS)
    if request.param == "pandas":
        columns["label"] = library.array(COLUMNS["label"], dtype="Int64")
    return library.DataFrame(columns)


def test_every_frame_of_the_same_rows_is_the_same_table(frame: Any) -> None:
    table = table_from_python(frame)
    assert table.columns == COLUMNS
    assert table.lines == [1, 2, 3] and table.source == "the given data"
    assert [type(value) for value in table.columns["label"]] == [int, int, type(None)]


def test_answers_come_in_the_kind_and_order_of_the_frame(frame: Any) -> None:
    answers = [Prediction(name, {"bad": 1 - p, "good": p}) for name, p in (("good", 0.75), ("bad", 0.25), ("bad", 0.5))]
    found = in_kind_of(frame, answers)
    assert type(found) is type(frame)
    assert table_from_python(found).columns == {
        "label": ["good", "bad", "bad"],
        "probability_bad": [0.25, 0.75, 0.5],
        "probability_good": [0.75, 0.25, 0.5],
    }
    assert table_from_python(in_kind_of(frame, [Estimate(0.5)] * 3)).columns == {"value": [0.5, 0.5, 0.5]}


def test_several_labels_a_row_are_a_list_in_the_frame(frame: Any) -> None:
    answers = [Prediction(names, {"a": 0.5}) for names in ((), ("a",), ("a", "b"))]
    assert table_from_python(in_kind_of(frame, answers)).columns["label"] == [[], ["a"], ["a", "b"]]


@pytest.mark.parametrize("given", [["x"], {"input": ["x"]}, np.zeros((1, 2)), torch.zeros(1, 2), ("x",)])
def test_answers_to_what_is_no_frame_stay_a_list(given: Any) -> None:
    answers = [Estimate(1.0)]
    assert in_kind_of(given, answers) is answers


def test_answers_keep_the_index_of_a_pandas_frame(pandas: ModuleType) -> None:
    frame = pandas.DataFrame({"text": ["x", "y"]}, index=pandas.Index(["first", "second"], name="id"))
    found = in_kind_of(frame, [Estimate(1.0), Estimate(2.0)])
    assert found.index.equals(frame.index) and found.index.name == "id"
    assert found.loc["second", "value"] == 2.0
    nested = frame.set_index(pandas.MultiIndex.from_tuples([(1, "a"), (1, "b")]))
    assert in_kind_of(nested, [Estimate(1.0), Estimate(2.0)]).loc[(1, "b"), "value"] == 2.0


def test_a_field_that_is_a_mapping_becomes_a_column_for_each_key() -> None:
    assert answer_columns([Prediction("a", {"a": 0.5, "label": 0.5})]) == {
        "label": ["a"],
        "probability_a": [0.5],
        "probability_label": [0.5],
    }


def test_what_pandas_calls_missing_is_none_and_types_are_pythons(pandas: ModuleType) -> None:
    moment = datetime(2020, 1, 2, 3, 4, 5)
    frame = pandas.DataFrame(
        {
            "object": pandas.Series(["x", NAN, pandas.NA], dtype=object),
            "float": [1.5, NAN, 2.0],
            "category": pandas.Categorical(["u", None, "v"]),
            "string": pandas.array(["a", None, "c"], dtype="string"),
            "boolean": pandas.array([True, None, False], dtype="boolean"),
            "moment": pandas.Series([moment, None, moment]).astype("datetime64[ns]"),
            "zone": pandas.to_datetime(pandas.Series([moment, None, moment])).dt.tz_localize("UTC"),
            "span": pandas.to_timedelta([1, 2, None], unit="s"),
            "arrow": pandas.array([1, None, 3], dtype=pandas.ArrowDtype(pa.int64())),
            "mixed": pandas.Series([pandas.NaT, moment, NAN], dtype=object),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        columns = table_from_python(frame).columns
    zoned = moment.replace(tzinfo=UTC)
    assert columns == {
        "object": ["x", None, None],
        "float": [1.5, None, 2.0],
        "category": ["u", None, "v"],
        "string": ["a", None, "c"],
        "boolean": [True, None, False],
        "moment": [moment, None, moment],
        "zone": [zoned, None, zoned],
        "span": [timedelta(seconds=1), timedelta(seconds=2), None],
        "arrow": [1, None, 3],
        "mixed": [None, moment, None],
    }
    assert type(columns["moment"][0]) is datetime and type(columns["span"][0]) is timedelta
    assert type(columns["boolean"][0]) is bool and type(columns["arrow"][0]) is int


def test_cells_of_a_pandas_frame_may_be_arrays_tensors_and_lists(pandas: ModuleType) -> None:
    cells = {"a": [np.zeros((2, 3)), np.ones((1, 3))], "t": [torch.zeros(2), torch.ones(3)], "l": [[1, None], [2, NAN]]}
    columns = table_from_python(pandas.DataFrame(cells)).columns
    assert [value.shape for value in columns["a"]] == [(2, 3), (1, 3)]
    assert [value.tolist() for value in columns["t"]] == [[0.0, 0.0], [1.0, 1.0, 1.0]]
    assert columns["l"][0] == [1, None] and columns["l"][1][0] == 2 and np.isnan(columns["l"][1][1])


def test_polars_types_become_pythons(polars: ModuleType) -> None:
    frame = polars.DataFrame(
        {
            "array": polars.Series([[1, 2], [3, 4]], dtype=polars.Array(polars.Int64, 2)),
            "category": polars.Series(["a", None], dtype=polars.Categorical),
            "number": [NAN, None],
            "decimal": polars.Series(["1.50", "2.00"]).cast(polars.Decimal(10, 2)),
            "day": [date(2020, 1, 1), None],
        }
    )
    columns = table_from_python(frame).columns
    assert np.isnan(columns["number"][0]) and columns["number"][1] is None  # polars tells the two apart
    del columns["number"]
    assert columns == {
        "array": [[1, 2], [3, 4]],
        "category": ["a", None],
        "decimal": [1.5, 2],
        "day": [date(2020, 1, 1), None],
    }


def test_arrow_types_become_pythons() -> None:
    dictionary = pa.array(["u", None, "v"]).dictionary_encode()
    table = pa.table({"d": dictionary, "l": pa.array([[[1.0], [2.0]], None, []])})
    assert table_from_python(table).columns == {"d": ["u", None, "v"], "l": [[[1.0], [2.0]], None, []]}
    assert table_from_python({"c": table["d"], "a": pa.array([1, None, 3])}).columns == {
        "c": ["u", None, "v"],
        "a": [1, None, 3],
    }


def test_a_hugging_face_set_gives_the_names_of_its_classes_and_its_rows_as_selected(datasets: ModuleType) -> None:
    classes = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features(
        {
            "label": classes,
            "labels": datasets.Sequence(classes),
            "series": datasets.Array2D((2, 2), "float32"),
        }
    )
    columns = {"label": [0, 1, -1], "labels": [[0], [0, 1], []], "series": np.arange(12.0).reshape(3, 2, 2)}
    whole = datasets.Dataset.from_dict(columns, features=features)
    assert table_from_python(whole.select([2, 1])).columns == {
        "label": [None, "good"],  # -1: a label withheld
        "labels": [[], ["bad", "good"]],
        "series": [[[8.0, 9.0], [10.0, 11.0]], [[4.0, 5.0], [6.0, 7.0]]],
    }
    assert table_from_python(whole.filter(lambda row: row["label"] == 1)).column("label") == ["good"]
    assert table_from_python({"label": whole["label"]}).columns == {"label": [0, 1, -1]}  # a column alone has no names


def test_arrays_tensors_and_their_like_are_columns_and_lists_of_inputs(pandas: ModuleType, polars: ModuleType) -> None:
    assert [row.tolist() for row in table_from_python(torch.eye(2, dtype=torch.bfloat16)).column("input")] == [
        [1.0, 0.0],
        [0.0, 1.0],
    ]
    assert table_from_python(torch.zeros(2, 3, 4, requires_grad=True)).column("input")[1].shape == (3, 4)
    ragged = table_from_python([torch.zeros(2), [1, 2, 3], (4.0,)]).column("input")
    assert ragged[0].tolist() == [0.0, 0.0] and ragged[1:] == [[1, 2, 3], [4.0]]
    moments = np.array(["2020-01-02", "NaT"], dtype="datetime64[ns]")
    masked = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]])
    columns = {
        "series": pandas.Series(["x", None]),
        "index": pandas.Index([7, 8]),
        "polars": polars.Series([1, None]),
        "moments": moments,
        "masked": np.ma.array([1, 2], mask=[True, False]),
        "scalars": [np.float32(1.5), np.int64(2)],
        "text": np.array(["a", "b"]),
        "range": range(2),
    }
    assert table_from_python(columns).columns == {
        "series": ["x", None],
        "index": [7, 8],
        "polars": [1, None],
        "moments": [datetime(2020, 1, 2), None],
        "masked": [None, 2],
        "scalars": [1.5, 2],
        "text": ["a", "b"],
        "range": [0, 1],
    }
    assert np.isnan(table_from_python(masked).column("input")[0][1])
    records = np.array([(1, "a"), (2, "b")], dtype=[("x", int), ("label", "U1")])
    assert table_from_python(records).columns == {"x": [1, 2], "label": ["a", "b"]}


def test_nan_is_a_gap_among_texts_and_a_number_among_numbers() -> None:
    columns = table_from_python([{"text": "a", "x": 1.0}, {"text": NAN, "x": NAN}, {"text": None, "x": None}]).columns
    assert columns["text"] == ["a", None, None]
    assert columns["x"][0] == 1.0 and np.isnan(columns["x"][1]) and columns["x"][2] is None
    scalars = table_from_python([np.float32(1.5), np.float32("nan"), None]).column("input")
    assert type(scalars[0]) is float and np.isnan(scalars[1]) and scalars[2] is None
    endless: list[Any] = ["a"]
    endless.append(endless)
    assert table_from_python([endless]).column("input")[0][0] == "a"


def test_what_is_no_table_is_refused_in_a_sentence(
    pandas: ModuleType, polars: ModuleType, datasets: ModuleType
) -> None:
    whole = datasets.Dataset.from_dict({"text": ["x"]})
    for data, words in [
        (polars.DataFrame({"a": [1]}).lazy(), "the given data: is LazyFrame, which has no rows yet; collect it first"),
        (whole.to_iterable_dataset(), "is IterableDataset, which streams; give a Dataset"),
        (datasets.DatasetDict({"train": whole}), r"holds whole tables \('train'\); give each on its own"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of one name"),
        (pandas.DataFrame([[1, 2]], columns=["1", 1]), "two columns of one name"),
        (pandas.DataFrame({"a": []}), "is empty"),
        (pandas.DataFrame(), "is empty"),
        ({"a": {1, 2}}, "column 'a': is set; a list or an array"),
        (object(), "is object; a frame, a mapping of columns"),
        (np.float64(3), "is float64; a frame"),
    ]:
        with pytest.raises(DataError, match=words):
            table_from_python(data)


def test_a_frame_without_names_is_named_by_number(pandas: ModuleType) -> None:
    assert table_from_python(pandas.DataFrame([["x", 1]])).columns == {"0": ["x"], "1": [1]}


def test_times_that_differ_in_nanoseconds_stay_apart() -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.to_datetime(["2026-01-01T00:00:00.000000001", "2026-01-01T00:00:00.000000002"])
    one, other = table_from_python(pandas.DataFrame({"t": times})).column("t")
    assert one < other
