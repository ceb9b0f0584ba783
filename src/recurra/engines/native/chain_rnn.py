"""The chain of a plain recurrent network along time; see chain.py and cpp/rnn.hpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.calling import call, packed_columns, packed_rows
from recurra.engines.native.chain import carried_from, check_first_derivative, refuse_forward_mode
from recurra.engines.native.together import Chained, Steps


class TanhChain(torch.autograd.Function):
    """(W·x + b + c [N, H], hidden [B, H], weight_hh) → outputs [N, H], ends [B, H]."""

    @staticmethod
    @Chained
    def forward(ctx: Any, inputs: Tensor, hidden: Tensor, weight: Tensor, rows: Arrangement, keep: bool) -> Steps:
        return (yield from _forward("rnn_tanh", ctx, inputs, hidden, weight, rows))

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor) -> Steps:
        return (yield from _backward("rnn_tanh", ctx, given, given_ends))

    jvp = staticmethod(refuse_forward_mode)


class RectifiedChain(torch.autograd.Function):
    """As TanhChain, with max(0, ·) for tanh."""

    @staticmethod
    @Chained
    def forward(ctx: Any, inputs: Tensor, hidden: Tensor, weight: Tensor, rows: Arrangement, keep: bool) -> Steps:
        return (yield from _forward("rnn_relu", ctx, inputs, hidden, weight, rows))

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor) -> Steps:
        return (yield from _backward("rnn_relu", ctx, given, given_ends))

    jvp = staticmethod(refuse_forward_mode)


def _forward(name: str, ctx: Any, inputs: Tensor, hidden: Tensor, weight: Tensor, rows: Arrangement) -> Steps:
    steps, size = len(inputs), weight.shape[1]
    outputs, ends = torch.empty_like(inputs), torch.empty_like(hidden)
    yield call(
        f"{name}_forward",
        rows,
        (size, size),
        {"weight_hh": (weight, (size, size))},
        {
            "the projected input": (inputs, (rows.total, size)),
            "hidden": (hidden, (rows.rows, size)),
        },
        [inputs, packed_rows(weight), hidden, outputs, ends],
    )
    ctx.rows = rows
    ctx.save_for_backward(hidden, weight, outputs, outputs.new_empty(steps, 0))
    return outputs, ends


def _backward(name: str, ctx: Any, given: Tensor, given_ends: Tensor) -> Steps:
    check_first_derivative()
    hidden, weight, outputs, _ = ctx.saved_tensors
    size = weight.shape[1]
    given, carried, to_inputs = given.contiguous(), carried_from(given_ends), torch.empty_like(outputs)
    yield call(
        f"{name}_backward",
        ctx.rows,
        (size, size),
        {"weight_hh": (weight, (size, size))},
        {
            "gradient of the outputs": (given, tuple(outputs.shape)),
            "gradient of the ends": (carried, tuple(hidden.shape)),
        },
        [packed_columns(weight), outputs, given, carried, to_inputs],
    )
    to_weight = ctx.rows.onto_read(to_inputs, hidden, outputs) if ctx.needs_input_grad[2] else None
    return to_inputs, carried, to_weight, None, None
