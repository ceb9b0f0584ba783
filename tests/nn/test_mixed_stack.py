"""Stacks of different cells: one name a layer, and options that act where they can."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra.cells import GRUCell, LSTMCell, TransformerCell
from recurra.errors import SettingsError
from recurra.laws import certify_module
from recurra.models import SequenceModel
from recurra.nn import Recurrent


def kinds(layer: Recurrent) -> list[list[str]]:
    return [[type(one.cell).__name__ for one in directions] for directions in layer.stack()]


@pytest.mark.parametrize(
    "cell", ["lstm,transformer", " lstm, transformer", ["lstm", "transformer"], (LSTMCell, TransformerCell)]
)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_list_of_cells_is_one_a_layer(cell: Any, num_layers: int) -> None:
    layer = Recurrent(cell, 3, 4, num_layers)
    assert kinds(layer) == [["LSTMCell"], ["TransformerCell"]] and layer.num_layers == 2
    assert layer(torch.randn(2, 5, 3))[0].shape == (2, 5, 4)


def test_one_name_is_every_layer_s() -> None:
    assert kinds(Recurrent(["gru"], 3, 4, 3)) == [["GRUCell"]] * 3


def test_in_both_directions_a_recurrent_layer_has_two_cells_and_a_transformer_one() -> None:
    layer = Recurrent("lstm,transformer,gru", 3, 4, bidirectional=True)
    assert kinds(layer) == [["LSTMCell", "LSTMCell"], ["TransformerCell"], ["GRUCell", "GRUCell"]]
    assert [directions[0].cell.input_size for directions in layer.stack()] == [3, 8, 4]
    outputs, state = layer(torch.randn(2, 5, 3))
    assert outputs.shape == (2, 5, 8) and layer.joined
    assert layer(torch.randn(2, 5, 3), state)[0].shape == (2, 5, 8)


def test_a_plain_stack_is_what_a_list_of_its_cells_is() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        one = Recurrent("lstm", 3, 4, 2, bidirectional=True)
        torch.manual_seed(3)
        other = Recurrent("lstm,lstm", 3, 4, bidirectional=True)
    assert one.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_an_option_acts_in_the_layers_that_can_have_it() -> None:
    layer = Recurrent(
        "transformer,gru,feedforward", 3, 8, zoneout=0.2, recurrent_dropout=0.3, weight_dropout=0.4, learned_state=True,
        initialization="chrono", chrono_length=50,
    )  # fmt: skip
    rates = [(one.zoneout, one.recurrent_dropout, one.weight_dropout) for (one,) in layer.stack()]
    assert rates == [(0.0, 0.0, 0.0), (0.2, 0.3, 0.4), (0.0, 0.0, 0.0)]
    assert [len(one.initial) for (one,) in layer.stack()] == [0, 1, 0]
    cell = layer.stack()[1][0].cell
    assert isinstance(cell, GRUCell) and float(cell.bias_ih[8:16].detach().exp().max()) > 1.5
    assert layer.noisy() and layer.noise(2).layers[1].directions[0].weight is not None
    layer.eval().step(torch.randn(2, 3))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cell": "lstm,gru", "num_layers": 3}, "num_layers: it is 3, and cell names 2 layers"),
        ({"cell": "lstm,trnsformer"}, "'trnsformer' is not known; did you mean 'transformer'"),
        ({"cell": "lstm,"}, "cell: '' is not known"),
        ({"cell": []}, "the list is empty"),
        ({"cell": "transformer,feedforward", "zoneout": 0.1}, "zoneout: not for TransformerCell"),
        ({"cell": "transformer,lstm", "initialization": "chrono", "chrono_length": 2}, "chrono_length: 2 is below 3"),
        ({"cell": "transformer,rnn", "initialization": "chrono", "chrono_length": 9}, "gate that keeps the state"),
        ({"cell": "lstm,transformer", "bidirectional": True, "residual": True}, "reads 8 features and gives 4"),
    ],
)
def test_what_no_layer_can_have_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Recurrent(**{"input_size": 3, "hidden_size": 4, **options})


def test_a_mixed_dilated_stack_streams_forks_and_goes_on_from_a_state() -> None:
    layer = Recurrent("lstm,transformer,gru", 3, 8, dilation=(2, 1, 3), attention_window=4, residual=True).double()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    whole, _ = layer(x)
    session = layer.stream()
    first = torch.cat([session.push(x[:, :4]), session.step(x[:, 4])[:, None], session.push(x[:, 5:5])], 1)
    other = session.fork()
    for one in (session, other, layer.stream(session.state)):
        torch.testing.assert_close(torch.cat([first, one.push(x[:, 5:])], 1), whole)


@pytest.mark.parametrize(
    ("cell", "options", "both_ends"),
    [
        ("transformer", {"bidirectional": True}, "does not apply"),
        ("lstm,transformer", {"bidirectional": True, "dilation": 2}, "holds"),
        ("transformer,gru", {"attention_window": 4, "dilation": 3}, "does not apply"),
    ],
)
def test_a_model_of_such_layers_is_certified(cell: str, options: dict[str, Any], both_ends: str) -> None:
    model = SequenceModel(cell, 3, 16, 2, 2, pooling="last+mean", **options)
    found = certify_module(model, input_size=3, lengths=(0, 1, 3, 7))
    assert found.holds, found.failing
    assert found["both ends"].verdict == both_ends
