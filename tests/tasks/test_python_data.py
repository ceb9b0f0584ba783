"""Python data through a whole run: trained on, evaluated, answered in the kind it came in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import recurra
from recurra.errors import DataError
from recurra.run import Run

QUICK: dict[str, Any] = {"epochs": 1, "hidden_size": 4, "embedding_size": 4, "threads": 1}
TEXTS = ["a fine film", "a bad film", "so fine", "so bad"] * 6
LABELS = ["good", "bad"] * 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = pa.table({"id": range(24), "text": TEXTS, "label": LABELS})
    return recurra.train("classify", data=data, out=tmp_path_factory.mktemp("run") / "run", **QUICK)


def test_a_run_trained_on_one_kind_is_that_of_another(run: Run, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": pandas.Series(TEXTS, dtype="string"), "label": pandas.Categorical(LABELS)})
    other = recurra.train("classify", data=frame, out=tmp_path / "run", **QUICK)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name])
    one, same = other.evaluate(frame), run.evaluate(pa.table({"text": TEXTS, "label": LABELS}))
    assert {n: v for n, v in one.items() if "seconds" not in n} == {n: v for n, v in same.items() if "seconds" not in n}


def test_a_frame_is_answered_by_a_frame_with_the_same_numbers(run: Run) -> None:
    pandas = pytest.importorskip("pandas")
    rows = {"label": ["unused"] * 3, "text": ["so fine", "", "what"], "id": [1, 2, 3]}
    predictions = run.predict(rows)
    frame = run.predict(pandas.DataFrame(rows, index=[30, 10, 20]))
    assert list(frame.columns) == ["label", "probability_bad", "probability_good"]
    assert list(frame.index) == [30, 10, 20]
    assert list(frame["label"]) == [one.label for one in predictions]
    for name in ("bad", "good"):
        assert list(frame[f"probability_{name}"]) == [one.probabilities[name] for one in predictions]
    assert run.predict(pa.table(rows)).to_pydict() == frame.to_dict("list")


def test_a_regression_answers_a_column_of_values(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    data = polars.DataFrame({"text": TEXTS, "target": [1.0, -1.0] * 12})
    run = recurra.train("regress", data=data, out=tmp_path / "run", **QUICK)
    answer = run.predict(data.select("text"))
    assert isinstance(answer, polars.DataFrame) and answer.columns == ["value"]
    assert answer["value"].to_list() == [one.value for one in run.predict(TEXTS)]


def test_lists_mappings_rows_columns_and_generators_are_answered_by_the_same_list(run: Run) -> None:
    expected = run.predict(["so fine", "so bad"])
    assert type(expected) is list and len(expected) == 2
    for given in (
        ("so fine", "so bad"),
        (text for text in ["so fine", "so bad"]),
        np.array(["so fine", "so bad"]),
        pa.array(["so fine", "so bad"]),
        {"text": ["so fine", "so bad"]},
        {"text": ["so fine", "so bad"], "id": [1, 2]},
        [{"text": "so fine", "id": 1}, {"text": "so bad", "id": 2}],
    ):
        assert run.predict(given) == expected


def test_series_come_as_arrays_tensors_ragged_lists_and_list_columns_alike(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    array = draw.normal(size=(24, 5, 3)).astype(np.float32)
    labels = np.array([np.int64(0), np.int64(1)] * 12)
    run = recurra.train(
        "classify", data={"input": torch.from_numpy(array), "target": labels}, out=tmp_path / "run", **QUICK
    )
    assert run.labels == ("0", "1")
    expected = run.predict(array)
    assert run.predict(torch.from_numpy(array)) == run.predict(array.tolist()) == expected
    answer = run.predict(pa.table({"input": array.tolist()}))
    assert answer["label"].to_pylist() == [one.label for one in expected]
    ragged = [array[0, :2], array[1].tolist(), torch.from_numpy(array[2])]
    assert [one.label for one in run.predict(ragged)[1:]] == [one.label for one in expected[1:3]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"text": [*TEXTS[:-1], None]}, "the given data, row 24, column 'text': the input is missing; a text is expec"),
        ({"text": [None, *TEXTS[1:]]}, "the given data, row 1, column 'text': the input is missing"),
        ({"text": [*TEXTS[:-1], 5]}, "row 24, column 'text': a number or list of numbers stands among texts; an"),
        ({"text": [5, *TEXTS[1:]]}, "row 2, column 'text': a text stands among numbers or lists of numbers; an"),
        ({"label": [*LABELS[:-1], None]}, "the given data, row 24, column 'label': the label is missing"),
        ({"text": [[1.0, 2.0]] * 23 + [[1.0, None]]}, "row 24, column 'text': step 2 is missing; a number is expected"),
        ({"text": [*TEXTS[:-1], ""]}, "the given data, row 24, column 'text': the input is empty"),
    ],
)
def test_a_faulty_value_is_named_by_row_and_column(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    data = {"text": TEXTS, "label": LABELS} | change
    with pytest.raises(DataError, match=sentence):
        recurra.train("classify", data=data, valid=data, test=data, out=tmp_path / "run", **QUICK)


def test_a_faulty_row_of_a_prediction_is_named_and_one_text_alone_is_refused(run: Run) -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="the given data, row 2, column 'text': the input is missing"):
        run.predict(pandas.DataFrame({"text": ["x", None], "id": [1, 2]}))
    with pytest.raises(DataError, match=r"no column 'txt'|which column is the input"):
        run.predict(pandas.DataFrame({"txt": ["x"], "id": [1]}))
    with pytest.raises(DataError, match="is str; a frame"):
        run.predict("a fine film")
