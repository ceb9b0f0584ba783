"""The chain of a recurrence that is linear in its state; see cpp/scan.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients
from recurra.engines.native.together import Record, Steps


class ScanChain:
    """(a and b of h' = a ∘ h + b, side by side [N, 2·H], hidden [B, H]) → ends [B, H]."""

    @staticmethod
    def forward(record: Record, inputs: Tensor, kept: Tensor | None, hidden: Tensor) -> Steps:
        size = hidden.shape[1]
        ends = torch.empty_like(hidden)
        yield call(
            "scan_forward",
            record.rows,
            (size, size),
            {},
            {
                "hidden": (hidden, (record.rows.rows, size)),
                "the projected input": (inputs, (record.rows.total, 2 * size)),
            },
            lambda: [inputs, hidden, record.outputs, ends],
        )
        record.save(hidden, inputs)
        return (ends,)

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor) -> Steps:
        hidden, inputs = record.saved
        size = hidden.shape[1]
        to_inputs = torch.empty_like(inputs)
        yield call(
            "scan_backward",
            record.rows,
            (size, size),
            {},
            gradients(record, given, carried),
            lambda: [inputs, hidden, record.outputs, given, carried, to_inputs],
        )
        return to_inputs, carried
