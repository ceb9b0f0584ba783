"""A cell of one's own in a task: its name in the run, its code in the caller's hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from torch import Tensor, nn

import recurra
from recurra.cells import Cell, LSTMCell
from recurra.errors import RunError, SettingsError
from recurra.settings.own_cells import named, own_cells

DATA = {"text": ["a fine film", "a poor one", "fine and good", "bad, poor"] * 10, "label": ["yes", "no"] * 20}
TASK: dict[str, Any] = {"data": DATA, "input": "text", "target": "label", "hidden_size": 6, "epochs": 1}


class Leak(NamedTuple):
    level: Tensor


class LeakyCell(Cell):
    """A leaky integrator."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.inward = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size: int) -> Leak:
        return Leak(self.inward.weight.new_zeros(batch_size, self.output_size))

    def step(self, x: Tensor, state: Leak) -> tuple[Tensor, Leak]:
        level = 0.9 * state.level + self.inward(x)
        return level.tanh(), Leak(level)


def test_a_run_with_a_cell_of_ones_own_stores_its_name_and_is_given_it_back(tmp_path: Path) -> None:
    run = recurra.train("classify", cell=LeakyCell, out=tmp_path / "run", **TASK)
    assert 'cell = "leaky_cell"' in (tmp_path / "run" / "config.toml").read_text()
    again = recurra.load(tmp_path / "run", cells={"leaky_cell": LeakyCell})
    assert again.predict(["fine", "poor"]) == run.predict(["fine", "poor"])
    assert own_cells() == {}
    with pytest.raises(RunError, match=r"cell: 'leaky_cell' is not known; .*cells=\{'leaky_cell': …\}"):
        recurra.load(tmp_path / "run")
    with pytest.raises(RunError, match="does not hold the weights"):
        recurra.load(tmp_path / "run", cells={"leaky_cell": LSTMCell})


def test_a_run_with_a_cell_of_ones_own_holds_its_certificate(tmp_path: Path) -> None:
    run = recurra.train("classify", cell=LeakyCell, out=tmp_path / "run", **TASK)
    cells = {"leaky_cell": LeakyCell}
    certificate = recurra.certify(tmp_path / "run", cells=cells)
    assert certificate.holds
    reasons = {pair.name: pair.reason for pair in certificate.pairs}
    assert reasons["resumed in another process"] == (
        "leaky_cell is a cell of the caller's own, and another process does not have its code"
    )
    assert recurra.resume(tmp_path / "run", cells=cells).predict(["fine"]) == run.predict(["fine"])


def test_a_stack_mixes_cells_of_ones_own_with_the_packages(tmp_path: Path) -> None:
    run = recurra.train("classify", cell=["gru", LeakyCell], out=tmp_path / "run", **TASK)
    kinds = [type(one).__name__ for one in run.parts.model.modules() if isinstance(one, Cell)]
    assert kinds == ["GRUCell", "LeakyCell"]
    again = recurra.load(tmp_path / "run", cells={"leaky_cell": LeakyCell})
    assert again.predict(["fine"]) == run.predict(["fine"])


def test_names_come_from_the_class() -> None:
    assert named(LeakyCell) == ("leaky_cell", {"leaky_cell": LeakyCell})
    assert named(LSTMCell)[0] == "lstm_cell"
    assert named(["lstm", LeakyCell]) == (["lstm", "leaky_cell"], {"leaky_cell": LeakyCell})
    assert named("lstm,gru") == ("lstm,gru", {})
    with pytest.raises(SettingsError, match="without a name"):
        named(lambda inputs, hidden: LeakyCell(inputs, hidden))
    with pytest.raises(SettingsError, match="two cells are called 'leaky_cell'"):
        named([LeakyCell, type("LeakyCell", (LeakyCell,), {})])


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"lstm": LeakyCell}, "'lstm' is a cell of this package"),
        ({"My Cell": LeakyCell}, "'My Cell' is no name for a cell"),
        ({"my_cell": 3}, "'my_cell' is a int, expected a Cell class"),
    ],
)
def test_a_table_of_ones_own_that_cannot_be_is_refused(tmp_path: Path, cells: Any, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        recurra.load(tmp_path, cells=cells)
