"""The chain of a layer along time, forward and backward: what C++ computes, as functions that torch differentiates.

The product of the input with its weights comes before, for all steps at once; the gradients of the weights come after,
one matrix product each. Both are torch's.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.check import check_matrices, check_tensors
from recurra.engines.native.library import Library, Sequences, load
from recurra.engines.native.together import Call, Chained, Steps
from recurra.errors import SettingsError

KEPT = {3: 4, 4: 5}
"""Numbers a unit and step that backward needs, by the count of gates: r, z, n, U_n·h + c_n; i, f, g, o, c'."""


def check_first_derivative() -> None:
    """Refuse a backward that is to be differentiated again (create_graph=True): it would be taken for a constant."""
    if torch.is_grad_enabled():
        refuse_second_derivatives()


def refuse_second_derivatives() -> NoReturn:
    """What the engine says of a gradient's gradient."""
    raise SettingsError(
        "the native engine gives first derivatives only, and a second one is asked for (create_graph=True asks for "
        "it too); give engine 'loop'"
    )


def refuse_forward_mode(ctx: Any, *tangents: Any) -> NoReturn:
    """What it says of forward-mode derivatives."""
    raise SettingsError("the native engine has no forward-mode derivatives (jvp); give engine 'loop'")


def carried_from(given_ends: Tensor) -> Tensor:
    """The gradient of ends, in memory that the chain may write."""
    return given_ends.clone(memory_format=torch.contiguous_format)


class GRUChain(torch.autograd.Function):
    """(W·x + b [N, 3·H], hidden [B, H], weight_hh, bias_hh) → outputs [N, H], ends [B, H]."""

    @staticmethod
    @Chained
    def forward(
        ctx: Any, inputs: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, rows: Arrangement, keep: bool
    ) -> Steps:
        library, sequences = _begin("GRU", 3, inputs, hidden, weight, bias, rows)
        outputs, ends = inputs.new_empty(inputs.shape[0], hidden.shape[1]), torch.empty_like(hidden)
        kept = inputs.new_empty(inputs.shape[0], KEPT[3] * hidden.shape[1]) if keep else None
        packed = _space_for_gates(library, hidden, weight, 3)
        places = (inputs, weight, bias, hidden, packed, outputs, ends, kept)
        yield Call(library.function("gru_forward_places", hidden.dtype), sequences, weight.numel(), places)
        ctx.rows = rows
        ctx.save_for_backward(hidden, weight, outputs, kept)
        return outputs, ends

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor) -> Steps:
        check_first_derivative()
        hidden, weight, outputs, kept = ctx.saved_tensors
        given, carried = given.contiguous(), carried_from(given_ends)
        shape = (outputs.shape[0], weight.shape[0])
        check_tensors("native GRU, backward", hidden.dtype, _gradients(given, carried, outputs, hidden))
        library, sequences = load(), _sequences(ctx.rows, hidden, weight)
        to_inputs, to_products = hidden.new_empty(shape), hidden.new_empty(shape)
        packed = _space_for_columns(library, hidden, weight)
        places = (weight, hidden, outputs, kept, given, packed, carried, to_inputs, to_products)
        yield Call(library.function("gru_backward_places", hidden.dtype), sequences, weight.numel(), places)
        to_weight = ctx.rows.onto_read(to_products, hidden, outputs) if ctx.needs_input_grad[2] else None
        return to_inputs, carried, to_weight, to_products.sum(0), None, None

    jvp = staticmethod(refuse_forward_mode)


