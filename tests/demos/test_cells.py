"""The demonstration of three cells: a comparison on number words, small here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from recurra.cli.main import main
from recurra.demos import DEMOS
from recurra.demos.cells import CELLS, cells


def test_a_small_run_compares_three_cells_and_ends_with_a_report(tmp_path: Path) -> None:
    assert DEMOS["cells"] is cells
    done = cells(tmp_path / "demo", "none", numbers=(2, 1, 2), epochs=1, seeds=1)
    accuracy, cost = done.tables
    assert [row[0] for row in accuracy.rows][:3] == list(CELLS) == ["lstm", "gru", "rnn"]
    assert any("linear" in str(row[0]) for row in accuracy.rows)
    lstm, gru, rnn = (row[1] for row in cost.rows[:3])
    assert lstm > gru > rnn > 0  # parameters
    compared = json.loads((tmp_path / "demo" / "compare.json").read_text())
    assert [(one["cell"], one["seed"]) for one in compared["runs"]] == [(cell, 0) for cell in CELLS]
    for one, row in zip(compared["rows"], accuracy.rows, strict=True):
        assert one["mean"] == pytest.approx(row[1])
    page = done.report.read_text()
    assert "LSTM against GRU against RNN" in page and "http://" not in page
    assert all(all(f"{cell} " in line for cell in CELLS) for line in done.samples)


def test_without_num2words_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)  # type: ignore[arg-type]
    assert main(["demo", "cells", "--out", str(tmp_path / "demo")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'recurra[demo]'" in line
