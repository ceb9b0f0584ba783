"""Weights between `Recurrent` and torch's modules: the same numbers, both ways."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn

from recurra.cells import ElmanCell, GatedCell
from recurra.engines.fused import mode_of, why_not
from recurra.errors import InputError
from recurra.nn.direction import Direction
from recurra.nn.dropin import GRU, LSTM, RNN, DropIn, as_torch
from recurra.nn.recurrent import Recurrent

_MODULES: dict[str, type[Any]] = {"RNN_TANH": nn.RNN, "RNN_RELU": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
_NAMES = {"RNN_TANH": "rnn", "RNN_RELU": "rnn_relu", "LSTM": "lstm", "GRU": "gru"}
_KNOWN = (nn.RNN, nn.LSTM, nn.GRU, RNN, LSTM, GRU)


def to_torch(layer: nn.Module) -> nn.RNNBase:
    """A `Recurrent`, or a drop-in, as torch's own module with copies of its weights.

    Args:
        layer: a `Recurrent` of torch's cells with no other dropout than the plain one between layers, or a
            `recurra.nn.RNN`, `LSTM` or `GRU`.

    Returns:
        torch.nn.RNN, LSTM or GRU, batch_first for a `Recurrent`, on the same device, in the same dtype and mode. Its
        states are torch's: [layers · directions, B, hidden_size].

    Raises:
        InputError: torch's modules cannot do what the layer does; the sentence names it.
    """
    if type(layer) in (RNN, LSTM, GRU):
        return cast(nn.RNNBase, as_torch(cast(DropIn, copy.deepcopy(layer))))
    if not isinstance(layer, Recurrent):
        raise InputError(
            f"to_torch: expected a Recurrent or recurra.nn.RNN, LSTM or GRU, received {type(layer).__name__}"
        )
    reason = _why_not_torch(layer)
    if reason is not None:
        raise InputError(f"to_torch: {reason}")
    first = cast(GatedCell, layer.stack()[0][0].cell)
    mode, weight = mode_of(first), first.weight_ih
    options = {"nonlinearity": first.nonlinearity} if isinstance(first, ElmanCell) else {}
    with torch.random.fork_rng(devices=[]):  # the draws of the constructor are thrown away
        module = _MODULES[mode](
            layer.input_size,
            layer.hidden_size,
            layer.num_layers,
            batch_first=True,
            dropout=layer.dropout,
            bidirectional=layer.bidirectional,
            dtype=weight.dtype,
            **options,
        ).to(weight.device)
    _copy_weights(layer, module, back=True)
    return cast(nn.RNNBase, module.train(layer.training))


def from_torch(module: nn.Module) -> Recurrent:
    """Torch's RNN, LSTM or GRU, or a drop-in, as a `Recurrent` with copies of its weights.

    A module without biases gets biases of zero that do not train, so that its results and its training stay what they
    were. Dropout on a single layer, which has no effect in torch, is left out.

    Args:
        module: torch.nn.RNN, LSTM, GRU or the drop-in of that name.

    Returns:
        a `Recurrent`, on the same device, in the same dtype and mode. It reads [B, T, D] whatever batch_first was.

    Raises:
        InputError: another module, projections, or dropout of 1.
    """
    if type(module) not in _KNOWN:
        raise InputError(
            "from_torch: expected torch.nn.RNN, LSTM or GRU or a drop-in of that name, received "
            f"{type(module).__name__}; a subclass may compute something else, and a parametrized one is made plain by "
            "torch.nn.utils.parametrize.remove_parametrizations"
        )
    module = cast(nn.RNNBase, module)
    if module.proj_size:
        raise InputError(
            f"from_torch: proj_size is {module.proj_size} and no cell here projects its hidden state; use "
            "recurra.nn.LSTM, which does"
        )
    dropout = module.dropout if module.num_layers > 1 else 0.0
    if dropout == 1:
        raise InputError(
            "from_torch: dropout is 1, which lets nothing pass between layers; Recurrent takes rates below 1"
        )
    weight = cast(torch.Tensor, module.weight_ih_l0)
    with torch.random.fork_rng(devices=[]):
        layer = Recurrent(
            _NAMES[module.mode],
            module.input_size,
            module.hidden_size,
            module.num_layers,
            bidirectional=module.bidirectional,
            dropout=dropout,
            initialization="torch",
            dtype=weight.dtype,
        ).to(weight.device)
    _copy_weights(layer, module, back=False)
    return layer.train(module.training)


def _copy_weights(layer: Recurrent, module: nn.RNNBase, *, back: bool) -> None:
    """From torch's module into the layer, or back; whether each one trains goes along."""
    with torch.no_grad():
        for number, directions in enumerate(layer.stack()):
            for one in directions:
                for name, ours in one.cell.named_parameters():
                    theirs = getattr(module, f"{name}_l{number}{'_reverse' if one.backward else ''}", None)
                    if theirs is None:
                        ours.zero_().requires_grad_(False)  # bias=False
                        continue
                    source, target = (ours, theirs) if back else (theirs, ours)
                    target.copy_(source).requires_grad_(source.requires_grad)


def _why_not_torch(layer: Recurrent) -> str | None:
    """What torch's modules lack, in a sentence; None where they can do it all."""
    directions = [one for each in layer.stack() for one in each]
    first: Direction = directions[0]
    for one in directions:
        reason = why_not(one.cell)
        if reason is not None:
            return f"{reason}; only the cells rnn, rnn_relu, lstm and gru have one"
        if type(one.cell) is not type(first.cell) or mode_of(cast(GatedCell, one.cell)) != mode_of(
            cast(GatedCell, first.cell)
        ):
            return "its layers have different cells; torch's modules have one kind throughout"
    if any(one.dilation > 1 for one in directions):
        return "dilation: torch's modules read the step before; build the layer without"
    if layer.residual:
        return "residual=True: torch's modules have no residual connections; build the layer without"
    if layer.variational:
        return "variational=True: torch's dropout draws a mask a step; build the layer without"
    for name in ("recurrent_dropout", "weight_dropout", "zoneout"):
        if getattr(first, name):
            return f"{name} is {getattr(first, name)} and torch's modules have none; build the layer with {name}=0"
    if any(len(one.initial) for one in directions):
        return "learned_state=True: torch's modules begin from zeros or from a state given; build the layer without"
    return None
