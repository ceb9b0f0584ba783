"""The chain of independent units along time; see cpp/indrnn.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients
from recurra.engines.native.together import Record, Steps


class IndRNNChain:
    """(W·x + b [N, H] where the outputs will be, hidden [B, H], the weights within their bound [H]) → as TanhChain."""

    @staticmethod
    def forward(record: Record, inputs: Tensor, kept: Tensor | None, hidden: Tensor, weight: Tensor) -> Steps:
        size = len(weight)
        ends = torch.empty_like(hidden)
        yield call(
            "indrnn_forward",
            record.rows,
            (size, size),
            {},
            {"weight_hh": (weight, (size,)), "hidden": (hidden, (record.rows.rows, size))},
            lambda: [weight, hidden, record.outputs, ends],
        )
        record.save(hidden, weight, kept)
        return (ends,)

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor) -> Steps:
        hidden, weight, _ = record.saved
        to_inputs, to_weight = torch.empty_like(record.outputs), torch.zeros_like(hidden)
        yield call(
            "indrnn_backward",
            record.rows,
            (len(weight), len(weight)),
            {},
            gradients(record, given, carried),
            lambda: [weight, hidden, record.outputs, given, carried, to_inputs, to_weight],
        )
        return to_inputs, carried, to_weight.sum(0)
