"""The chain of an LSTM with a smaller hidden state along time; see cpp/lstm_projection.hpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.calling import call, kept_in, packed_columns, packed_rows
from recurra.engines.native.chain import carried_from, check_first_derivative, refuse_forward_mode
from recurra.engines.native.together import Chained, Steps


class ProjectionChain(torch.autograd.Function):
    """(W·x + b + c [N, 4·H], hidden [B, P], cell [B, H], weight_hh, weight_hr) → outputs, their ends and the cells'."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; o ∘ tanh(c'); the cells."""
        return [weight.shape[0], weight.shape[0] // 4, weight.shape[0] // 4]

    @staticmethod
    @Chained
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        down: Tensor,
        rows: Arrangement,
        keep: bool,
    ) -> Steps:
        steps, (read, size) = len(inputs), down.shape
        outputs, ends, cells = inputs.new_empty(steps, read), torch.empty_like(hidden), cell.clone()
        widths = ProjectionChain.kept(weight)
        kept = inputs.new_empty(steps if keep else rows.rows, sum(widths))
        gates, wide, all_cells = kept_in(kept, widths)
        places = [inputs, packed_rows(weight), packed_rows(down), hidden, cells, outputs, ends, gates, wide]
        yield call(
            "lstm_projection_forward",
            rows,
            (size, read),
            {"weight_hh": (weight, (4 * size, read)), "weight_hr": (down, (read, size))},
            {
                "the projected input": (inputs, (rows.total, 4 * size)),
                "hidden": (hidden, (rows.rows, read)),
                "cell": (cells, (rows.rows, size)),
            },
            [*places, all_cells if keep else None],
        )
        ctx.rows = rows
        ctx.save_for_backward(hidden, cell, weight, down, outputs, kept if keep else None)
        return outputs, ends, cells

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor, given_cells: Tensor) -> Steps:
        check_first_derivative()
        hidden, cell, weight, down, outputs, kept = ctx.saved_tensors
        read, size = down.shape
        gates, wide, all_cells = kept_in(kept, ProjectionChain.kept(weight))
        given, carried, cells = given.contiguous(), carried_from(given_ends), carried_from(given_cells)
        to_inputs, to_outputs, to_wide = torch.empty_like(gates), torch.empty_like(outputs), torch.empty_like(cell)
        places = [packed_columns(weight), packed_columns(down), cell, gates, all_cells, given, carried, cells]
        yield call(
            "lstm_projection_backward",
            ctx.rows,
            (size, read),
            {"weight_hh": (weight, (4 * size, read)), "weight_hr": (down, (read, size))},
            {
                "gradient of the outputs": (given, tuple(outputs.shape)),
                "gradient of the ends": (carried, tuple(hidden.shape)),
                "gradient of the cells": (cells, tuple(cell.shape)),
            },
            [*places, to_inputs, to_outputs, to_wide],
        )
        to_weight = ctx.rows.onto_read(to_inputs, hidden, outputs) if ctx.needs_input_grad[3] else None
        to_down = to_outputs.t() @ wide if ctx.needs_input_grad[4] else None
        return to_inputs, carried, cells, to_weight, to_down, None, None

    jvp = staticmethod(refuse_forward_mode)
