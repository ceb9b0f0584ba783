"""The chain of an LSTM whose gates see the cell along time; see cpp/lstm_peephole.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients, kept_in, packed_columns, packed_rows
from recurra.engines.native.chain_lstm import LSTMChain
from recurra.engines.native.together import Record, Steps


class PeepholeChain:
    """(W·x + b + c [N, 4·H], hidden and cell [B, H], weight_hh, weight_cell) → as LSTMChain's."""

    @staticmethod
    def forward(
        record: Record,
        inputs: Tensor,
        kept: Tensor | None,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        peeps: Tensor,
    ) -> Steps:
        size = weight.shape[1]
        ends, cells = torch.empty_like(hidden), cell.clone()
        all_cells = None if kept is None else kept.view(-1)[inputs.numel() :]  # behind the gates
        yield call(
            "lstm_peephole_forward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            {
                "weight_cell": (peeps, (3 * size,)),
                "cell": (cells, (record.rows.rows, size)),
                "hidden": (hidden, (record.rows.rows, size)),
            },
            lambda: [packed_rows(weight), peeps, hidden, cells, record.outputs, ends, inputs, all_cells],
        )
        record.save(hidden, cell, weight, peeps, kept)
        return ends, cells

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor, cells: Tensor) -> Steps:
        hidden, cell, weight, peeps, kept = record.saved
        size = weight.shape[1]
        gates, all_cells = kept_in(kept, LSTMChain.kept(weight))
        to_inputs, to_peeps = record.written_over(gates), peeps.new_zeros(len(hidden), 3 * size)
        yield call(
            "lstm_peephole_backward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            gradients(record, given, carried, cells),
            lambda: [packed_columns(weight), peeps, cell, gates, all_cells, given, carried, cells, to_inputs, to_peeps],
        )
        to_weight = record.of_read(3, to_inputs, hidden)
        return to_inputs, carried, cells, to_weight, to_peeps.sum(0)
