"""Recurrent to torch's modules and back: the same numbers, and refusals in a sentence."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import recurra.nn
from recurra.cells import GRUCell
from recurra.errors import InputError
from recurra.nn import Recurrent, from_torch, to_torch
from recurra.state import leaves

CLASSES = {"rnn": nn.RNN, "rnn_relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def check(layer: Recurrent, module: nn.RNNBase) -> None:
    """Outputs, final states and the gradient of the input agree."""
    x = torch.randn(2, 6, layer.input_size, dtype=torch.float64, requires_grad=True)
    outputs, state = layer(x)
    theirs, end = module(x if module.batch_first else x.transpose(0, 1))
    theirs = theirs if module.batch_first else theirs.transpose(0, 1)
    torch.testing.assert_close(theirs, outputs)
    parts = end if isinstance(end, tuple) else (end,)
    ours = [leaf for _, leaf in leaves(state)]
    for number, part in enumerate(parts):
        torch.testing.assert_close(torch.stack(ours[number :: len(parts)]), part)
    one, other = (torch.autograd.grad(y.sin().sum(), x)[0] for y in (outputs, theirs))
    torch.testing.assert_close(one, other)


def test_every_plain_layer_goes_to_torch_and_back_with_the_same_numbers() -> None:
    for cell, layers, bidirectional in product(CLASSES, (1, 3), (False, True)):
        layer = Recurrent(cell, 3, 4, layers, bidirectional=bidirectional, dtype=torch.float64)
        module = to_torch(layer)
        assert type(module) is CLASSES[cell] and module.batch_first
        check(layer, module)
        back = from_torch(module)
        check(back, module)
        own = [value for _, value in layer.named_parameters()]
        assert all(torch.equal(a, b) for a, b in zip(own, back.parameters(), strict=True))
        assert not {p.data_ptr() for p in own} & {p.data_ptr() for p in (*module.parameters(), *back.parameters())}


def test_a_conversion_draws_no_random_numbers() -> None:
    layer = Recurrent("gru", 3, 4)
    before = torch.random.get_rng_state()
    from_torch(to_torch(layer))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("package", [nn, recurra.nn], ids=["torch", "recurra"])
def test_torchs_modules_and_the_drop_ins_become_layers(kind: str, package: Any) -> None:
    for batch_first, bias in product((False, True), (False, True)):
        module = getattr(package, kind)(3, 4, 2, batch_first=batch_first, bias=bias, dtype=torch.float64)
        layer = from_torch(module)
        check(layer, module)
        trained = {name.rsplit(".", 1)[1] for name, value in layer.named_parameters() if value.requires_grad}
        expected = {"weight_ih", "weight_hh"} | ({"bias_ih", "bias_hh"} if bias else set())
        assert trained == expected  # biases that torch's module has not are zero and stay so
        check(from_torch(to_torch(layer)), module)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_drop_in_becomes_torchs_own_class(kind: str) -> None:
    ours = getattr(recurra.nn, kind)(3, 4, 2, bidirectional=True, bias=False).eval()
    theirs = to_torch(ours)
    assert type(theirs) is getattr(nn, kind) and not theirs.training and theirs.bidirectional
    x = torch.randn(5, 2, 3)
    assert torch.equal(ours(x)[0], theirs(x)[0])
    theirs.weight_ih_l0.data.zero_()
    assert bool(ours.weight_ih_l0.any()) and type(ours) is getattr(recurra.nn, kind)


def test_a_projected_drop_in_becomes_torchs_projected_lstm() -> None:
    ours = recurra.nn.LSTM(3, 4, proj_size=2)
    x = torch.randn(5, 2, 3)
    assert torch.equal(to_torch(ours)(x)[0], ours(x)[0])


def test_dropout_mode_dtype_and_frozen_weights_go_along() -> None:
    layer = Recurrent("gru", 3, 4, 2, dropout=0.3, dtype=torch.float64).eval()
    layer.layers[0][0].cell.weight_hh.requires_grad_(False)
    module = to_torch(layer)
    assert (module.dropout, module.training) == (0.3, False)
    assert module.weight_hh_l0.dtype == torch.float64 and not module.weight_hh_l0.requires_grad
    assert module.weight_hh_l1.requires_grad
    back = from_torch(module.train())
    assert (back.dropout, back.training) == (0.3, True)
    assert not back.layers[0][0].cell.weight_hh.requires_grad


@pytest.mark.filterwarnings("ignore:dropout option adds dropout")
def test_dropout_that_has_no_effect_in_torch_is_left_out() -> None:
    assert from_torch(nn.LSTM(3, 4, dropout=0.5)).dropout == 0


class Own(GRUCell):
    pass


class Overridden(nn.LSTM):
    def forward(self, x: Tensor, hx: Any = None) -> Any:
        return super().forward(2 * x, hx)


NOT_TO_TORCH: dict[str, Any] = {
    "residual=True": lambda: Recurrent("lstm", 3, 4, 2, residual=True),
    "variational=True": lambda: Recurrent("lstm", 3, 4, 2, dropout=0.1, variational=True),
    "recurrent_dropout is 0.1": lambda: Recurrent("lstm", 3, 4, recurrent_dropout=0.1),
    "weight_dropout is 0.1": lambda: Recurrent("lstm", 3, 4, weight_dropout=0.1),
    "zoneout is 0.1": lambda: Recurrent("lstm", 3, 4, zoneout=0.1),
    "learned_state=True": lambda: Recurrent("lstm", 3, 4, learned_state=True),
    "no fused kernel for FeedforwardCell": lambda: Recurrent("feedforward", 3, 4),
    "no fused kernel for Own": lambda: Recurrent(Own, 3, 4),
    "received Linear": lambda: nn.Linear(3, 4),
    "received LSTMCell": lambda: recurra.nn.LSTMCell(3, 4),
}


@pytest.mark.parametrize("said", NOT_TO_TORCH)
def test_what_torch_cannot_do_is_refused_by_name(said: str) -> None:
    with pytest.raises(InputError, match=r"^to_torch: ") as found:
        to_torch(NOT_TO_TORCH[said]())
    assert said in str(found.value)


NOT_FROM_TORCH: dict[str, Any] = {
    "proj_size is 2": lambda: nn.LSTM(3, 4, proj_size=2),
    "dropout is 1": lambda: nn.GRU(3, 4, 2, dropout=1.0),
    "received Overridden": lambda: Overridden(3, 4),
    "received GRUCell": lambda: nn.GRUCell(3, 4),
    "received ParametrizedLSTM": lambda: nn.utils.parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"),
}


@pytest.mark.parametrize("said", NOT_FROM_TORCH)
def test_what_a_recurrent_cannot_do_is_refused_by_name(said: str) -> None:
    with pytest.raises(InputError, match=r"^from_torch: ") as found:
        from_torch(NOT_FROM_TORCH[said]())
    assert said in str(found.value)
