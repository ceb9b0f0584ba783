"""The chains of a layer's two directions as one function that torch differentiates, run at once both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement
from recurra.engines.native.chain import refuse_forward_mode
from recurra.engines.native.together import Record, at_once


class TwoChains(torch.autograd.Function):
    """(the chain's function, both arrangements, whether backward will come of each, what one is given, the other) →
    the outputs and ends of one, then of the other.
    """

    @staticmethod
    def forward(
        ctx: Any, chain: Any, ways: Sequence[Arrangement], keep: Sequence[bool], *tensors: Tensor
    ) -> tuple[Tensor | None, ...]:
        records = Record(), Record()
        halves = _halves(tensors)
        found = at_once(
            [
                chain.forward.body(record, *given, rows, kept)
                for record, given, rows, kept in zip(records, halves, ways, keep, strict=True)
            ]
        )
        ctx.chain, ctx.ways = chain, ways
        ctx.save_for_backward(*(one for record in records for one in record.saved_tensors))
        ctx.shapes = [one.shape for one in found[0] if one is not None]
        ctx.set_materialize_grads(False)
        return *found[0], *found[1]

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        saved, needed = _halves(ctx.saved_tensors), _halves(ctx.needs_input_grad[3:])
        begun = {}
        for way, gradients in enumerate(_halves(given)):
            asked = next((one for one in gradients if one is not None), None)
            if asked is None or not any(needed[way]):
                continue
            record = Record()
            record.rows, record.saved_tensors, record.needs_input_grad = ctx.ways[way], saved[way], needed[way]
            pairs = zip(gradients, ctx.shapes, strict=True)
            whole = (asked.new_zeros(shape) if one is None else one for one, shape in pairs)
            begun[way] = ctx.chain.backward.body(record, *whole)
        found = dict(zip(begun, at_once(list(begun.values())), strict=True))
        count = len(needed[0])
        to_tensors = (one for way in range(2) for one in (found[way][:count] if way in found else [None] * count))
        return None, None, None, *to_tensors

    jvp = staticmethod(refuse_forward_mode)


def _halves(both: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    half = len(both) // 2
    return both[:half], both[half:]
