"""The table of costs: what it holds, what "auto" makes of it, and what becomes of a damaged one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recurra.cells import CELLS
from recurra.engines import costs, select_engine
from recurra.engines.costs import CostTable, Work
from recurra.engines.native.library import Library
from recurra.errors import DataError
from recurra.nn import Recurrent

CELL_COSTS = {"GRUCell": {"equal, forward": [(1, 64, 64, 3.0), (64, 64, 64, 1.05), (64, 64, 512, 1.2)]}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the user's; the file of the table in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "recurra").mkdir()
    costs.forget()
    yield costs.user_path()
    costs.forget()


def put(path: Path, cells: object = CELL_COSTS) -> None:
    path.write_text(costs.as_text(cells, costs.made_now()))  # type: ignore[arg-type]
    costs.forget()


def test_the_nearest_shape_answers() -> None:
    table = CostTable(CELL_COSTS, {}, Path("none"))
    for rows, steps, hidden, ratio in [
        (1, 64, 64, 3.0),
        (2, 1000, 32, 3.0),
        (64, 64, 64, 1.05),
        (20, 50, 100, 1.05),
        (100, 64, 1000, 1.2),
    ]:
        assert table.ratio("GRUCell", hidden, Work(rows, steps, False, False)) == ratio
    assert table.ratio("GRUCell", 64, Work(1, 64, True, False)) is None
    assert table.ratio("LSTMCell", 64, Work(1, 64, False, False)) is None


def test_auto_takes_the_native_engine_where_it_was_clearly_quicker(cache: Path, library: Library) -> None:
    put(cache)
    gru, lstm = CELLS["gru"](64, 64), CELLS["lstm"](64, 64)
    assert select_engine("auto", gru, work=Work(1, 64, False, False)) == "native"
    assert select_engine("auto", gru, work=Work(64, 64, False, False)) == "fused"
    assert select_engine("auto", gru, work=Work(1, 64, False, True)) == "fused"
    assert select_engine("auto", lstm, work=Work(1, 64, False, False)) == "fused"
    assert select_engine("auto", gru) == "fused"
    assert select_engine("auto", gru, mask=torch.ones(1, 64), work=Work(1, 64, False, False)) == "loop"
    assert select_engine("loop", gru, work=Work(1, 64, False, False)) == "loop"


def test_a_layer_runs_on_what_was_chosen_and_gives_the_same_numbers(
    cache: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    kernel = Library.function
    monkeypatch.setattr(Library, "function", lambda self, name, dtype: ran.append(name) or kernel(self, name, dtype))
    layer, x = Recurrent("gru", 3, 64), torch.randn(1, 64, 3)
    put(cache, {})
    with torch.no_grad():
        fused, _ = layer(x)
        assert ran == []
        put(cache)
        native, _ = layer(x)
        assert "gru_forward" in ran
    torch.testing.assert_close(native, fused)


def test_the_choice_depends_on_no_thread_count(cache: Path, library: Library) -> None:
    put(cache)
    cell, before = CELLS["gru"](64, 64), torch.get_num_threads()
    chosen = set()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            chosen.add(select_engine("auto", cell, work=Work(1, 64, False, False)))
    finally:
        torch.set_num_threads(before)
    found: list[str] = []
    other = threading.Thread(target=lambda: found.append(select_engine("auto", cell, work=Work(1, 64, False, False))))
    other.start()
    other.join()
    assert chosen == set(found) == {"native"}


def test_a_table_written_is_read_as_it_was_and_written_the_same_again(cache: Path) -> None:
    put(cache)
    found = costs.table()
    assert found.source == cache
    assert found.cells == {"GRUCell": {"equal, forward": tuple(sorted(CELL_COSTS["GRUCell"]["equal, forward"]))}}
    assert costs.as_text(found.cells, found.made_with) == cache.read_text()
    other = {"GRUCell": {"equal, forward": CELL_COSTS["GRUCell"]["equal, forward"][::-1]}}
    assert costs.as_text(other, found.made_with) == cache.read_text()
    digest = found.digest
    put(cache, {"GRUCell": {"equal, forward": [(1, 64, 64, 3.01)]}})
    assert costs.table().digest != digest and costs.in_use()["costs"] == costs.table().digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff{", "is no JSON"),
        (b"[]", "is no table of engine costs of format 1"),
        (b'{"format": 2}', "is no table of engine costs of format 1"),
        (b'{"format": 1, "made_with": {}}', "without made_with or cells"),
        (b'{"format": 1, "made_with": {}, "cells": {"GRUCell": {"equal": 3}}}', "damaged at GRUCell"),
        (b'{"format": 1, "made_with": {}, "cells": {"GRUCell": {"equal": [[1, 2, 3]]}}}', "damaged at GRUCell"),
        (b'{"format": 1, "made_with": {}, "cells": {"GRUCell": {"equal": [[1, 0, 3, 1.5]]}}}', "damaged at GRUCell"),
        (b'{"format": 1, "made_with": {}, "cells": {"GRUCell": {"equal": [[1, 1, 3, true]]}}}', "damaged at GRUCell"),
        (b'{"format": 1, "made_with": {}, "cells": {"GRUCell": {"equal": [[1, 1, 3, NaN]]}}}', "is no JSON"),
    ],
)
def test_a_damaged_table_is_told_in_a_sentence_and_left(cache: Path, content: bytes, message: str) -> None:
    cache.write_bytes(content)
    costs.forget()
    with pytest.warns(UserWarning, match=rf"costs.json.*{message}.*remake it by recurra bench --tune"):
        found = costs.table()
    assert found.source == costs.DEFAULT
    with pytest.raises(DataError):
        costs.read(cache)


def test_a_folder_in_its_place_is_told_too(cache: Path) -> None:
    cache.mkdir()
    with pytest.warns(UserWarning, match="the package's own table is used"):
        assert costs.table().source == costs.DEFAULT


def test_a_table_of_another_torch_or_processor_is_left(cache: Path) -> None:
    for name in ("torch", "instructions"):
        cache.write_text(costs.as_text(CELL_COSTS, costs.made_now() | {name: "another"}))
        costs.forget()
        assert costs.table().source == costs.DEFAULT


def test_the_packages_own_table_is_whole_and_written_in_its_form() -> None:
    found = costs.read(costs.DEFAULT)
    assert set(found.cells) <= {type(cell(2, 2)).__name__ for cell in CELLS.values()}
    assert costs.DEFAULT.read_text() == costs.as_text(found.cells, found.made_with)
    assert json.loads(costs.DEFAULT.read_text())["format"] == costs.FORMAT
