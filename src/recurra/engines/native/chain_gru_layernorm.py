"""The chain of a layer-normalised GRU along time; see cpp/gru_layernorm.hpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.calling import call, kept_in, packed_columns, packed_rows
from recurra.engines.native.chain import carried_from, check_first_derivative, refuse_forward_mode
from recurra.engines.native.together import Chained, Steps


class LayerNormGRUChain(torch.autograd.Function):
    """(the normalised input [N, 3·H], hidden, weight_hh, gain_hh, bias_hh) → outputs [N, H], ends [B, H]."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; N(U·h); its two rates."""
        return [weight.shape[0], weight.shape[0], 2]

    @staticmethod
    @Chained
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        weight: Tensor,
        gain: Tensor,
        bias: Tensor,
        rows: Arrangement,
        keep: bool,
    ) -> Steps:
        steps, size = len(inputs), weight.shape[1]
        outputs, ends = inputs.new_empty(steps, size), torch.empty_like(hidden)
        widths = LayerNormGRUChain.kept(weight)
        kept = inputs.new_empty(steps if keep else rows.rows, sum(widths))
        places = [inputs, packed_rows(weight), gain, bias, hidden, outputs, ends, *kept_in(kept, widths)]
        yield call(
            "gru_layernorm_forward",
            rows,
            (size, size),
            {"weight_hh": (weight, (3 * size, size))},
            {
                "gain_hh": (gain, (3 * size,)),
                "bias_hh": (bias, (3 * size,)),
                "the projected input": (inputs, (rows.total, 3 * size)),
                "hidden": (hidden, (rows.rows, size)),
            },
            [*places, kept if keep else None],
        )
        ctx.rows = rows
        ctx.save_for_backward(hidden, weight, gain, bias, outputs, kept if keep else None)
        return outputs, ends

    @staticmethod
    @Chained
    def backward(ctx: Any, given: Tensor, given_ends: Tensor) -> Steps:
        check_first_derivative()
        hidden, weight, gain, bias, outputs, kept = ctx.saved_tensors
        size = weight.shape[1]
        gates, normalized, rates = kept_in(kept, LayerNormGRUChain.kept(weight))
        given, carried = given.contiguous(), carried_from(given_ends)
        to_inputs, to_products = torch.empty_like(gates), torch.empty_like(gates)
        to_gain, to_bias = gain.new_zeros(len(hidden), 3 * size), gain.new_zeros(len(hidden), 3 * size)
        places = [packed_columns(weight), gain, bias, hidden, outputs, gates, normalized, rates, given, carried]
        yield call(
            "gru_layernorm_backward",
            ctx.rows,
            (size, size),
            {"weight_hh": (weight, (3 * size, size))},
            {
                "gradient of the outputs": (given, tuple(outputs.shape)),
                "gradient of the ends": (carried, tuple(hidden.shape)),
            },
            [*places, to_inputs, to_products, to_gain, to_bias],
        )
        to_weight = ctx.rows.onto_read(to_products, hidden, outputs) if ctx.needs_input_grad[2] else None
        return to_inputs, carried, to_weight, to_gain.sum(0), to_bias.sum(0), None, None

    jvp = staticmethod(refuse_forward_mode)
