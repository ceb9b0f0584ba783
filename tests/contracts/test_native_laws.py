"""The laws of recurrence on the native engine: each, over layers of the cells that it runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra import laws
from recurra.engines.native import why_absent

from .compositions import CHOICES, build
from .test_laws import Case

PLAIN = {choice: values[0] for choice, values in CHOICES.items()} | {"engine": "native"}
ROWS = [
    {**PLAIN, "cell": "gru"},
    {**PLAIN, "cell": "lstm", "num_layers": 2, "learned_state": True, "dtype": torch.float32},
    {**PLAIN, "cell": "gru", "num_layers": 2, "bidirectional": True, "weight_dropout": 0.4},
    {**PLAIN, "cell": "lstm", "bidirectional": True, "dilation": 3},
    {**PLAIN, "cell": "rnn", "bidirectional": True, "learned_state": True},
    {**PLAIN, "cell": "indrnn", "num_layers": 2},
    {**PLAIN, "cell": "lstm_peephole", "weight_dropout": 0.4},
    {**PLAIN, "cell": "lstm_projection", "bidirectional": True, "num_layers": 2},
    {**PLAIN, "cell": "lstm_layernorm", "bidirectional": True},
    {**PLAIN, "cell": "gru_layernorm", "learned_state": True},
    {**PLAIN, "cell": "mingru", "bidirectional": True, "num_layers": 2},
    {**PLAIN, "cell": "minlstm", "learned_state": True},
]
IDS = [
    "gru", "lstm", "both-ways", "dilated", "rnn", "indrnn", "peephole", "projection", "lstm-normalised",
    "gru-normalised", "mingru", "minlstm",
]  # fmt: skip
LAWS = (
    "chunks_equal_whole", "padding_is_never_read", "a_batch_row_equals_the_row_alone", "packed_equals_padded",
    "left_padding_equals_right", "later_inputs_change_no_earlier_output", "length_zero_keeps_the_state",
    "resets_equal_splitting", "nothing_is_written", "engines_agree", "steps_equal_whole",
)  # fmt: skip


def held(law: str, case: Case) -> float:
    """How far a case is from a law."""
    layer, x, lengths, state, noise = case.layer, case.x, case.lengths, case.state, case.noise
    measure: Any = getattr(laws, law)
    if law in ("padding_is_never_read", "left_padding_equals_right"):
        return float(measure(layer, x, lengths, state, case.resets, noise))
    if law == "a_batch_row_equals_the_row_alone":
        return float(measure(layer, x, lengths, state, noise))
    if law == "packed_equals_padded":
        lengths = lengths.clamp(min=1)
        return float(measure(layer, x, lengths, state, None if noise is None else noise.steps(0, int(lengths.max()))))
    if law == "chunks_equal_whole":
        return float(measure(layer, x, [case.draw.randint(0, x.shape[1]) for _ in range(3)], state, noise))
    if law == "later_inputs_change_no_earlier_output":
        return float(measure(layer, x, case.draw.randint(0, x.shape[1]), noise))
    if law == "length_zero_keeps_the_state":
        return float(measure(layer.eval(), x, case.given_state()))
    if law == "resets_equal_splitting":
        return float(measure(layer.eval(), x, lengths, case.episodes, state))
    if law == "nothing_is_written":
        return float(measure(layer, x, case.given_state(), noise))
    if law == "engines_agree":
        return float(measure(layer, x, lengths, state, case.resets, noise, engine="native"))
    return float(measure(layer, x, state, noise))


def test_every_law_is_here() -> None:
    assert set(LAWS) == set(laws.LAWS)


@pytest.mark.skipif(why_absent() is not None, reason=f"no native engine: {why_absent()}")
@pytest.mark.parametrize("row", ROWS, ids=IDS)
@pytest.mark.parametrize("law", LAWS)
@settings(max_examples=3)
@given(rows=st.integers(1, 4), steps=st.integers(1, 8), seed=st.integers(0, 2**20))
def test_the_native_engine_holds(law: str, row: dict[str, Any], rows: int, steps: int, seed: int) -> None:
    one_way = law in ("steps_equal_whole", "chunks_equal_whole", "later_inputs_change_no_earlier_output")
    case = Case({**row, "bidirectional": False} if one_way else row, rows, steps, seed)
    assert case.layer.engine == "native" and build(row).engine == "native"
    case.hold(held(law, case))
