"""Frames in long form: an answer an id, with its column, in the kind of the question."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import pytest

import recurra
from recurra.errors import DataError


@pytest.fixture(scope="module")
def pandas() -> ModuleType:
    return pytest.importorskip("pandas")  # type: ignore[no-any-return]


def test_a_frame_of_steps_gives_a_frame_of_ids(tmp_path: Path, pandas: ModuleType) -> None:
    rows = [
        (f"s{number}", date(2024, 1, 1) + timedelta(t), float(t * (number % 2)), "up" if number % 2 else "flat")
        for t in range(5)
        for number in range(40)
    ]
    frame = pandas.DataFrame(rows, columns=["series", "day", "x", "label"], index=range(1000, 1200))
    options = {"id": "series", "time": "day", "epochs": 2, "hidden_size": 4, "threads": 1}
    run = recurra.train("classify", data=frame, out=tmp_path / "run", **options)
    answers = run.predict(frame[["series", "day", "x"]])
    assert isinstance(answers, pandas.DataFrame)
    assert list(answers.columns) == ["series", "label", "probability_flat", "probability_up"]
    assert list(answers["series"]) == [f"s{number}" for number in range(40)]
    assert list(answers["label"]) == [one.label for one in run.predict(frame.to_dict("list"))]
    assert run.evaluate(frame)["examples"] == 40
    broken = frame.assign(x=frame["x"].where(frame["x"] < 4))
    with pytest.raises(DataError, match="row 162, column 'x': is missing"):
        run.predict(broken)
