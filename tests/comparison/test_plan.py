"""A plan is checked for every cell before anything is trained, and gives every cell the same data in the same order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recurra.comparison.plan import Plan, load_plan, make_plan, save_plan
from recurra.data.partition import Given
from recurra.errors import RunError, SettingsError
from recurra.settings.structure import from_keywords
from recurra.tasks import TASKS

ROWS = {"text": [f"{word} film {number}" for number in range(40) for word in ("good", "bad")], "label": ["a", "b"] * 40}


def plan(cells: Any = ("rnn", "lstm"), seeds: Any = 2, **settings: Any) -> Plan:
    return make_plan("classify", from_keywords("classify", **settings), cells, seeds, objects=False, isolated=True)


def test_a_seed_of_every_cell_comes_before_the_next_seed() -> None:
    names = [one.name for one in plan(["lstm,transformer", "gru"], [4, 7]).trainings()]
    assert names == ["lstm+transformer-4", "gru-4", "lstm+transformer-7", "gru-7"]
    assert [one.settings.training.seed for one in plan(seeds=2, seed=5).trainings()] == [5, 5, 6, 6]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cells": []}, "cells: none is named"),
        ({"cells": ["lstm", "rnn", "lstm"]}, "cells: 'lstm' is named twice; name each once"),
        ({"cells": ["rnn", "lstn"]}, "cells: 'lstn' is not known; did you mean 'lstm'?"),
        ({"seeds": 0}, "seeds: 0 is below 1"),
        ({"seeds": []}, "seeds: the list is empty"),
        ({"seeds": [1, 2, 1]}, "seeds: 1 is named twice"),
        ({"seeds": [-1]}, "seeds: -1 is no whole number of 0 or more"),
        ({"residual": True}, "residual: connections start at the second layer"),
        ({"cells": ["lstm", "mingru"], "recurrent_dropout": 0.1}, "mingru: recurrent_dropout"),
        ({"attention_window": 8}, "attention_window: it is the memory of the cell transformer"),
    ],
)
def test_what_is_not_legal_is_refused_in_one_sentence(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(**given)
    assert words in str(caught.value)


def test_a_memory_of_attention_is_given_to_the_cells_that_have_one() -> None:
    made = plan(["lstm", "transformer"], 1, cell="transformer", attention_window=8).trainings()
    assert [one.settings.model.attention_window for one in made] == [None, 8]


def test_a_plan_that_was_saved_is_the_same_plan(tmp_path: Path) -> None:
    made = plan(["lstm,gru", "rnn"], [3, 1], hidden_size=7, num_layers=2, data="a.csv")
    save_plan(tmp_path, made)
    assert load_plan(tmp_path) == made


def test_a_damaged_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no comparison: it has no comparison\.toml"):
        load_plan(tmp_path)
    save_plan(tmp_path, plan())
    text = (tmp_path / "comparison.toml").read_text()
    for changed in (text.replace('cells = ["rnn", "lstm"]', "cells = 3"), text[:200] + "\0"):
        (tmp_path / "comparison.toml").write_text(changed)
        with pytest.raises(
            RunError, match=r"comparison\.toml is damaged: .*; give the command of this comparison again"
        ):
            load_plan(tmp_path)


def test_a_seed_gives_every_cell_the_same_rows_in_the_same_order() -> None:
    seen = []
    for one in plan(["rnn", "transformer"], 2, hidden_size=8, epochs=3).trainings():
        task = TASKS["classify"]
        parts = task.read(one.settings, Given(ROWS))
        training = task.fit_features(one.settings, parts.train).training(parts)
        rows = [part.columns["text"] for part in (parts.train, parts.valid, parts.test)]  # type: ignore[attr-defined]
        seen.append((rows, [training.plan(epoch) for epoch in range(3)]))
    rnn_0, transformer_0, rnn_1, transformer_1 = seen
    assert rnn_0 == transformer_0 and rnn_1 == transformer_1
    assert rnn_0[0] != rnn_1[0] and rnn_0[1] != rnn_1[1]
    assert rnn_0[1][0] != rnn_0[1][1]
