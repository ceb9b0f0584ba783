"""Torch's recurrent modules under their own names: subclasses that choose an engine, and stream.

Everything else is torch's: arguments, names of weights, results, errors, warnings, layouts. Where torch and a law of
`Recurrent` differ (a sequence of no steps, a packed row of length 0), these follow torch.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

from torch import nn
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from recurra.nn.padded import fits, run_padded
from recurra.nn.stream import LayerSession
from recurra.nn.torch_steps import CellSteps, TorchSteps
from recurra.settings.names import StreamWeights
from recurra.state import State


class DropIn(nn.Module):
    """What the drop-ins share: torch's class beneath each, for tools that look for exactly that."""

    torch_class: ClassVar[type[nn.Module]]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As torch's."""
        if isinstance(input, Proxy):  # torch.fx takes torch's own modules as leaves, by where their class was written
            given = (input,) if hx is None else (input, hx)
            return input.tracer.create_proxy("call_module", input.tracer.path_of_module(self), given, {})  # type: ignore[attr-defined]
        if isinstance(self, nn.RNNBase) and isinstance(input, PackedSequence):
            self._update_flat_weights()
            if fits(self, input, hx):
                return run_padded(self, input, hx)
        return super().forward(input, hx)

    def __prepare_scriptable__(self) -> nn.Module:
        """torch.jit.script compiles torch's own class, on the same weights, and leaves that in the model scripted."""
        return as_torch(self) if type(self).__module__ == __name__ else self


def as_torch(module: DropIn) -> nn.Module:
    """Torch's own class on the same parameters; hooks stay."""
    twin = copy.copy(module)
    twin.__class__ = module.torch_class  # type: ignore[assignment]
    return twin


class _Layer(DropIn):
    def stream(self: Any, state: State | str | Path | None = None, *, weights: StreamWeights = "exact") -> LayerSession:
        """A live sequence through this layer, with a state of its own.

        Args:
            state: to begin from: a session's `state`, or the path of one that a session saved; None: zeros.
            weights: "exact", or "int8": of 8 bits with a scale a row, quicker and less exact.

        Raises:
            NotStreamable: the layer is bidirectional.
            InputError: in training, where dropout between layers would act.
            StateError: the file is missing, damaged or of another layer.
        """
        return LayerSession(TorchSteps(self), state, weights)


class _Cell(DropIn):
    def stream(self: Any, state: State | str | Path | None = None, *, weights: StreamWeights = "exact") -> LayerSession:
        """A live sequence through this cell, with a state of its own; `state` is what to begin from, None: zeros;
        `weights` "int8" are of 8 bits with a scale a row, quicker and less exact.
        """
        return LayerSession(CellSteps(self), state, weights)


class RNN(_Layer, nn.RNN):
    """`torch.nn.RNN`; packed input on a CPU takes a padded pass where that is the quicker one.

    Example:
        >>> layer = RNN(10, 20, num_layers=2, batch_first=True)
        >>> outputs, hidden = layer(torch.randn(3, 5, 10))
    """

    torch_class = nn.RNN


class LSTM(_Layer, nn.LSTM):
    """`torch.nn.LSTM`; packed input on a CPU takes a padded pass where that is the quicker one.

    Example:
        >>> layer = LSTM(64, 64)
        >>> session = layer.stream()
        >>> y = session.step(torch.randn(64))
    """

    torch_class = nn.LSTM


class GRU(_Layer, nn.GRU):
    """`torch.nn.GRU`; packed input on a CPU takes a padded pass where that is the quicker one."""

    torch_class = nn.GRU


class RNNCell(_Cell, nn.RNNCell):
    """`torch.nn.RNNCell`, which also streams."""

    torch_class = nn.RNNCell


class LSTMCell(_Cell, nn.LSTMCell):
    """`torch.nn.LSTMCell`, which also streams."""

    torch_class = nn.LSTMCell


class GRUCell(_Cell, nn.GRUCell):
    """`torch.nn.GRUCell`, which also streams."""

    torch_class = nn.GRUCell
