"""The chain of a layer-normalised LSTM along time; see cpp/lstm_layernorm.hpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.calling import call, kept_in, packed_columns, packed_rows
from recurra.engines.native.chain import carried_from, check_first_derivative, refuse_forward_mode
from recurra.engines.native.together import Chained, Steps


class LayerNormLSTMChain(torch.autograd.Function):
    """(the normalised input [N, 4·H], hidden, cell, weight_hh, gain_hh, gain_cell, bias_cell) → as LSTMChain's."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; N(U·h); N(c'); the rates of both; the cells."""
        return [weight.shape[0], weight.shape[0], weight.shape[1], 2, weight.shape[1]]

    @staticmethod
    @Chained
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        gain: Tensor,
        gain_cell: Tensor,
        bias_cell: Tensor,
        rows: Arrangement,
        keep: bool,
    ) -> Steps:
        steps, size = len(inputs), weight.shape[1]
        outputs, ends, cells = inputs.new_empty(steps, size), torch.empty_like(hidden), cell.clone()
        widths = LayerNormLSTMChain.kept(weight)
        kept = inputs.new_empty(steps if keep else rows.rows, sum(widths))
        gates, normalized, normal_cells, rates, all_cells = kept_in(kept, widths)
        places = [inputs, packed_rows(weight), gain, gain_cell, bias_cell, hidden, cells, outputs, ends]
        yield call(
            "lstm_layernorm_forward",
            rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            {
                "gain_hh": (gain, (4 * size,)),
                "gain_cell": (gain_cell, (size,)),
                "bias_cell": (bias_cell, (size,)),
                "the projected input": (inputs, (rows.total, 4 * size)),
                "hidden": (hidden, (rows.rows, size)),
                "cell": (cells, (rows.rows, size)),
            },
            [*places, gates, normalized, normal_cells, rates, all_cells if keep else None],
        )
        ctx.rows = rows
        ctx.save_for_backward(hidden, cell, weight, gain, gain_cell, bias_cell, outputs, kept if keep else None)
        return outputs, ends, cells

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor, given_cells: Tensor) -> Steps:
        check_first_derivative()
        hidden, cell, weight, gain, gain_cell, bias_cell, outputs, kept = ctx.saved_tensors
        size = weight.shape[1]
        gates, *others = kept_in(kept, LayerNormLSTMChain.kept(weight))
        given, carried, cells = given.contiguous(), carried_from(given_ends), carried_from(given_cells)
        to_inputs, to_products = torch.empty_like(gates), torch.empty_like(gates)
        sums = [gain.new_zeros(len(hidden), width) for width in (4 * size, size, size)]
        places = [packed_columns(weight), gain, gain_cell, bias_cell, cell, gates, *others, given, carried, cells]
        yield call(
            "lstm_layernorm_backward",
            ctx.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            {
                "gradient of the outputs": (given, tuple(outputs.shape)),
                "gradient of the ends": (carried, tuple(hidden.shape)),
                "gradient of the cells": (cells, tuple(cell.shape)),
            },
            [*places, to_inputs, to_products, *sums],
        )
        to_weight = ctx.rows.onto_read(to_products, hidden, outputs) if ctx.needs_input_grad[3] else None
        return to_inputs, carried, cells, to_weight, *(one.sum(0) for one in sums), None, None

    jvp = staticmethod(refuse_forward_mode)
