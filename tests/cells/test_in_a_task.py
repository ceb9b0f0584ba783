"""Cells whose states or sizes are unlike an LSTM's, from a table to a stored run and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import recurra


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "slstm", "num_layers": 2, "dropout": 0.1},
        {"cell": "lstm_projection", "bidirectional": True, "weight_dropout": 0.1},
        {"cell": "mingru", "zoneout": 0.1},
    ],
    ids=lambda options: str(options["cell"]),
)
def test_a_run_with_another_cell_is_stored_and_answers_the_same(tmp_path: Path, options: dict[str, Any]) -> None:
    data = {"text": ["a fine film", "a poor one", "fine and good", "bad, poor"] * 10, "label": ["yes", "no"] * 20}
    run = recurra.train(
        "classify", data=data, input="text", target="label", hidden_size=6, epochs=1, out=tmp_path / "run", **options
    )
    asked = ["fine", "", "poor and bad words never seen"]
    assert recurra.load(tmp_path / "run").predict(asked) == run.predict(asked)


def test_an_option_that_the_cell_has_no_meaning_for_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(recurra.errors.SettingsError, match="zoneout: not for SLSTMCell"):
        recurra.train(
            "classify",
            data={"text": ["a", "b"] * 20, "label": ["x", "y"] * 20},
            input="text",
            target="label",
            cell="slstm",
            zoneout=0.1,
            out=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()
