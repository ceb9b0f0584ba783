"""The chain of a recurrence that is linear in its state; see cpp/scan.hpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.calling import call
from recurra.engines.native.chain import carried_from, check_first_derivative, refuse_forward_mode
from recurra.engines.native.together import Chained, Steps


class ScanChain(torch.autograd.Function):
    """(a and b of h' = a ∘ h + b, side by side [N, 2·H], hidden [B, H]) → outputs [N, H], ends [B, H]."""

    @staticmethod
    @Chained
    def forward(ctx: Any, inputs: Tensor, hidden: Tensor, rows: Arrangement, keep: bool) -> Steps:
        steps, size = len(inputs), hidden.shape[1]
        outputs, ends = inputs.new_empty(steps, size), torch.empty_like(hidden)
        yield call(
            "scan_forward",
            rows,
            (size, size),
            {},
            {
                "the projected input": (inputs, (rows.total, 2 * size)),
                "hidden": (hidden, (rows.rows, size)),
            },
            [inputs, hidden, outputs, ends],
        )
        ctx.rows = rows
        ctx.save_for_backward(hidden, outputs, inputs)
        return outputs, ends

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor) -> Steps:
        check_first_derivative()
        hidden, outputs, inputs = ctx.saved_tensors
        size = hidden.shape[1]
        given, carried, to_inputs = given.contiguous(), carried_from(given_ends), torch.empty_like(inputs)
        yield call(
            "scan_backward",
            ctx.rows,
            (size, size),
            {},
            {
                "gradient of the outputs": (given, tuple(outputs.shape)),
                "gradient of the ends": (carried, tuple(hidden.shape)),
            },
            [inputs, hidden, outputs, given, carried, to_inputs],
        )
        return to_inputs, carried, None, None

    jvp = staticmethod(refuse_forward_mode)
