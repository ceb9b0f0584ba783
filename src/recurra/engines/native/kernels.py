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
from recurra.engines.native.chain_gru import GRUChain
from recurra.engines.native.chain_gru_layernorm import LayerNormGRUChain
from recurra.engines.native.chain_indrnn import IndRNNChain
from recurra.engines.native.chain_lstm import LSTMChain
from recurra.engines.native.chain_lstm_layernorm import LayerNormLSTMChain
from recurra.engines.native.chain_peephole import PeepholeChain
from recurra.engines.native.chain_projection import ProjectionChain
from recurra.engines.native.chain_rnn import RectifiedChain, TanhChain
from recurra.engines.native.chain_scan import ScanChain

Tensors = Sequence[Tensor]


def _all_saved(state: Tensors, weights: Tensors, kept: Tensor) -> tuple[Tensor, ...]:
    return (*state, *weights, kept)


def _without_bias(state: Tensors, weights: Tensors, kept: Tensor) -> tuple[Tensor, ...]:
    return (*state, weights[0], kept)


def _rows_of_weight(state: Tensors, weights: Tensors) -> int:
    return weights[0].shape[0]


def _as_outputs(outputs: Tensor, kept: Tensor | None, width: int) -> Tensor:
    return outputs


def _in_front(outputs: Tensor, kept: Tensor | None, width: int) -> Tensor:
    """The first of what kept_in would cut."""
    size = len(outputs) * width
    return (outputs.new_empty(size) if kept is None else kept.view(-1)[:size]).view(-1, width)


def _at_the_end(outputs: Tensor, kept: Tensor | None, width: int) -> Tensor:
    """The last columns."""
    return outputs.new_empty(len(outputs), width) if kept is None else kept[:, kept.shape[1] - width :]


class Kernel(NamedTuple):
    """How a cell is run.

    name: the kernel's own. chain: what runs it along time; see together.py. state: the cell's. weights: what the chain
    reads of the cell; matrices: how many of them, the first ones, are matrices, which may be of bfloat16 where the cell
    is of float32. project: x [..., I] → the projected input, for all steps at once. projection: where that is a product
    and a sum, the weights and the one or two biases. place: of a chain that writes over its projected input, where this
    must stand, from the outputs, what is kept, and its width; None: it only reads it.

    From the leaves of the state and the weights: kept, the numbers a step that the chain keeps for its backward; read,
    those of the projected input; saved, for the operators, all that it saves, in its order, what is kept last.
    """

    name: str
    chain: Any
    state: type[Any]
    project: Callable[[Any, Tensor], Tensor]
    weights: Callable[[Any], tuple[Tensor, ...]]
    kept: Callable[[Tensors, Tensors], int]
    read: Callable[[Tensors, Tensors], int] = _rows_of_weight
    saved: Callable[[Tensors, Tensors, Tensor], tuple[Tensor, ...]] = _all_saved
    matrices: int = 1
    projection: Callable[[Any], tuple[Tensor, ...]] | None = None
    place: Callable[[Tensor, Tensor | None, int], Tensor] | None = None

    def room(
        self, state: Tensors, weights: Tensors, outputs: Tensor, keep: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """Room for the projected input, None where the chain reads it wherever it is, and for what is kept."""
        kept = outputs.new_empty(len(outputs), self.kept(state, weights)) if keep else None
        return None if self.place is None else self.place(outputs, kept, self.read(state, weights)), kept


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


def _both_biases(cell: Any) -> tuple[Tensor, ...]:
    return cell.weight_ih, cell.bias_ih, cell.bias_hh


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
            lambda state, weights: sum(GRUChain.kept(weights[0])),
            saved=_without_bias,
            projection=lambda cell: (cell.weight_ih, cell.bias_ih),
            place=_at_the_end,
        ),
        Kernel(
            "LSTMCell",
            LSTMChain,
            LSTMState,
            _with_both_biases,
            _weight,
            lambda state, weights: sum(LSTMChain.kept(weights[0])),
            projection=_both_biases,
            place=_in_front,
        ),
        *(
            Kernel(
                f"ElmanCell, {nonlinearity}",
                chain,
                ElmanState,
                _with_both_biases,
                _weight,
                _nothing,
                projection=_both_biases,
                place=_as_outputs,
            )
            for nonlinearity, chain in (("tanh", TanhChain), ("relu", RectifiedChain))
        ),
        Kernel(
            "IndRNNCell",
            IndRNNChain,
            IndRNNState,
            IndRNNCell.project,
            lambda cell: (cell.weight_hh.clamp(-cell.bound, cell.bound),),
            _nothing,
            matrices=0,
            projection=lambda cell: (cell.weight_ih, cell.bias_ih),
            place=_as_outputs,
        ),
        Kernel(
            "PeepholeLSTMCell",
            PeepholeChain,
            LSTMState,
            _with_both_biases,
            lambda cell: (cell.weight_hh, cell.weight_cell),
            lambda state, weights: sum(LSTMChain.kept(weights[0])),
            projection=_both_biases,
            place=_in_front,
        ),
        Kernel(
            "ProjectedLSTMCell",
            ProjectionChain,
            LSTMState,
            _with_both_biases,
            lambda cell: (cell.weight_hh, cell.weight_hr),
            lambda state, weights: sum(ProjectionChain.kept(weights[0])),
            matrices=2,
            projection=_both_biases,
            place=_in_front,
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
