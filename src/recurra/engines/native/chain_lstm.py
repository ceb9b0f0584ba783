"""The chain of an LSTM along time; see cpp/lstm.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients, kept_in, packed_columns, packed_gates
from recurra.engines.native.together import Record, Steps


class LSTMChain:
    """(W·x + b + c [N, 4·H], hidden and cell [B, H], weight_hh) → the ends of both."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; the cells."""
        return [weight.shape[0], weight.shape[1]]

    @staticmethod
    def forward(
        record: Record, inputs: Tensor, kept: Tensor | None, hidden: Tensor, cell: Tensor, weight: Tensor
    ) -> Steps:
        size = weight.shape[1]
        ends, cells = torch.empty_like(hidden), cell.clone()
        all_cells = None if kept is None else kept.view(-1)[inputs.numel() :]  # behind the gates
        yield call(
            "lstm_forward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            {"hidden": (hidden, (record.rows.rows, size)), "cell": (cells, (record.rows.rows, size))},
            lambda: [packed_gates(weight, None, 4), hidden, cells, record.outputs, ends, inputs, all_cells],
        )
        record.save(hidden, cell, weight, kept)
        return ends, cells

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor, cells: Tensor) -> Steps:
        hidden, cell, weight, kept = record.saved
        size = weight.shape[1]
        gates, all_cells = kept_in(kept, LSTMChain.kept(weight))
        to_inputs = record.written_over(gates)
        yield call(
            "lstm_backward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (4 * size, size))},
            gradients(record, given, carried, cells),
            lambda: [packed_columns(weight), cell, gates, all_cells, given, carried, cells, to_inputs],
        )
        return to_inputs, carried, cells, record.of_read(3, to_inputs, hidden)
