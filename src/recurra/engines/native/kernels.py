"""Which chain runs which cell: what it is given of the cell, and of the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from recurra.engines.native.chain import KEPT, GRUChain, LSTMChain
from recurra.engines.native.chain_gru_layernorm import LayerNormGRUChain
from recurra.engines.native.chain_indrnn import IndRNNChain
from recurra.engines.native.chain_lstm_layernorm import LayerNormLSTMChain
from recurra.engines.native.chain_peephole import PeepholeChain
from recurra.engines.native.chain_projection import ProjectionChain
from recurra.engines.native.chain_rnn import RectifiedChain, TanhChain
from recurra.engines.native.chain_scan import ScanChain

Tensors = Sequence[Tensor]


def _all_saved(state: Tensors, weights: Tensors, outputs: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
    return (*state, *weights, outputs, kept)


def _without_bias(state: Tensors, weights: Tensors, outputs: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
    return (*state, weights[0], outputs, kept)


def _rows_of_weight(state: Tensors, weights: Tensors) -> int:
    return weights[0].shape[0]


class Kernel(NamedTuple):
    """How a cell is run.

    name: the kernel's own. chain: an autograd function of the projected input, the leaves of the state, the weights,
    the arrangement, and whether backward will come; it gives the outputs and the leaves of the ends. state: the cell's.
    project: x [..., I] → the projected input, for all steps at once. weights: what the chain reads of the cell beside;
    matrices: how many of them, the first ones, are matrices, which may be of bfloat16 where the cell is of float32.

    For the operators, from the leaves of the state and the weights: kept, the numbers a step that the chain saves last
    for its backward; read, those of the projected input; saved, all that it saves, in its order.
    """

    name: str
    chain: Any
    state: type[Any]
    project: Callable[[Any, Tensor], Tensor]
    weights: Callable[[Any], tuple[Tensor, ...]]
    kept: Callable[[Tensors, Tensors], int]
    read: Callable[[Tensors, Tensors], int] = _rows_of_weight
    saved: Callable[[Tensors, Tensors, Tensor, Tensor], tuple[Tensor, ...]] = _all_saved
    matrices: int = 1


def kernel_of(cell: Cell) -> Kernel | None:
    """The cell's kernel, if it has one. Subclasses may compute something else; a linear cell is its coefficients."""
    if isinstance(cell, LinearCell):
        return KERNELS["LinearCell"] if type(cell).step is LinearCell.step else None
    name = type(cell).__name__
    if type(cell) not in _EXACTLY:
        return None
    return KERNELS[f"{name}, {cell.nonlinearity}" if isinstance(cell, ElmanCell) else name]


def _with_both_biases(cell: Any, x: Tensor) -> Tensor:
    """One sum for the gates that add both; each bias gets its gradient all the same."""
    return F.linear(x, cell.weight_ih, cell.bias_ih + cell.bias_hh)


def _normalized_with_both_biases(cell: Any, x: Tensor) -> Tensor:
    bias = cell.bias_ih + cell.bias_hh
    return F.layer_norm(F.linear(x, cell.weight_ih), cell.gain_ih.shape, cell.gain_ih, bias)


def _weight(cell: Any) -> tuple[Tensor, ...]:
    return (cell.weight_hh,)


def _weight_and_bias(cell: Any) -> tuple[Tensor, ...]:
    return cell.weight_hh, cell.bias_hh


def _nothing(state: Tensors, weights: Tensors) -> int:
    return 0


def _twice(state: Tensors, weights: Tensors) -> int:
    return 2 * state[0].shape[1]


_EXACTLY = (
    ElmanCell,
    GRUCell,
    LSTMCell,
    IndRNNCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    LayerNormLSTMCell,
    LayerNormGRUCell,
)

KERNELS = {
    kernel.name: kernel
    for kernel in (
        Kernel(
            "GRUCell",
            GRUChain,
            GRUState,
            GRUCell.project,
            _weight_and_bias,
            lambda state, weights: KEPT[3] * weights[0].shape[1],
            saved=_without_bias,
        ),
        Kernel(
            "LSTMCell",
            LSTMChain,
            LSTMState,
            LSTMCell.project,
            _weight_and_bias,
            lambda state, weights: KEPT[4] * weights[0].shape[1],
            saved=_without_bias,
        ),
        Kernel("ElmanCell, tanh", TanhChain, ElmanState, _with_both_biases, _weight, _nothing),
        Kernel("ElmanCell, relu", RectifiedChain, ElmanState, _with_both_biases, _weight, _nothing),
        Kernel(
            "IndRNNCell",
            IndRNNChain,
            IndRNNState,
            IndRNNCell.project,
            lambda cell: (cell.weight_hh.clamp(-cell.bound, cell.bound),),
            _nothing,
            matrices=0,
        ),
        Kernel(
            "PeepholeLSTMCell",
            PeepholeChain,
            LSTMState,
            _with_both_biases,
            lambda cell: (cell.weight_hh, cell.weight_cell),
            lambda state, weights: sum(PeepholeChain.kept(weights[0])),
        ),
        Kernel(
            "ProjectedLSTMCell",
            ProjectionChain,
            LSTMState,
            _with_both_biases,
            lambda cell: (cell.weight_hh, cell.weight_hr),
            lambda state, weights: sum(ProjectionChain.kept(weights[0])),
            matrices=2,
        ),
        Kernel(
            "LayerNormLSTMCell",
            LayerNormLSTMChain,
            LSTMState,
            _normalized_with_both_biases,
            lambda cell: (cell.weight_hh, cell.gain_hh, cell.gain_cell, cell.bias_cell),
            lambda state, weights: sum(LayerNormLSTMChain.kept(weights[0])),
        ),
        Kernel(
            "LayerNormGRUCell",
            LayerNormGRUChain,
            GRUState,
            LayerNormGRUCell.project,
            lambda cell: (cell.weight_hh, cell.gain_hh, cell.bias_hh),
            lambda state, weights: sum(LayerNormGRUChain.kept(weights[0])),
        ),
        Kernel(
            "LinearCell",
            ScanChain,
            LinearState,
            lambda cell, x: torch.cat(cell.coefficients(x), -1),
            lambda cell: (),
            _twice,
            read=_twice,
            matrices=0,
        ),
    )
}
"""By the kernel's name."""
