"""The laws of recurrence, over every cell, composition and engine."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra import laws
from recurra.cells import CELLS
from recurra.engines import why_not
from recurra.engines.selection import QUICK
from recurra.nn import Noise, Recurrent
from recurra.settings.names import CellName
from recurra.state import State, map_state

from .compositions import CHOICES, COMPOSITIONS, MIXED, build, draw_state, name


def every_composition(test: Any) -> Any:
    """A test on every layer; half the examples of a profile each, since there are many layers."""
    half = settings(max_examples=settings.default.max_examples // 2)  # type: ignore[union-attr]
    return pytest.mark.parametrize("row", COMPOSITIONS, ids=name)(half(test))


small = {"rows": st.integers(1, 4), "steps": st.integers(1, 8), "seed": st.integers(0, 2**20)}


class Case:
    """A layer, and a batch drawn for it; in training mode with noise where the layer has any."""

    def __init__(self, row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
        self.draw = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.layer: Recurrent = build(row, seed=seed).train(self.draw.random() < 0.7)
        dtype = row["dtype"]
        self.x = torch.randn(rows, steps, 3, dtype=dtype, generator=self.generator).clamp(-3, 3)
        self.lengths = torch.tensor([self.draw.randint(0, steps) for _ in range(rows)])
        self.episodes = torch.rand(rows, steps, generator=self.generator) < 0.3
        self.resets = self.episodes if self.draw.random() < 0.5 else None  # without, other kernels are chosen
        self.noise: Noise | None = None
        if self.layer.training:
            self.noise = self.layer.noise(rows, self.generator, steps=steps)
        self.state: State = None
        if self.draw.random() < 0.5:
            self.state = draw_state(self.layer, rows, self.generator)

    def given_state(self) -> State:
        return self.layer.initial_state(self.x.shape[0]) if self.state is None else self.state

    def hold(self, distance: float) -> None:
        assert laws.within(distance, self.x.dtype), f"{distance} apart"


def test_every_cell_and_every_choice_is_covered() -> None:
    assert {row["cell"] for row in COMPOSITIONS} == {*CELLS, *MIXED}
    assert set(CELLS) == set(get_args(CellName))
    for choice, values in CHOICES.items():
        assert {row[choice] for row in COMPOSITIONS} == set(values), choice


def test_every_law_is_tested() -> None:
    here = {key.removeprefix("test_") for key in globals() if key.startswith("test_")}
    assert set(laws.LAWS) <= here


@every_composition
@given(**small)
def test_steps_equal_whole(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case({**row, "bidirectional": False}, rows, steps, seed)
    case.hold(laws.steps_equal_whole(case.layer, case.x, case.state, case.noise))


@every_composition
@given(**small)
def test_chunks_equal_whole(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case({**row, "bidirectional": False}, rows, steps, seed)
    cuts = [case.draw.randint(0, steps) for _ in range(3)]
    case.hold(laws.chunks_equal_whole(case.layer, case.x, cuts, case.state, case.noise))


@every_composition
@given(**small)
def test_padding_is_never_read(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case(row, rows, steps, seed)
    case.hold(laws.padding_is_never_read(case.layer, case.x, case.lengths, case.state, case.resets, case.noise))


@every_composition
@given(**small)
def test_a_batch_row_equals_the_row_alone(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case(row, rows, steps, seed)
    case.hold(laws.a_batch_row_equals_the_row_alone(case.layer, case.x, case.lengths, case.state, case.noise))


@every_composition
@given(**small)
def test_packed_equals_padded(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case(row, rows, steps, seed)
    lengths = case.lengths.clamp(min=1)
    noise = None if case.noise is None else case.noise.steps(0, int(lengths.max()))
    case.hold(laws.packed_equals_padded(case.layer, case.x, lengths, case.state, noise))


@every_composition
@given(**small)
def test_left_padding_equals_right(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case(row, rows, steps, seed)
    case.hold(laws.left_padding_equals_right(case.layer, case.x, case.lengths, case.state, case.resets, case.noise))


@every_composition
@given(**small)
def test_later_inputs_change_no_earlier_output(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case({**row, "bidirectional": False}, rows, steps, seed)
    at = case.draw.randint(0, steps)
    case.hold(laws.later_inputs_change_no_earlier_output(case.layer, case.x, at, case.noise))


@every_composition
@given(**small)
def test_length_zero_keeps_the_state(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case(row, rows, steps, seed)
    case.hold(laws.length_zero_keeps_the_state(case.layer.eval(), case.x, case.given_state()))


@every_composition
@given(**small)
def test_resets_equal_splitting(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case(row, rows, steps, seed)
    case.hold(laws.resets_equal_splitting(case.layer.eval(), case.x, case.lengths, case.episodes, case.state))


@every_composition
@given(**small)
def test_nothing_is_written(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    case = Case(row, rows, steps, seed)
    assert laws.nothing_is_written(case.layer, case.x, case.given_state(), case.noise) == 0.0


@every_composition
@given(**small)
def test_engines_agree(row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    kinds = [CELLS[cell](2, 2) for cell in row["cell"].split(",")]
    engine = next((name for name in QUICK if not any(name in why_not(cell) for cell in kinds)), "auto")
    quiet = {"recurrent_dropout": 0.0, "zoneout": 0.0} if engine == "fused" else {}  # torch's kernels have neither
    case = Case({**row, **quiet, "engine": "auto"}, rows, steps, seed)
    case.hold(laws.engines_agree(case.layer, case.x, case.lengths, case.state, case.resets, case.noise, engine=engine))


def a_planted_fault(layer: Recurrent, fault: str) -> Recurrent:
    """A layer that breaks one law."""

    class Faulty(Recurrent):
        def forward(self, x: Tensor, state: Any = None, **options: Any) -> Any:
            if fault == "a dropped state":
                return super().forward(x, None, **options)
            if fault == "lengths ignored":
                return super().forward(x.nan_to_num(), state, **{**options, "lengths": None})
            if fault == "resets ignored":
                return super().forward(x, state, **{**options, "resets": None})
            outputs, end = super().forward(x, state, **options)
            if fault == "a state kept on the module":
                self.kept = end
            if fault == "a look ahead":
                outputs = outputs.roll(-1, 1)
            return outputs, end

    layer.__class__ = Faulty
    return layer


def test_the_laws_catch_planted_faults() -> None:
    row = {**{key: values[0] for key, values in CHOICES.items()}, "cell": "lstm"}
    x = torch.randn(3, 6, 3, dtype=torch.float64)
    lengths = torch.tensor([6, 2, 4])
    resets = torch.zeros(3, 6, dtype=torch.bool)
    resets[:, 1] = True

    def faulty(fault: str) -> Recurrent:
        return a_planted_fault(build(row).eval(), fault)

    state = map_state(torch.randn_like, build(row).initial_state(3))
    assert laws.chunks_equal_whole(faulty("a dropped state"), x, [3]) > 1e-3
    assert laws.steps_equal_whole(faulty("a look ahead"), x) > 1e-3
    assert laws.later_inputs_change_no_earlier_output(faulty("a look ahead"), x, 3) > 1e-3
    assert laws.a_batch_row_equals_the_row_alone(faulty("lengths ignored"), x, lengths) > 1e-3
    assert laws.padding_is_never_read(faulty("lengths ignored"), x, lengths) > 1e-3
    assert laws.resets_equal_splitting(faulty("resets ignored"), x, lengths, resets) > 1e-3
    assert laws.nothing_is_written(faulty("a state kept on the module"), x, state) > 1e-3
    assert laws.length_zero_keeps_the_state(faulty("a dropped state"), x, state) > 1e-3
