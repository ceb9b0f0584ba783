"""The chain of independent units along time; see cpp/indrnn.hpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.calling import call
from recurra.engines.native.chain import carried_from, check_first_derivative, refuse_forward_mode
from recurra.engines.native.together import Chained, Steps


class IndRNNChain(torch.autograd.Function):
    """(W·x + b [N, H], hidden [B, H], the weights within their bound [H]) → outputs [N, H], ends [B, H]."""

    @staticmethod
    @Chained
    def forward(ctx: Any, inputs: Tensor, hidden: Tensor, weight: Tensor, rows: Arrangement, keep: bool) -> Steps:
        size = len(weight)
        outputs, ends = torch.empty_like(inputs), torch.empty_like(hidden)
        yield call(
            "indrnn_forward",
            rows,
            (size, size),
            {},
            {
                "weight_hh": (weight, (size,)),
                "the projected input": (inputs, (rows.total, size)),
                "hidden": (hidden, (rows.rows, size)),
            },
            [inputs, weight, hidden, outputs, ends],
        )
        ctx.rows = rows
        ctx.save_for_backward(hidden, weight, outputs, outputs.new_empty(len(inputs), 0))
        return outputs, ends

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor) -> Steps:
        check_first_derivative()
        hidden, weight, outputs, _ = ctx.saved_tensors
        given, carried, to_inputs = given.contiguous(), carried_from(given_ends), torch.empty_like(outputs)
        to_weight = torch.zeros_like(hidden)
        yield call(
            "indrnn_backward",
            ctx.rows,
            (len(weight), len(weight)),
            {},
            {
                "gradient of the outputs": (given, tuple(outputs.shape)),
                "gradient of the ends": (carried, tuple(hidden.shape)),
            },
            [weight, hidden, outputs, given, carried, to_inputs, to_weight],
        )
        return to_inputs, carried, to_weight.sum(0), None, None

    jvp = staticmethod(refuse_forward_mode)
