"""Cells and layers against torch.nn, and a step against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from recurra.cells import CELLS, ElmanCell, GRUCell, GRUState, LSTMCell, LSTMState
from recurra.engines import unroll
from recurra.nn import Recurrent
from recurra.state import leaves

TORCH = {
    "rnn": (nn.RNN, {}),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
}


def copied(layer: Recurrent, kind: str) -> nn.RNNBase:
    """torch's module with the layer's weights: names and order of gates are the same."""
    module, options = TORCH[kind]
    theirs = module(
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bidirectional=layer.bidirectional,
        batch_first=True,
        dtype=torch.float64,
        **options,
    )
    weights = {}
    for number, directions in enumerate(layer.layers):
        for way, direction in zip(("", "_reverse"), directions, strict=False):
            for name, value in direction.cell.named_parameters():
                weights[f"{name}_l{number}{way}"] = value
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", TORCH)
def test_a_stack_equals_torch_on_packed_rows_in_values_states_and_gradients(kind: str, bidirectional: bool) -> None:
    layer = Recurrent(kind, 3, 5, 2, bidirectional=bidirectional, dtype=torch.float64)
    theirs = copied(layer, kind)
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    lengths = torch.tensor([3, 7, 1, 5])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed_out, end = theirs(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(packed_out, batch_first=True)
    outputs, state = layer(x, lengths=lengths)
    torch.testing.assert_close(outputs, expected)
    end = end if isinstance(end, tuple) else (end,)
    ours = [leaf for _, leaf in leaves(state)]
    per_direction = [ours[i : i + len(end)] for i in range(0, len(ours), len(end))]
    for part, whole in enumerate(end):
        torch.testing.assert_close(torch.stack([one[part] for one in per_direction]), whole)
    (outputs.sin().sum() + sum(leaf.cos().sum() for leaf in ours)).backward()
    (expected.sin().sum() + sum(leaf.cos().sum() for leaf in end)).backward()
    for number, directions in enumerate(layer.layers):
        for way, direction in zip(("", "_reverse"), directions, strict=False):
            for name, value in direction.cell.named_parameters():
                torch.testing.assert_close(value.grad, getattr(theirs, f"{name}_l{number}{way}").grad)


@pytest.mark.parametrize("kind", TORCH)
def test_a_cell_equals_torchs_cell(kind: str) -> None:
    cell = CELLS[kind](3, 5)
    theirs = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}.get(kind, nn.RNNCell)(3, 5)
    if kind == "rnn_relu":
        theirs.nonlinearity = "relu"
    theirs.load_state_dict(cell.state_dict())
    x, hidden, memory = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    if kind == "lstm":
        expected = theirs(x, (hidden, memory))
        _, state = cell.step(x, LSTMState(hidden, memory))
        torch.testing.assert_close(tuple(state), expected)
    else:
        y, _ = cell.step(x, cell.initial_state(2)._replace(hidden=hidden))
        torch.testing.assert_close(y, theirs(x, hidden))


def test_an_lstm_step_by_hand() -> None:
    cell = LSTMCell(1, 1, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor([[0.5], [-0.25], [1.0], [2.0]], dtype=torch.float64))
        cell.weight_hh.copy_(torch.tensor([[0.1], [0.2], [0.3], [0.4]], dtype=torch.float64))
        cell.bias_ih.copy_(torch.tensor([0.0, 1.0, 0.0, -1.0]))
        cell.bias_hh.zero_()
    x, hidden, memory = 2.0, 0.5, -1.0

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    i, f, o = sigmoid(1.0 + 0.05), sigmoid(-0.5 + 0.1 + 1.0), sigmoid(4.0 + 0.2 - 1.0)
    after = f * memory + i * math.tanh(2.0 + 0.15)
    state = LSTMState(torch.tensor([[hidden]]).double(), torch.tensor([[memory]]).double())
    y, end = cell.step(torch.tensor([[x]]).double(), state)
    assert end.cell.item() == pytest.approx(after, abs=1e-12)
    assert y.item() == pytest.approx(o * math.tanh(after), abs=1e-12)


def test_a_gru_with_an_open_update_gate_keeps_its_state() -> None:
    cell = GRUCell(2, 3)
    with torch.no_grad():
        cell.bias_ih[3:6] = 100.0
    state = GRUState(torch.randn(4, 3))
    y, _ = cell.step(torch.randn(4, 2), state)
    torch.testing.assert_close(y, state.hidden)


def test_the_last_cell_of_a_ragged_lstm_batch_is_exact_on_the_fused_kernel() -> None:
    layer = Recurrent("lstm", 3, 8)
    cell = layer.layers[0][0].cell
    x = torch.randn(5, 40, 3) * 3
    lengths = torch.tensor([40, 0, 1, 17, 39])
    with torch.no_grad():
        _, state = layer(x, lengths=lengths)
        for row, length in enumerate(lengths.tolist()):
            _, alone = unroll(cell, x[row : row + 1, :length], cell.initial_state(1))
            torch.testing.assert_close(state.layers[0].cell[row], alone.cell[0], rtol=0, atol=1e-6)


def test_the_packed_way_that_a_gpu_takes_equals_the_padded_one() -> None:
    from recurra.engines.fused import packed, padded

    for kind in TORCH:
        cell = CELLS[kind](3, 4, dtype=torch.float64)
        lengths = torch.tensor([2, 0, 6, 1])
        x = torch.randn(4, 6, 3, dtype=torch.float64)
        x[torch.arange(6) >= lengths[:, None]] = 0.0
        begin = type(cell.initial_state(4))(*(torch.randn_like(leaf) for leaf in cell.initial_state(4)))
        one, end = packed(cell, x, begin, lengths)
        other, last = padded(cell, x, begin, lengths)
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(tuple(end), tuple(last))


def test_at_one_step_the_recurrent_weights_have_no_gradient() -> None:
    layer = Recurrent("rnn", 3, 4)
    outputs, _ = layer(torch.randn(2, 1, 3))
    outputs.sum().backward()
    assert torch.equal(layer.layers[0][0].cell.weight_hh.grad, torch.zeros(4, 4))


def test_an_unknown_nonlinearity_is_refused() -> None:
    with pytest.raises(Exception, match=r"nonlinearity is 'sigmoid', expected 'tanh' or 'relu'"):
        ElmanCell(2, 3, "sigmoid")  # type: ignore[arg-type]
