"""Torch's modules step by step, for a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import _VF, Tensor, nn

from recurra.engines.native import Layer
from recurra.engines.single import STATES, single
from recurra.errors import InputError, NotStreamable
from recurra.nn.states import RecurrentState
from recurra.state import State, owned

_SEQUENCES: dict[str, Callable[..., Any]] = {
    "RNN_TANH": _VF.rnn_tanh,
    "RNN_RELU": _VF.rnn_relu,
    "LSTM": _VF.lstm,
    "GRU": _VF.gru,
}
_KINDS = {"RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu", "LSTM": "lstm", "GRU": "gru"}  # torch's kernel → the native
_CELL_MODES = {nn.LSTMCell: "LSTM", nn.GRUCell: "GRU"}


class TorchSteps:
    """torch.nn.RNN, LSTM or GRU, in one direction; its state is a RecurrentState, as of `Recurrent`."""

    def __init__(self, module: nn.RNNBase) -> None:
        self.module, self.name, self.input_size = module, type(module).__name__, module.input_size

    def check(self) -> None:
        """Refuse two directions, and dropout in training."""
        module = self.module
        if module.bidirectional:
            raise NotStreamable(
                f"{self.name}(bidirectional=True): a bidirectional layer reads each sequence from its end too and "
                "cannot go step by step; train with bidirectional=False to stream"
            )
        if module.training and self.noisy():
            raise InputError(
                f"{self.name}: it is in training mode and its dropout would act; call eval() first, a session runs as "
                "in evaluation"
            )

    def native(self) -> list[Layer] | None:
        """The layers as the native kernels take them; None with projections, or where a weight is computed anew."""
        if self.module.proj_size:
            return None
        found = [native_layer(self.module, self.module.mode, f"_l{n}") for n in range(self.module.num_layers)]
        return None if None in found else cast(list[Layer], found)

    def noisy(self) -> bool:
        """Whether its dropout acts in training."""
        return bool(self.module.dropout) and self.module.num_layers > 1

    def like(self) -> Tensor:
        """A weight."""
        return cast(Tensor, self.module._flat_weights[0])

    def initial_state(self, batch_size: int) -> State:
        """Zeros."""
        module = self.module
        hidden = self.like().new_zeros(batch_size, module.proj_size or module.hidden_size)
        leaves = (hidden, hidden.new_zeros(batch_size, module.hidden_size))[: len(STATES[module.mode]._fields)]
        return RecurrentState((STATES[module.mode](*leaves),) * module.num_layers)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: torch's cell function for each layer; with projections, which it lacks, the sequence kernel."""
        module = self.module
        if module.proj_size:
            outputs, state = self.run(x[:, None], state)
            return outputs[:, 0], owned(state)
        module._update_flat_weights()
        each, final = 4 if module.bias else 2, []
        for number, begin in enumerate(state.layers):
            weights = module._flat_weights[number * each : (number + 1) * each]
            x, end = single(module.mode, x, begin, weights)
            final.append(end)
        return x, RecurrentState(tuple(final))

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Many steps in torch's kernel."""
        module = self.module
        module._update_flat_weights()
        begin = tuple(torch.stack(leaves) for leaves in zip(*state.layers, strict=True))
        outputs, *final = _SEQUENCES[module.mode](
            x,
            begin if module.mode == "LSTM" else begin[0],
            module._flat_weights,
            module.bias,
            module.num_layers,
            0.0,
            False,  # not in training
            False,  # one direction
            True,  # batch first
        )
        layers = zip(*(one.unbind(0) for one in final), strict=True)
        return outputs, RecurrentState(tuple(STATES[module.mode](*leaves) for leaves in layers))


class CellSteps:
    """torch.nn.RNNCell, LSTMCell or GRUCell; its state is the cell's alone, such as LSTMState(hidden, cell)."""

    def __init__(self, module: nn.RNNCellBase) -> None:
        self.module, self.name, self.input_size = module, type(module).__name__, module.input_size
        self._mode = next((mode for kind, mode in _CELL_MODES.items() if isinstance(module, kind)), None)

    @property
    def mode(self) -> str:
        """Torch's name of the kernel."""
        return self._mode or f"RNN_{cast(Any, self.module).nonlinearity.upper()}"

    def check(self) -> None:
        """A cell has one direction and no dropout."""

    def native(self) -> list[Layer] | None:
        """The cell as the native kernels take it; None where a weight is computed anew."""
        found = native_layer(self.module, self.mode, "")
        return None if found is None else [found]

    def noisy(self) -> bool:
        """Never."""
        return False

    def like(self) -> Tensor:
        """A weight."""
        return self.module.weight_ih

    def initial_state(self, batch_size: int) -> State:
        """Zeros."""
        zeros = self.like().new_zeros(batch_size, self.module.hidden_size)
        kind = STATES[self.mode]
        return kind(*(zeros,) * len(kind._fields))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step."""
        module = self.module
        return single(self.mode, x, state, (module.weight_ih, module.weight_hh, module.bias_ih, module.bias_hh))

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Many steps, one after the other."""
        outputs = []
        for each in x.unbind(1):
            y, state = self.step(each, state)
            outputs.append(y)
        return torch.stack(outputs, 1), state


def native_layer(module: nn.Module, mode: str, suffix: str) -> Layer | None:
    """One layer of a torch module; None where its weights are not parameters: they may be others at each call."""
    names = [f"{name}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    names = names if cast(Any, module).bias else names[:2]
    if not all(name in module._parameters for name in names):
        return None
    weights = [module._parameters[name] for name in names]
    return Layer(_KINDS[mode], *weights, *[None] * (4 - len(weights)))  # type: ignore[arg-type]
