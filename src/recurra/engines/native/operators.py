"""The chains as operators of PyTorch, so that torch.compile, torch.export and torch.func see them whole.

An operator takes the projected input padded and returns padded outputs, as its shapes may not depend on what stands in
the lengths; inside, the chain runs over the packed steps as ever. A call of an operator costs some 30 µs without
gradients and 100 with them, so that plain calls go to the chain itself (12 µs), and operators are for what traces or
transforms the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from recurra.engines.native.arrangement import Arrangement, arrange
from recurra.engines.native.check import check_lengths
from recurra.engines.native.kernels import KERNELS, Kernel
from recurra.engines.native.passes import refuse_forward_mode, refuse_second_derivatives, take_in
from recurra.engines.native.together import Record, alone
from recurra.errors import SettingsError, ShapeError


@torch.library.custom_op("recurra::chain", mutates_args=())
def chain(
    cell: str, inputs: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], lengths: Tensor | None, keep: bool
) -> list[Tensor]:
    """A cell along time.

    Args:
        cell: of KERNELS.
        inputs: projected, time first [T, B, …].
        state: its leaves before the first step, [B, …] each.
        weights: as the chain takes them.
        lengths: [B] int64 on the CPU; None: all are T.
        keep: give what backward needs.

    Returns:
        outputs [T, B, H], zero beyond the lengths; the leaves of the state at the end; with keep, what was kept
        [T · B, …], which holds nothing behind the steps that are valid.
    """
    one, rows = _chain(cell), _rows(cell, inputs, lengths)
    leaves, packed = [rows.sorted(leaf) for leaf in state], _packed(inputs, rows)
    record = Record(rows, inputs.new_empty(rows.total, state[0].shape[1]))
    placed, kept = take_in(one, packed, leaves, weights, record.outputs, keep)
    ends = alone(one.chain.forward(record, placed, kept, *leaves, *weights))
    found = [_padded(record.outputs, rows, inputs.shape), *(rows.unsorted(end) for end in ends)]
    return [*found, _filled(record.saved[-1], inputs)] if keep else found


@chain.register_fake
def _(
    cell: str, inputs: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], lengths: Tensor | None, keep: bool
) -> list[Tensor]:
    steps, rows, size = inputs.shape[0], inputs.shape[1], state[0].shape[1]
    found = [inputs.new_empty(steps, rows, size), *(leaf.new_empty(leaf.shape) for leaf in state)]
    return [*found, inputs.new_empty(steps * rows, _chain(cell).kept(state, weights))] if keep else found


@torch.library.custom_op("recurra::chain_backward", mutates_args=())
def chain_backward(
    cell: str,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    outputs: Tensor,
    kept: Tensor,
    given: Tensor,
    given_ends: Sequence[Tensor],
) -> list[Tensor]:
    """The gradients of the projected input, of the state's leaves and of the weights, from those of the outputs."""
    one, rows = _chain(cell), _rows(cell, outputs, lengths)
    leaves, packed = [rows.sorted(leaf) for leaf in state], _packed(outputs, rows)
    record = Record(rows, packed)
    record.needed = (True,) * (1 + len(state) + len(weights))
    record.saved = one.saved(leaves, weights, kept[: len(packed)])
    carried = (rows.sorted(end).clone(memory_format=torch.contiguous_format) for end in given_ends)
    found = alone(one.chain.backward(record, _packed(given, rows).contiguous(), *carried))
    to_inputs, *rest = found[: 1 + len(state) + len(weights)]
    to_state, to_weights = rest[: len(state)], rest[len(state) :]
    of_weights = [one.to(weight.dtype).contiguous() for one, weight in zip(to_weights, weights, strict=True)]
    to_inputs = _padded(to_inputs.contiguous(), rows, given.shape)
    return [to_inputs, *(rows.unsorted(leaf) for leaf in to_state), *of_weights]


@chain_backward.register_fake
def _(
    cell: str,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    outputs: Tensor,
    kept: Tensor,
    given: Tensor,
    given_ends: Sequence[Tensor],
) -> list[Tensor]:
    to_inputs = given.new_empty(given.shape[0], given.shape[1], _chain(cell).read(state, weights))
    return [to_inputs, *(one.new_empty(one.shape) for one in (*state, *weights))]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    cell, _, state, weights, lengths, keep = inputs
    ctx.cell, ctx.leaves, ctx.kept = cell, len(state), keep
    ctx.save_for_backward(*state, *weights, output[0], output[-1], lengths)


def _differentiate(ctx: Any, given: Sequence[Tensor]) -> tuple[Any, ...]:
    if not ctx.kept:
        raise SettingsError(
            "a native chain traced without gradients, as in torch.no_grad(), has none to give; trace it with them"
        )
    *inside, outputs, kept, lengths = ctx.saved_tensors
    state, weights = inside[: ctx.leaves], inside[ctx.leaves :]
    found = chain_backward(ctx.cell, state, weights, lengths, outputs, kept, given[0], list(given[1 : 1 + ctx.leaves]))
    return None, found[0], found[1 : 1 + ctx.leaves], found[1 + ctx.leaves :], None, None


def _refuse(ctx: Any, given: Sequence[Tensor]) -> Any:
    refuse_second_derivatives()


