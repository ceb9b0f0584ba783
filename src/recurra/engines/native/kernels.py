"""Which chain runs which cell: what it is given of the cell, and of the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.cells import (
    Cell,
    ElmanCell,
    ElmanState,
    GRUCell,
    GRUState,
    IndRNNCell,
    IndRNNState,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LinearCell,
    LinearState,
    LSTMCell,
    LSTMState,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
)
from recurra.engines.native.chain import GRUChain, LSTMChain
from recurra.engines.native.chain_gru_layernorm import LayerNormGRUChain
from recurra.engines.native.chain_indrnn import IndRNNChain
from recurra.engines.native.chain_lstm_layernorm import LayerNormLSTMChain
from recurra.engines.native.chain_peephole import PeepholeChain
from recurra.engines.native.chain_projection import ProjectionChain
from recurra.engines.native.chain_rnn import RectifiedChain, TanhChain
from recurra.engines.native.chain_scan import ScanChain


class Kernel(NamedTuple):
    """How a cell is run.

    chain: an autograd function of the projected input, the leaves of the state, the weights, the arrangement, and
    whether backward will come; it gives the outputs and the leaves of the ends. state: the cell's. project: x
    [..., I] → the projected input, for all steps at once. weights: what the chain reads of the cell beside.
    """

    chain: Any
    state: type[Any]
    project: Callable[[Any, Tensor], Tensor]
    weights: Callable[[Any], tuple[Tensor, ...]]


def kernel_of(cell: Cell) -> Kernel | None:
    """The cell's kernel, if it has one. Subclasses may compute something else; a linear cell is its coefficients."""
    if isinstance(cell, LinearCell):
        return SCAN if type(cell).step is LinearCell.step else None
    if type(cell) is ElmanCell:
        return _ELMAN[cell.nonlinearity]
    return _KERNELS.get(type(cell))


def _with_both_biases(cell: Any, x: Tensor) -> Tensor:
    """One sum for the gates that add both; each bias gets its gradient all the same."""
    return F.linear(x, cell.weight_ih, cell.bias_ih + cell.bias_hh)


def _normalized_with_both_biases(cell: Any, x: Tensor) -> Tensor:
    bias = cell.bias_ih + cell.bias_hh
    return F.layer_norm(F.linear(x, cell.weight_ih), cell.gain_ih.shape, cell.gain_ih, bias)


SCAN = Kernel(ScanChain, LinearState, lambda cell, x: torch.cat(cell.coefficients(x), -1), lambda cell: ())

_ELMAN = {
    "tanh": Kernel(TanhChain, ElmanState, _with_both_biases, lambda cell: (cell.weight_hh,)),
    "relu": Kernel(RectifiedChain, ElmanState, _with_both_biases, lambda cell: (cell.weight_hh,)),
}

_KERNELS: dict[type[Cell], Kernel] = {
    GRUCell: Kernel(GRUChain, GRUState, GRUCell.project, lambda cell: (cell.weight_hh, cell.bias_hh)),
    LSTMCell: Kernel(LSTMChain, LSTMState, LSTMCell.project, lambda cell: (cell.weight_hh, cell.bias_hh)),
    IndRNNCell: Kernel(
        IndRNNChain, IndRNNState, IndRNNCell.project, lambda cell: (cell.weight_hh.clamp(-cell.bound, cell.bound),)
    ),
    PeepholeLSTMCell: Kernel(
        PeepholeChain, LSTMState, _with_both_biases, lambda cell: (cell.weight_hh, cell.weight_cell)
    ),
    ProjectedLSTMCell: Kernel(
        ProjectionChain, LSTMState, _with_both_biases, lambda cell: (cell.weight_hh, cell.weight_hr)
    ),
    LayerNormLSTMCell: Kernel(
        LayerNormLSTMChain,
        LSTMState,
        _normalized_with_both_biases,
        lambda cell: (cell.weight_hh, cell.gain_hh, cell.gain_cell, cell.bias_cell),
    ),
    LayerNormGRUCell: Kernel(
        LayerNormGRUChain,
        GRUState,
        LayerNormGRUCell.project,
        lambda cell: (cell.weight_hh, cell.gain_hh, cell.bias_hh),
    ),
}
