"""The scan: a cell that is linear in its state, h' = a ∘ h + b, many steps at once.

The T steps are cut into blocks of about √T. First all blocks run side by side from a state of zero, which gives the
end of each and the product of its a; then one short loop over the blocks carries the state across; then all blocks run
side by side once more, each from the state it truly begins with. So about 3·√T wide operations stand for T narrow ones.
Nothing is taken to a logarithm and nothing is divided, so any state, any sign and a = 0 are right; a product that
underflows is a memory that is gone. The blocks depend on T alone, so the same call gives the same bits.

The gradient is a recurrence of the same kind, read backwards, and runs by the same scan (Martin and Cundy, 2018,
"Parallelizing linear recurrent neural nets over sequence length").
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell, LinearCell, LinearState
from recurra.engines.loop import Zoneout
from recurra.sequence import valid_mask


def why_not(cell: Cell) -> str | None:
    """Why the scan cannot run this cell; None where it can."""
    if not isinstance(cell, LinearCell):
        return f"{type(cell).__name__} is not linear in its state"
    if type(cell).step is not LinearCell.step:  # it may put out something else than its hidden state
        return f"{type(cell).__name__} has a step of its own"
    return None


def scan(
    cell: LinearCell,
    x: Tensor,
    state: LinearState,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    restart: LinearState | None = None,
    zoneout: Zoneout | None = None,
) -> tuple[Tensor, LinearState]:
    """Run a linear cell along time; arguments and result as in `loop.unroll`, with B, T ≥ 1.

    Lengths, resets and zoneout are put into a and b: a step on padding has a = 1 and b = 0; a step after a reset has
    the restart state in b and a = 0; a unit that is held has a = 1 and b = 0.
    """
    a, b = (one.to(state.hidden.dtype) for one in cell.coefficients(x))  # autocast may give them in a shorter one
    if zoneout is not None:
        a, b = _held(a, b, zoneout)
    if resets is not None and restart is not None:
        begins = resets[..., None]
        a, b = torch.where(begins, 0.0, a), torch.where(begins, b + a * restart.hidden[:, None], b)
    if lengths is None:
        outputs = linear_scan(a, b, state.hidden)
        return outputs, LinearState(outputs[:, -1])
    valid = valid_mask(lengths, x.shape[1], x.device)[..., None]
    hidden = linear_scan(torch.where(valid, a, 1.0), torch.where(valid, b, 0.0), state.hidden)
    return torch.where(valid, hidden, 0.0), LinearState(hidden[:, -1])


def linear_scan(a: Tensor, b: Tensor, begin: Tensor) -> Tensor:
    """h_t = a_t ∘ h_{t−1} + b_t for all steps.

    Args:
        a, b: [B, T, H] with T ≥ 1.
        begin: h before the first step [B, H], of any sign.

    Returns:
        [B, T, H]; differentiable in all three, twice too.
    """
    return _LinearScan.apply(a, b, begin, False)  # type: ignore[no-any-return, no-untyped-call]


def _held(a: Tensor, b: Tensor, zoneout: Zoneout) -> tuple[Tensor, Tensor]:
    """Units that keep their old value, or the expectation over them."""
    if zoneout.keep is None:
        return zoneout.rate + (1 - zoneout.rate) * a, (1 - zoneout.rate) * b
    keep = zoneout.keep.hidden
    return torch.where(keep, 1.0, a), torch.where(keep, 0.0, b)


class _LinearScan(torch.autograd.Function):
    """h_t = a_t ∘ h_{t−1} + b_t; backwards: from the last step to the first, h_t = a_t ∘ h_{t+1} + b_t."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, begin: Tensor, backwards: bool) -> Tensor:
        hidden = _blocks(a, b, begin, backwards)
        ctx.save_for_backward(a, begin, hidden)
        ctx.backwards = backwards
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        a, begin, hidden = ctx.saved_tensors
        zero = torch.zeros_like(begin)
        # s_t = gradient_t + a_{t+1} ∘ s_{t+1}: the same recurrence the other way, its a moved by one step
        if ctx.backwards:
            before = torch.cat([hidden[:, 1:], begin[:, None]], 1)
            moved = torch.cat([zero[:, None], a[:, :-1]], 1)
        else:
            before = torch.cat([begin[:, None], hidden[:, :-1]], 1)
            moved = torch.cat([a[:, 1:], zero[:, None]], 1)
        s = _LinearScan.apply(moved, gradient, zero, not ctx.backwards)  # type: ignore[no-untyped-call]
        first = -1 if ctx.backwards else 0
        return s * before, s, a[:, first] * s[:, first], None


def _blocks(a: Tensor, b: Tensor, begin: Tensor, backwards: bool) -> Tensor:
    """The scan itself, without gradients. Steps that fill no block come last and run one by one."""
    steps = a.shape[1]
    length = max(math.isqrt(steps), 1)
    count = steps // length
    rest = steps - count * length
    whole = slice(rest, steps) if backwards else slice(0, steps - rest)
    hidden = torch.empty_like(b)
    shape = (a.shape[0], count, length, *a.shape[2:])
    a_blocks, b_blocks, h_blocks = (one[:, whole].view(shape) for one in (a, b, hidden))
    inside, blocks, after = range(length), range(count), range(steps - rest, steps)
    if backwards:
        inside, blocks, after = inside[::-1], blocks[::-1], range(rest)[::-1]

    end, product = b_blocks[:, :, inside[0]].clone(), a_blocks[:, :, inside[0]].clone()
    for step in inside[1:]:
        torch.addcmul(b_blocks[:, :, step], a_blocks[:, :, step], end, out=end)
        product.mul_(a_blocks[:, :, step])
    begins = torch.empty_like(end)  # [B, K, H]: what each block truly begins with
    begins[:, blocks[0]] = begin
    for one, following in pairwise(blocks):
        torch.addcmul(end[:, one], product[:, one], begins[:, one], out=begins[:, following])

    before = begins
    for step in inside:
        torch.addcmul(b_blocks[:, :, step], a_blocks[:, :, step], before, out=h_blocks[:, :, step])
        before = h_blocks[:, :, step]
    before = h_blocks[:, blocks[-1], inside[-1]]
    for step in after:
        torch.addcmul(b[:, step], a[:, step], before, out=hidden[:, step])
        before = hidden[:, step]
    return hidden