class LSTMChain(torch.autograd.Function):
    """(W·x + b [N, 4·H], hidden and cell [B, H], weight_hh, bias_hh) → outputs [N, H], their ends and the cells'."""

    @staticmethod
    @Chained
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        bias: Tensor,
        rows: Arrangement,
        keep: bool,
    ) -> Steps:
        library, sequences = _begin("LSTM", 4, inputs, hidden, weight, bias, rows)
        check_tensors("native LSTM", hidden.dtype, {"cell": (cell, tuple(hidden.shape))})
        outputs, ends, cells = (
            inputs.new_empty(inputs.shape[0], hidden.shape[1]),
            torch.empty_like(hidden),
            cell.clone(),
        )
        kept = inputs.new_empty(inputs.shape[0], KEPT[4] * hidden.shape[1]) if keep else None
        packed = _space_for_gates(library, hidden, weight, 4)
        places = (inputs, weight, bias, hidden, packed, cells, outputs, ends, kept)
        yield Call(library.function("lstm_forward_places", hidden.dtype), sequences, weight.numel(), places)
        ctx.rows = rows
        ctx.save_for_backward(hidden, cell, weight, outputs, kept)
        return outputs, ends, cells

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor, given_cells: Tensor) -> Steps:
        check_first_derivative()
        hidden, cell, weight, outputs, kept = ctx.saved_tensors
        given, carried, cells = given.contiguous(), carried_from(given_ends), carried_from(given_cells)
        expected = _gradients(given, carried, outputs, hidden) | {"gradient of the cells": (cells, tuple(hidden.shape))}
        check_tensors("native LSTM, backward", hidden.dtype, expected)
        library, sequences = load(), _sequences(ctx.rows, hidden, weight)
        to_inputs = hidden.new_empty(outputs.shape[0], weight.shape[0])
        packed = _space_for_columns(library, hidden, weight)
        places = (weight, cell, kept, given, packed, carried, cells, to_inputs)
        yield Call(library.function("lstm_backward_places", hidden.dtype), sequences, weight.numel(), places)
        to_weight = ctx.rows.onto_read(to_inputs, hidden, outputs) if ctx.needs_input_grad[3] else None
        return to_inputs, carried, cells, to_weight, to_inputs.sum(0), None, None

    jvp = staticmethod(refuse_forward_mode)


def _begin(
    name: str, gates: int, inputs: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, rows: Arrangement
) -> tuple[Library, Sequences]:
    """Check what goes to the library, and open it."""
    size = weight.shape[-1]
    check_matrices(f"native {name}", hidden.dtype, {"weight_hh": (weight, (gates * size, size))})
    check_tensors(
        f"native {name}",
        hidden.dtype,
        {
            "bias_hh": (bias, (gates * size,)),
            "the projected input": (inputs, (rows.total, gates * size)),
            "hidden": (hidden, (rows.rows, size)),
        },
    )
    return load(), _sequences(rows, hidden, weight)


def _sequences(rows: Arrangement, hidden: Tensor, weight: Tensor) -> Sequences:
    count, size = hidden.shape
    halved = weight.dtype == torch.bfloat16
    return Sequences(count, len(rows.active), size, rows.active.data_ptr(), 1, size, halved)


def _gradients(
    given: Tensor, ends: Tensor, outputs: Tensor, hidden: Tensor
) -> dict[str, tuple[Tensor, tuple[int, ...]]]:
    return {
        "gradient of the outputs": (given, tuple(outputs.shape)),
        "gradient of the ends": (ends, tuple(hidden.shape)),
    }


def _space_for_gates(library: Library, hidden: Tensor, weight: Tensor, gates: int) -> Tensor:
    """Room for weights as pack_gates lays them: whole blocks of units, each unit with its bias."""
    size = weight.shape[1]
    return hidden.new_empty(gates * _up(size, library.lanes(hidden.dtype)) * (words(weight, size) + 1))


def _space_for_columns(library: Library, hidden: Tensor, weight: Tensor) -> Tensor:
    """Room for weights as pack_columns lays them."""
    count, size = weight.shape
    return hidden.new_empty(words(weight, count) * _up(size, 2 * library.lanes(hidden.dtype)))


def words(weight: Tensor, count: int) -> int:
    """Words that so many of a matrix's weights take: of 16 bits, two stand in one."""
    return -(-count // 2) if weight.dtype == torch.bfloat16 else count


def _up(size: int, block: int) -> int:
    return -(-size // block) * block
