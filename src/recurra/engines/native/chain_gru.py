"""The chain of a GRU along time; see cpp/gru.hpp."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.engines.native.calling import call, gradients, packed_columns, packed_gates
from recurra.engines.native.together import Record, Steps


class GRUChain:
    """(W·x + b [N, 3·H], hidden [B, H], weight_hh, bias_hh) → ends [B, H]."""

    @staticmethod
    def kept(weight: Tensor) -> list[int]:
        """Numbers a step that backward needs: U_n·h + c_n, r, z and n, side by side."""
        return [weight.shape[0] + weight.shape[1]]

    @staticmethod
    def forward(
        record: Record, inputs: Tensor, kept: Tensor | None, hidden: Tensor, weight: Tensor, bias: Tensor
    ) -> Steps:
        size = weight.shape[1]
        ends = torch.empty_like(hidden)
        yield call(
            "gru_forward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (3 * size, size))},
            {"hidden": (hidden, (record.rows.rows, size)), "bias_hh": (bias, (3 * size,))},
            lambda: [inputs, packed_gates(weight, bias, 3), hidden, record.outputs, ends, kept],
            inputs.stride(0),
        )
        record.save(hidden, weight, kept)
        return (ends,)

    @staticmethod
    def backward(record: Record, given: Tensor, carried: Tensor) -> Steps:
        hidden, weight, kept = record.saved
        size = weight.shape[1]
        to_sums = record.written_over(kept)
        yield call(
            "gru_backward",
            record.rows,
            (size, size),
            {"weight_hh": (weight, (3 * size, size))},
            gradients(record, given, carried),
            lambda: [packed_columns(_turned(weight, 2 * size)), hidden, record.outputs, kept, given, carried, to_sums],
        )
        to_products = to_sums[:, : 3 * size]  # of n, r, z; those of W·x + b are of r, z, n
        to_weight = record.of_read(2, to_products, hidden)
        to_bias = _turned(to_products.sum(0), size)
        return to_sums[:, size:], carried, None if to_weight is None else _turned(to_weight, size), to_bias


def _turned(rows: Tensor, first: int) -> Tensor:
    """From row `first` on, and then those before it."""
    return torch.cat([rows[first:], rows[:first]])
