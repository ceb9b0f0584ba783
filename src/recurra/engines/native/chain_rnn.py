"""The chain of a plain recurrent network along time; see cpp/rnn.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients, packed_columns, packed_rows
from recurra.engines.native.together import Record, Steps


class TanhChain:
    """(W·x + b + c [N, H] where the outputs will be, hidden [B, H], weight_hh) → ends [B, H]."""

    name = "rnn_tanh"

    @classmethod
    def forward(cls, record: Record, inputs: Tensor, kept: Tensor | None, hidden: Tensor, weight: Tensor) -> Steps:
        size = weight.shape[1]
        ends = torch.empty_like(hidden)
        yield call(
            f"{cls.name}_forward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (size, size))},
            {"hidden": (hidden, (record.rows.rows, size))},
            lambda: [packed_rows(weight), hidden, record.outputs, ends],
        )
        record.save(hidden, weight, kept)
        return (ends,)

    @classmethod
    def backward(cls, record: Record, given: Tensor, carried: Tensor) -> Steps:
        hidden, weight, _ = record.saved
        size = weight.shape[1]
        to_inputs = torch.empty_like(record.outputs)
        yield call(
            f"{cls.name}_backward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (size, size))},
            gradients(record, given, carried),
            lambda: [packed_columns(weight), record.outputs, given, carried, to_inputs],
        )
        return to_inputs, carried, record.of_read(2, to_inputs, hidden)


class RectifiedChain(TanhChain):
    """As TanhChain, with max(0, ·) for tanh."""

    name = "rnn_relu"
