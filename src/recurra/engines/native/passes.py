"""A layer along time as one function that torch differentiates: projected, run by its chain, put back in its places.

The product of the input with its weights comes first, for all steps at once; the gradients of the weights come after,
one matrix product each. Both are torch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement, product
from recurra.engines.native.check import check_tensors
from recurra.engines.native.kernels import Kernel
from recurra.engines.native.together import Record, Steps, at_once
from recurra.errors import SettingsError


class Way(NamedTuple):
    """What one direction is given.

    rows: how its steps are arranged. given: x [B, T, I]; where there is no projection, the projected input [N, …] as
    the steps are arranged. projection: the weights [G, I] and the biases [G] that are added. leaves: of the state
    before the first step, [B, …] each. weights: as the chain takes them.
    """

    rows: Arrangement
    given: Tensor
    projection: Sequence[Tensor]
    leaves: Sequence[Tensor]
    weights: Sequence[Tensor]


class Shape(NamedTuple):
    """How a pass reads its tensors, which are as many for each direction.

    rows, steps: B and T. projection, leaves: how many there are of each. keep: whether backward will come.
    """

    kernel: Kernel
    rows: int
    steps: int
    ways: Sequence[Arrangement]
    projection: int
    leaves: int
    keep: bool

    @property
    def in_place(self) -> bool:
        """Whether the chain's outputs are the pass's."""
        return len(self.ways) == 1 and self.ways[0].place is None

    def each(self, tensors: Sequence[Any]) -> list[tuple[Any, Sequence[Any], Sequence[Any], Sequence[Any]]]:
        """Of each direction what is given, the projection's, the leaves' and the weights' part."""
        first, after = 1 + self.projection, 1 + self.projection + self.leaves
        several = _shared(tensors, len(self.ways))
        return [(one[0], one[1:first], one[first:after], one[after:]) for one in several]


def run_pass(kernel: Kernel, rows: int, steps: int, ways: Sequence[Way]) -> tuple[Tensor, list[Sequence[Tensor]]]:
    """A layer in one direction, or in both at once.

    Returns:
        outputs [B, T, directions · H], zero beyond the lengths, and for each direction the leaves of the state at its
        end.

    Raises:
        ShapeError: something given does not fit.
        SettingsError: in backward, where second derivatives are asked for.
    """
    tensors = [one for way in ways for one in (way.given, *way.projection, *way.leaves, *way.weights)]
    keep = torch.is_grad_enabled() and any(one.requires_grad for one in tensors)
    arranged = tuple(way.rows for way in ways)
    shape = Shape(kernel, rows, steps, arranged, len(ways[0].projection), len(ways[0].leaves), keep)
    outputs, *ends = Pass.apply(shape, *tensors)  # type: ignore[no-untyped-call]
    return outputs, _shared(ends, len(ways))


def refuse_second_derivatives() -> NoReturn:
    """What the engine says of a gradient's gradient."""
    raise SettingsError(
        "the native engine gives first derivatives only, and a second one is asked for (create_graph=True asks for "
        "it too); give engine 'loop'"
    )


def refuse_forward_mode(ctx: Any, *tangents: Any) -> NoReturn:
    """What it says of forward-mode derivatives."""
    raise SettingsError("the native engine has no forward-mode derivatives (jvp); give engine 'loop'")


def take_in(
    kernel: Kernel, projected: Tensor, leaves: Sequence[Tensor], weights: Sequence[Tensor], outputs: Tensor, keep: bool
) -> tuple[Tensor, Tensor | None]:
    """The projected input [N, …] where a chain takes it, and room for what the chain keeps.

    Raises:
        ShapeError: it does not fit.
    """
    place, kept = kernel.room(leaves, weights, outputs, keep)
    if place is None:
        return projected, kept
    check_tensors(f"native {kernel.name}", outputs.dtype, {"the projected input": (projected, tuple(place.shape))})
    return place.copy_(projected), kept


