"""The chain of an LSTM whose gates see the cell along time; see cpp/lstm_peephole.hpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.calling import call, kept_in, packed_columns, packed_rows
from recurra.engines.native.chain import carried_from, check_first_derivative, refuse_forward_mode
from recurra.engines.native.together import Chained, Steps


class PeepholeChain(torch.autograd.Function):
    """(W·x + b + c [N, 4·H], hidden and cell [B, H], weight_hh, weight_cell) → outputs, their ends and the cells'."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; the cells."""
        return [weight.shape[0], weight.shape[1]]

    @staticmethod
    @Chained
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        peeps: Tensor,
        rows: Arrangement,
        keep: bool,
    ) -> Steps:
        steps, size = len(inputs), weight.shape[1]
        outputs, ends, cells = inputs.new_empty(steps, size), torch.empty_like(hidden), cell.clone()
        widths = PeepholeChain.kept(weight)
        kept = inputs.new_empty(steps if keep else rows.rows, sum(widths))
        gates, all_cells = kept_in(kept, widths)
        yield call(
            "lstm_peephole_forward",
            rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            {
                "weight_cell": (peeps, (3 * size,)),
                "the projected input": (inputs, (rows.total, 4 * size)),
                "hidden": (hidden, (rows.rows, size)),
                "cell": (cells, (rows.rows, size)),
            },
            [inputs, packed_rows(weight), peeps, hidden, cells, outputs, ends, gates, all_cells if keep else None],
        )
        ctx.rows = rows
        ctx.save_for_backward(hidden, cell, weight, peeps, outputs, kept if keep else None)
        return outputs, ends, cells

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor, given_cells: Tensor) -> Steps:
        check_first_derivative()
        hidden, cell, weight, peeps, outputs, kept = ctx.saved_tensors
        size = weight.shape[1]
        gates, all_cells = kept_in(kept, PeepholeChain.kept(weight))
        given, carried, cells = given.contiguous(), carried_from(given_ends), carried_from(given_cells)
        to_inputs, to_peeps = torch.empty_like(gates), peeps.new_zeros(len(hidden), 3 * size)
        yield call(
            "lstm_peephole_backward",
            ctx.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            {
                "gradient of the outputs": (given, tuple(outputs.shape)),
                "gradient of the ends": (carried, tuple(hidden.shape)),
                "gradient of the cells": (cells, tuple(cell.shape)),
            },
            [packed_columns(weight), peeps, cell, gates, all_cells, given, carried, cells, to_inputs, to_peeps],
        )
        to_weight = ctx.rows.onto_read(to_inputs, hidden, outputs) if ctx.needs_input_grad[3] else None
        return to_inputs, carried, cells, to_weight, to_peeps.sum(0), None, None

    jvp = staticmethod(refuse_forward_mode)
