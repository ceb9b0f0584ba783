"""`recurra bench`: what it measures and prints; how quick anything is, is no matter of a test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra import bench
from recurra.bench import figures as figures_module
from recurra.bench import sequences, steps, tune
from recurra.bench.sequences import Case
from recurra.bench.tune import Grid
from recurra.bench.turns import medians
from recurra.cells import CELLS
from recurra.cli.main import main
from recurra.engines import costs
from recurra.engines.costs import Work
from recurra.engines.native import why_absent
from recurra.errors import WorkError

FEW = {name: CELLS[name] for name in ("gru", "lstm_layernorm", "transformer")}  # the last one has no native kernels
SMALL = Grid(rows=(1, 2), steps=(3,), hidden_sizes=(2,))


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small shapes, and a cache of its own."""
    if why_absent() is not None:
        pytest.skip(f"no native engine: {why_absent()}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sequences, "LEAST", 0.0)
    monkeypatch.setattr(steps, "STEPS", 2)
    for module in (figures_module, tune):
        monkeypatch.setattr(module, "CELLS", FEW)
    monkeypatch.setattr(figures_module, "SHAPES", ((2, 3, 4),))
    monkeypatch.setattr(figures_module, "HIDDEN", (4,))
    costs.forget()
    yield
    costs.forget()


def test_ways_take_turns_and_a_median_is_one_calls() -> None:
    called: list[str] = []
    found = medians({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 3)
    assert called == ["a", "a", "b", "b", "a", "b", "a", "b", "a", "b"]  # two calls say how long one takes
    assert set(found) == {"a", "b"} and all(seconds >= 0 for seconds in found.values())


def test_a_case_is_measured_against_the_engine_or_torch() -> None:
    assert set(bench.measured_case(Case("gru", 4, Work(2, 3, True, True)), 1)) == {"native", "fused"}
    assert set(bench.measured_case(Case("lstm", 4, Work(2, 3, True, False)), 1, torch_nn=True)) == {"native", "torch"}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_cell_that_magnifies_every_rounding_is_timed_too(threads: int) -> None:
    own = torch.get_num_threads()
    torch.set_num_threads(threads)  # torch's products round differently with two
    try:
        assert set(bench.measured_case(Case("lstm_layernorm", 64, Work(16, 64, False, True)), 1)) == {"native", "loop"}
    finally:
        torch.set_num_threads(own)


def test_numbers_that_differ_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    way = sequences._way
    monkeypatch.setattr(
        sequences,
        "_way",
        lambda layer, x, lengths: lambda: way(layer, x, lengths)() + (getattr(layer, "engine", "") == "native"),
    )
    with pytest.raises(WorkError, match="the native engine and fused give different numbers"):
        bench.measured_case(Case("gru", 4, Work(2, 3, False, False)), 1)


def test_a_table_measured_has_every_cell_and_shape_in_order() -> None:
    told: list[str] = []
    found = bench.measured_costs(1, told.append, SMALL)
    assert list(found) == ["GRUCell", "LayerNormLSTMCell"] and len(told) == 2
    for of_kind in found.values():
        assert {kind: [shape[:3] for shape in shapes] for kind, shapes in of_kind.items()} == {
            "equal, forward": [(1, 3, 2), (2, 3, 2)],
            "equal, training": [(1, 3, 2), (2, 3, 2)],
            "unequal, forward": [(2, 3, 2)],
            "unequal, training": [(2, 3, 2)],
        }


def test_tune_keeps_a_table_that_is_used_from_then_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = costs.table().digest
    cells = {"GRUCell": {"equal, forward": [(1, 64, 64, 3.0)]}}
    monkeypatch.setattr(bench, "measured_costs", lambda rounds, tell: cells)
    assert main(["bench", "--tune"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"engine costs {costs.table().digest}", str(costs.user_path())]
    assert costs.table().source == costs.user_path() and costs.table().digest != before


def test_tune_writes_where_it_is_told_and_prints_the_digest_of_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "measured_costs", lambda rounds, tell: {})
    path = tmp_path / "new" / "costs.json"
    assert main(["bench", "--tune", "--out", str(path)]) == 0
    assert costs.read(path).cells == {}
    assert capsys.readouterr().out.splitlines() == [f"engine costs {costs.read(path).digest}", str(path)]
    assert costs.read(path).digest != costs.table().digest
    assert not costs.user_path().exists()


def test_the_figures_are_printed_as_tables_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--rounds", "1", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [row["cell"] for row in found["sequences"]] == ["gru", "gru", "lstm_layernorm", "lstm_layernorm"]
    row = next(row for row in found["sequences"] if row["cell"] == "gru")
    assert (row["rows"], row["steps"], row["hidden"], row["lengths"], row["other"]) == (2, 3, 4, "equal", "torch")
    assert [row["cell"] for row in found["steps"]] == ["rnn", "lstm", "gru"]
    assert found["machine"]["costs"] == costs.table().digest
    assert main(["bench", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    assert "sequences: milliseconds, forward and backward" in printed and "torch / session" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "rounds: 0 is below 1"),
        (["--out", "here.json"], "out: it says where the table of --tune goes; give --tune too"),
        (["--tune", "--json"], "json: --tune writes a table"),
    ],
)
def test_options_without_an_effect_are_refused(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["bench", *options]) == 2
    assert message in capsys.readouterr().err
