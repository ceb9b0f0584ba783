"""The chain of an LSTM with a smaller hidden state along time; see cpp/lstm_projection.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients, kept_in, packed_columns, packed_rows
from recurra.engines.native.together import Record, Steps


class ProjectionChain:
    """(W·x + b + c [N, 4·H], hidden [B, P], cell [B, H], weight_hh, weight_hr) → as LSTMChain's."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; o ∘ tanh(c'); the cells."""
        return [weight.shape[0], weight.shape[0] // 4, weight.shape[0] // 4]

    @staticmethod
    def forward(
        record: Record,
        inputs: Tensor,
        kept: Tensor | None,
        hidden: Tensor,
        cell: Tensor,
        weight: Tensor,
        down: Tensor,
    ) -> Steps:
        read, size = down.shape
        ends, cells = torch.empty_like(hidden), cell.clone()
        wide, all_cells = torch.empty_like(cells), None  # room for a step
        if kept is not None:
            _, wide, all_cells = kept_in(kept, ProjectionChain.kept(weight))
        yield call(
            "lstm_projection_forward",
            record.rows,
            (size, read),
            {"weight_hh": (weight, (4 * size, read)), "weight_hr": (down, (read, size))},
            {
                "hidden": (hidden, (record.rows.rows, read)),
                "cell": (cells, (record.rows.rows, size)),
            },
            lambda: [
                packed_rows(weight),
                packed_rows(down),
                hidden,
                cells,
                record.outputs,
                ends,
                inputs,
                wide,
                all_cells,
            ],
        )
        record.save(hidden, cell, weight, down, kept)
        return ends, cells

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor, cells: Tensor) -> Steps:
        hidden, cell, weight, down, kept = record.saved
        read, size = down.shape
        gates, wide, all_cells = kept_in(kept, ProjectionChain.kept(weight))
        to_inputs, to_outputs, to_wide = (
            record.written_over(gates),
            torch.empty_like(record.outputs),
            torch.empty_like(cell),
        )
        yield call(
            "lstm_projection_backward",
            record.rows,
            (size, read),
            {"weight_hh": (weight, (4 * size, read)), "weight_hr": (down, (read, size))},
            gradients(record, given, carried, cells),
            lambda: [
                packed_columns(weight),
                packed_columns(down),
                cell,
                gates,
                all_cells,
                given,
                carried,
                cells,
                to_inputs,
                to_outputs,
                to_wide,
            ],
        )
        to_weight = record.of_read(3, to_inputs, hidden)
        to_down = to_outputs.t() @ wide if record.needed[4] else None
        return to_inputs, carried, cells, to_weight, to_down
