"""The chain of a layer-normalised LSTM along time; see cpp/lstm_layernorm.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients, kept_in, packed_columns, packed_rows
from recurra.engines.native.together import Record, Steps


class LayerNormLSTMChain:
    """(the normalised input [N, 4·H], hidden, cell, weight_hh, gain_hh, gain_cell, bias_cell) → as LSTMChain's."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; N(U·h); N(c'); the rates of both; the cells."""
        return [weight.shape[0], weight.shape[0], weight.shape[1], 2, weight.shape[1]]

    @staticmethod
    def forward(
        record: Record,
        inputs: Tensor,
        kept: Tensor | None,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        gain: Tensor,
        gain_cell: Tensor,
        bias_cell: Tensor,
    ) -> Steps:
        size, widths = weight.shape[1], LayerNormLSTMChain.kept(weight)
        ends, cells, room = torch.empty_like(hidden), cell.clone(), kept
        if room is None:  # of a step
            room = inputs.new_empty(record.rows.rows, sum(widths))
        *gates, all_cells = kept_in(room, widths)
        yield call(
            "lstm_layernorm_forward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            {
                "gain_hh": (gain, (4 * size,)),
                "gain_cell": (gain_cell, (size,)),
                "bias_cell": (bias_cell, (size,)),
                "the projected input": (inputs, (record.rows.total, 4 * size)),
                "cell": (cells, (record.rows.rows, size)),
                "hidden": (hidden, (record.rows.rows, size)),
            },
            lambda: [
                inputs,
                packed_rows(weight),
                gain,
                gain_cell,
                bias_cell,
                hidden,
                cells,
                record.outputs,
                ends,
                *gates,
                None if kept is None else all_cells,
            ],
        )
        record.save(hidden, cell, weight, gain, gain_cell, bias_cell, kept)
        return ends, cells

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor, cells: Tensor) -> Steps:
        hidden, cell, weight, gain, gain_cell, bias_cell, kept = record.saved
        size = weight.shape[1]
        gates, *others = kept_in(kept, LayerNormLSTMChain.kept(weight))
        to_inputs, to_products = record.written_over(gates), torch.empty_like(gates)
        sums = [gain.new_zeros(len(hidden), width) for width in (4 * size, size, size)]
        yield call(
            "lstm_layernorm_backward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            gradients(record, given, carried, cells),
            lambda: [
                packed_columns(weight),
                gain,
                gain_cell,
                bias_cell,
                cell,
                gates,
                *others,
                given,
                carried,
                cells,
                to_inputs,
                to_products,
                *sums,
            ],
        )
        to_weight = record.of_read(3, to_products, hidden)
        return to_inputs, carried, cells, to_weight, *(one.sum(0) for one in sums)