chain.register_autograd(_differentiate, setup_context=_save)
chain_backward.register_autograd(_refuse)


def _each(operator: Callable[..., list[Tensor]], info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
    """vmap: one call after the other, as each may have weights and lengths of its own."""

    def at(number: int, value: Any, dim: Any) -> Any:
        if isinstance(value, list | tuple):
            return [at(number, *pair) for pair in zip(value, dim or [None] * len(value), strict=True)]
        return value if dim is None else value.select(dim, number).contiguous()

    one_by_one = [
        operator(*(at(number, *pair) for pair in zip(arguments, in_dims, strict=True)))
        for number in range(info.batch_size)
    ]
    found = [torch.stack(several) for several in zip(*one_by_one, strict=True)]
    return found, [0] * len(found)


chain.register_vmap(partial(_each, chain))
chain_backward.register_vmap(partial(_each, chain_backward))


class _TransformedBackward(torch.autograd.Function):
    """The backward operator for torch.func."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        cell: str,
        leaves: int,
        weights: int,
        lengths: Tensor | None,
        outputs: Tensor,
        kept: Tensor,
        given: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        state, after = tensors[:leaves], leaves + weights
        found = chain_backward(
            cell, state, tensors[leaves:after], lengths, outputs, kept, given.contiguous(), tensors[after:]
        )
        return tuple(found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        return _refuse(ctx, given)


class _Transformed(torch.autograd.Function):
    """The operator for torch.func, which asks of autograd's functions what an operator's registration does not give."""

    generate_vmap_rule = True

    @staticmethod
    def forward(cell: str, lengths: Tensor | None, leaves: int, inputs: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(chain(cell, inputs, tensors[:leaves], tensors[leaves:], lengths, True))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.cell, lengths, ctx.leaves, _, *tensors = inputs
        ctx.save_for_backward(lengths, output[0], output[-1], *tensors)
        ctx.mark_non_differentiable(output[-1])

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        lengths, outputs, kept, *tensors = ctx.saved_tensors
        weights = len(tensors) - ctx.leaves
        found = _TransformedBackward.apply(  # type: ignore[no-untyped-call]
            ctx.cell, ctx.leaves, weights, lengths, outputs, kept, given[0], *tensors, *given[1:-1]
        )
        return None, None, None, *found

    jvp = staticmethod(refuse_forward_mode)


def operate(
    cell: str, inputs: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], lengths: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """The chain for what traces or transforms the call; arguments and results as those of `chain`.

    Raises:
        SettingsError: derivatives are asked for that the engine does not give.
    """
    if not torch.compiler.is_compiling() and is_transformed():
        outputs, *ends, _ = _Transformed.apply(cell, lengths, len(state), inputs, *state, *weights)  # type: ignore[no-untyped-call]
        return outputs, ends
    keep = torch.is_grad_enabled() and any(one.requires_grad for one in (inputs, *state, *weights))
    outputs, *rest = chain(cell, inputs, state, weights, lengths, keep)
    return outputs, rest[: len(state)]


def is_transformed() -> bool:
    """Whether a transform of torch.func is at work."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def _chain(cell: str) -> Kernel:
    if cell not in KERNELS:
        raise SettingsError(f"recurra::chain: there is no chain for {cell!r}, expected one of {', '.join(KERNELS)}")
    return KERNELS[cell]


def _rows(cell: str, time_first: Tensor, lengths: Tensor | None) -> Arrangement:
    if time_first.dim() != 3:
        raise ShapeError(f"recurra::chain: the input has shape {list(time_first.shape)}, expected [T, B, features]")
    steps, rows = time_first.shape[0], time_first.shape[1]
    if lengths is not None:
        check_lengths(f"native {cell}", lengths, rows, steps)
    return arrange(lengths, rows, steps)


def _place(rows: Arrangement, place: Tensor, steps: int) -> Tensor:
    """Places b·T + t as t·B + b."""
    return place % steps * rows.rows + place // steps


def _packed(time_first: Tensor, rows: Arrangement) -> Tensor:
    """[T, B, D] → [N, D]."""
    whole = time_first.reshape(-1, time_first.shape[2])
    return whole if rows.place is None else whole.index_select(0, _place(rows, rows.place, time_first.shape[0]))


def _padded(packed: Tensor, rows: Arrangement, shape: Sequence[int]) -> Tensor:
    """[N, D] → [T, B, D], zero beyond the lengths."""
    steps, width = shape[0], packed.shape[1]
    if rows.place is None:
        return packed.view(steps, rows.rows, width)
    whole = packed.new_zeros(steps * rows.rows, width)
    return whole.index_copy_(0, _place(rows, rows.place, steps), packed).view(steps, rows.rows, width)


def _filled(kept: Tensor | None, inputs: Tensor) -> Tensor:
    """What was kept, as many rows as a padded batch has; an operator may not give back what it was given."""
    assert kept is not None
    count = inputs.shape[0] * inputs.shape[1]
    if len(kept) == count:
        return kept.clone() if kept.data_ptr() == inputs.data_ptr() else kept
    whole = kept.new_zeros(count, kept.shape[1])
    whole[: len(kept)] = kept
    return whole
