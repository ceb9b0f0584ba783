"""The chain of a layer-normalised GRU along time; see cpp/gru_layernorm.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients, kept_in, packed_columns, packed_rows
from recurra.engines.native.together import Record, Steps


class LayerNormGRUChain:
    """(the normalised input [N, 3·H], hidden, weight_hh, gain_hh, bias_hh) → ends [B, H]."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: the gates; N(U·h); its two rates."""
        return [weight.shape[0], weight.shape[0], 2]

    @staticmethod
    def forward(
        record: Record,
        inputs: Tensor,
        kept: Tensor | None,
        hidden: Tensor,
        weight: Tensor,
        gain: Tensor,
        bias: Tensor,
    ) -> Steps:
        size, widths = weight.shape[1], LayerNormGRUChain.kept(weight)
        ends, room = torch.empty_like(hidden), kept
        if room is None:  # of a step
            room = inputs.new_empty(record.rows.rows, sum(widths))
        yield call(
            "gru_layernorm_forward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (3 * size, size))},
            {
                "gain_hh": (gain, (3 * size,)),
                "bias_hh": (bias, (3 * size,)),
                "the projected input": (inputs, (record.rows.total, 3 * size)),
                "hidden": (hidden, (record.rows.rows, size)),
            },
            lambda: [
                inputs,
                packed_rows(weight),
                gain,
                bias,
                hidden,
                record.outputs,
                ends,
                *kept_in(room, widths),
                kept,
            ],
        )
        record.save(hidden, weight, gain, bias, kept)
        return (ends,)

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor) -> Steps:
        hidden, weight, gain, bias, kept = record.saved
        size = weight.shape[1]
        gates, normalized, rates = kept_in(kept, LayerNormGRUChain.kept(weight))
        to_inputs, to_products = record.written_over(gates), torch.empty_like(gates)
        to_gain, to_bias = gain.new_zeros(len(hidden), 3 * size), gain.new_zeros(len(hidden), 3 * size)
        yield call(
            "gru_layernorm_backward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (3 * size, size))},
            gradients(record, given, carried),
            lambda: [
                packed_columns(weight),
                gain,
                bias,
                hidden,
                record.outputs,
                gates,
                normalized,
                rates,
                given,
                carried,
                to_inputs,
                to_products,
                to_gain,
                to_bias,
            ],
        )
        to_weight = record.of_read(2, to_products, hidden)
        return to_inputs, carried, to_weight, to_gain.sum(0), to_bias.sum(0)