class Pass(torch.autograd.Function):
    """(the shape, the tensors of each direction) → the outputs, and the leaves at each direction's end."""

    @staticmethod
    def forward(ctx: Any, shape: Shape, *tensors: Tensor) -> tuple[Tensor, ...]:
        like = tensors[1 + shape.projection]
        size, in_place = like.shape[1], shape.in_place
        if in_place:  # no view: such an output of a function could not be written to
            strides = (size, shape.rows * size, 1)
            whole = torch.empty_strided((shape.rows, shape.steps, size), strides, dtype=like.dtype)
        records, begun, saved = [], [], []
        for rows, (given, projection, leaves, weights) in zip(shape.ways, shape.each(tensors), strict=True):
            record = Record(rows, _time_first(whole) if in_place else like.new_empty(rows.total, size))
            packed = rows.packed(given) if projection else given
            records.append(record)
            begun.append(_begun(shape, record, packed, projection, leaves, weights))
            saved.append((packed, projection[0]) if projection else (None, None))
        found = at_once(begun)
        if not in_place:
            padded = [one.rows.padded(one.outputs, shape.rows, shape.steps) for one in records]
            whole = padded[0] if len(padded) == 1 else torch.cat(padded, -1)
        if shape.keep:
            # of the outputs no view, which would hold the graph that holds it
            outputs = [whole] if in_place else [one.outputs for one in records]
            each = zip(outputs, saved, records, strict=True)
            ctx.shape = shape
            ctx.save_for_backward(*(one for first, pair, record in each for one in (first, *pair, *record.saved)))
            ctx.set_materialize_grads(False)
        if in_place:
            return whole, *found[0]
        return whole, *(one.rows.unsorted(leaf) for one, ends in zip(records, found, strict=True) for leaf in ends)

    @staticmethod
    def backward(ctx: Any, given: Tensor | None, *given_ends: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # the gradients would be taken for constants
            refuse_second_derivatives()
        shape, overwrites, count = ctx.shape, not _is_graph_kept(), len(ctx.shape.ways)
        asked = _shared(ctx.needs_input_grad[1:], count)
        needed = shape.each(ctx.needs_input_grad[1:])
        saved, ends = _shared(ctx.saved_tensors, count), _shared(given_ends, count)
        begun: dict[int, Steps] = {}
        for way, to_outputs in enumerate(_by_direction(given, count)):
            if not any(asked[way]) or (to_outputs is None and all(end is None for end in ends[way])):
                continue
            rows, (outputs, _, _, *kept) = shape.ways[way], saved[way]
            record = Record(rows, _time_first(outputs) if shape.in_place else outputs, overwrites)
            record.saved, record.needed = kept, (True, *needed[way][2], *needed[way][3])
            carried = [
                torch.zeros_like(leaf) if end is None else rows.sorted(end).clone()
                for end, leaf in zip(ends[way], kept, strict=False)
            ]
            if to_outputs is None:
                to_outputs = torch.zeros_like(record.outputs)
            else:
                to_outputs = rows.packed(to_outputs).contiguous()
            begun[way] = shape.kernel.chain.backward(record, to_outputs, *carried)
        found = dict(zip(begun, at_once(list(begun.values())), strict=True))
        gradients: list[Tensor | None] = [None]
        for way in range(count):
            if way not in found:
                gradients += [None] * len(asked[way])
                continue
            rows, (_, packed, weight, *_), (to_inputs, *others) = shape.ways[way], saved[way], found[way]
            if packed is None:
                gradients.append(to_inputs)
            else:
                gradients += _unprojected(shape, rows, to_inputs, packed, weight, needed[way])
            gradients += [rows.unsorted(leaf) for leaf in others[: shape.leaves]]
            gradients += others[shape.leaves :]
        return tuple(gradients)

    jvp = staticmethod(refuse_forward_mode)


def _begun(
    shape: Shape,
    record: Record,
    packed: Tensor,
    projection: Sequence[Tensor],
    leaves: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> Steps:
    """The chain of one direction, up to its call of the library."""
    leaves = [record.rows.sorted(leaf) for leaf in leaves]
    if projection:
        inputs, kept = shape.kernel.room(leaves, weights, record.outputs, shape.keep)
        weight, *biases = projection
        torch.addmm(biases[0] if len(biases) == 1 else biases[0] + biases[1], packed, weight.t(), out=inputs)
    else:
        inputs, kept = take_in(shape.kernel, packed, leaves, weights, record.outputs, shape.keep)
    steps: Steps = shape.kernel.chain.forward(record, inputs, kept, *leaves, *weights)
    return steps


def _unprojected(
    shape: Shape, rows: Arrangement, to_inputs: Tensor, packed: Tensor, weight: Tensor, needed: Sequence[Any]
) -> list[Tensor | None]:
    """The gradients of x, and of the projection's weights and biases."""
    to_x, (to_weight, *to_biases) = needed[0], needed[1]
    of_bias = to_inputs.sum(0) if any(to_biases) else None
    return [
        rows.padded(product(to_inputs, weight), shape.rows, shape.steps) if to_x else None,
        product(to_inputs.t(), packed) if to_weight else None,
        *(of_bias if one else None for one in to_biases),
    ]


def _time_first(whole: Tensor) -> Tensor:
    """[B, T, H] whose steps stand one after the other → [T · B, H], in the same memory."""
    return (whole.transpose(0, 1) if whole.shape[0] > 1 else whole).view(-1, whole.shape[2])


def _by_direction(gradient: Tensor | None, count: int) -> Sequence[Tensor | None]:
    """The gradient of the outputs cut into those of each direction's."""
    if gradient is None or count == 1:
        return [gradient] * count
    return gradient.chunk(count, -1)


def _shared(several: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Cut into so many parts of one length."""
    if count == 1:
        return [several]
    size = len(several) // count
    return [several[first : first + size] for first in range(0, len(several), size)]


def _is_graph_kept() -> bool:
    """Whether backward may come a second time (retain_graph=True), so that what is kept must stay as it is."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return ask is None or bool(ask())
