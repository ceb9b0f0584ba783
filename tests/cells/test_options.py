"""Which option of a layer a cell takes, which it refuses, and how its weights begin."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra.cells import CELLS, IndRNNCell, MinGRUCell, MinLSTMCell, SLSTMCell
from recurra.errors import SettingsError
from recurra.nn import Recurrent, initialize

CHRONO = ("lstm", "gru", "lstm_layernorm", "gru_layernorm", "lstm_peephole", "lstm_projection", "lstm_coupled",
          "slstm", "mingru", "minlstm")  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "option", "sentence"),
    [
        ("indrnn", "recurrent_dropout", "not for IndRNNCell: would cut a unit's whole memory"),
        ("indrnn", "weight_dropout", "not for IndRNNCell"),
        ("mingru", "recurrent_dropout", "not for MinGRUCell: the hidden state is read by no gate"),
        ("mingru", "weight_dropout", "read by no gate"),
        ("minlstm", "recurrent_dropout", "read by no gate"),
        ("minlstm", "weight_dropout", "read by no gate"),
        ("slstm", "zoneout", "one number in three parts"),
        ("slstm", "learned_state", "a normalizer that is learned"),
    ],
)
def test_an_option_without_meaning_is_refused_with_the_reason(cell: str, option: str, sentence: str) -> None:
    given: dict[str, Any] = {option: True if option == "learned_state" else 0.1}
    with pytest.raises(SettingsError, match=f"^{option}: .*{sentence}"):
        Recurrent(cell, 3, 4, **given)


@pytest.mark.parametrize("name", CHRONO)
def test_chrono_draws_memories_of_every_gated_cell(name: str) -> None:
    cell: Any = Recurrent(name, 3, 400, initialization="chrono", chrono_length=101).layers[0][0].cell
    bias = dict(zip(cell.gates, cell.bias_ih.detach().chunk(len(cell.gates)), strict=True))
    if cell.remember_gate is not None:
        remember = bias[cell.remember_gate].exp()
        assert remember.min() >= 1 and 90 < remember.max() <= 100.01
        assert remember.mean().item() == pytest.approx(50.5, rel=0.1)
    if cell.writing_gate is not None:
        writing = bias[cell.writing_gate].exp()
        assert writing.max() <= 1 and 0.0099 < writing.min() < 0.012
    if None not in (cell.remember_gate, cell.writing_gate):
        assert torch.equal(bias[cell.writing_gate], -bias[cell.remember_gate])


def test_the_two_lists_of_chrono_cells_are_all_cells() -> None:
    refused = {"rnn", "rnn_relu", "feedforward", "indrnn", "transformer"}
    assert refused | set(CHRONO) == set(CELLS)
    for name in refused:
        with pytest.raises(SettingsError, match="gate that keeps the state"):
            Recurrent(name, 3, 4, initialization="chrono", chrono_length=9)


def test_chrono_makes_a_minimal_cell_remember_about_as_long_as_was_drawn() -> None:
    for cell in (MinGRUCell(1, 200), MinLSTMCell(1, 200)):
        initialize(cell, "chrono", 1001)
        with torch.no_grad():
            cell.weight_ih.zero_()
            kept, _ = cell.coefficients(torch.zeros(1, 1))
        bias = cell.bias_ih.detach().chunk(len(cell.gates))[cell.gates.index(str(cell.writing_gate))]
        torch.testing.assert_close(1 / (1 - kept[0]), 1 + (-bias).exp(), rtol=1e-2, atol=0)  # steps until 1/e is left


def test_orthogonal_blocks_gains_of_one_and_forget_biases_of_one() -> None:
    heads = SLSTMCell(3, 8, 2)
    initialize(heads)
    for block in heads.weight_hh.detach().split(4):
        torch.testing.assert_close(block @ block.T, torch.eye(4), atol=1e-5, rtol=0)
    projected: Any = Recurrent("lstm_projection", 3, 8).layers[0][0].cell
    torch.testing.assert_close(projected.weight_hr @ projected.weight_hr.T, torch.eye(4), atol=1e-5, rtol=0)
    for name in ("lstm_layernorm", "lstm_peephole", "lstm_projection", "lstm_coupled", "slstm"):
        cell: Any = Recurrent(name, 3, 8).layers[0][0].cell
        forget = cell.bias_ih.chunk(len(cell.gates))[cell.gates.index("f")]
        assert bool((forget == 1).all()) and cell.bias_ih.sum() == 8 and not bool(cell.bias_hh.any())
    assert not bool(Recurrent("lstm_peephole", 3, 8).layers[0][0].cell.weight_cell.any())
    for how in ("orthogonal", "torch"):
        for name in ("lstm_layernorm", "gru_layernorm"):
            cell = Recurrent(name, 3, 8, initialization=how).layers[0][0].cell  # type: ignore[arg-type]
            assert bool((cell.gain_ih == 1).all() and (cell.gain_hh == 1).all())


def test_an_initialisation_leaves_an_indrnns_own() -> None:
    cell = IndRNNCell(3, 50)
    before = cell.weight_hh.clone()
    initialize(cell)
    assert torch.equal(cell.weight_hh, before)


@pytest.mark.parametrize("name", [name for name in CELLS if name not in ("slstm", "transformer", "feedforward")])
def test_a_learned_state_of_every_cell_has_a_gradient(name: str) -> None:
    layer = Recurrent(name, 3, 4, learned_state=True)
    outputs, _ = layer(torch.randn(64, 5, 3), lengths=torch.tensor([5, 2] * 32))  # some row leaves a ReLU alive
    outputs.sum().backward()
    for parameter_name, parameter in layer.named_parameters():
        if "initial" in parameter_name:
            assert parameter.grad is not None and bool(parameter.grad.any()), parameter_name
