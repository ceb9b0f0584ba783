"""Recomputation: a run along time in blocks, of which only the states between them are kept.

Backward takes the blocks from the last to the first and computes the inside of each a second time (Chen et al., 2016,
"Training deep nets with sublinear memory cost"; Gruslys et al., 2016, "Memory-efficient backpropagation through time").
No gradient is cut off. A run is one node of autograd's graph: torch's own checkpoints keep the nodes of every step,
which weigh more than their tensors where the loop runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import get_device_states, set_device_states

from recurra.cells import Cell
from recurra.engines.loop import Zoneout
from recurra.errors import SettingsError
from recurra.state import State, owned

Run = Callable[..., tuple[Tensor, State]]
Tree = Any  # of tuples and NamedTuples; None where nothing is given
Drawn = tuple[Tensor, list[int], list[Tensor]]  # the state of random numbers: the CPU's, other devices and theirs


def run_in_blocks(
    run: Run,
    cell: Cell,
    x: Tensor,
    state: State,
    block: int,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    restart: State | None = None,
    mask: Tensor | None = None,
    zoneout: Zoneout | None = None,
) -> tuple[Tensor, State]:
    """Run a cell along time and keep the states between blocks; arguments and result as in `loop.unroll`.

    Numbers that the cell draws at random are drawn the same the second time. There are first derivatives only.

    Args:
        run: the cell along time on some engine: (x, state, lengths=, resets=, restart=, mask=, zoneout=).
        cell: the cell that it runs; its parameters are not to be exchanged before backward.
        x: [B, T, input_size] with B, T ≥ 1.
        block: steps of a block, 1 or more.

    Raises:
        SettingsError: in backward, a second derivative is asked for, or the parameters are others.
    """
    tensors: list[Tensor] = []
    keep = None if zoneout is None else zoneout.keep
    along, carried, shared = (_places(one, tensors) for one in ((x, resets, keep), state, (restart, mask)))
    plan = _Plan(
        run,
        cell,
        _weights(cell),
        block,
        x.shape[1] if lengths is None else max(int(lengths.max()), 1),
        lengths,
        None if zoneout is None else zoneout.rate,
        (along, carried, shared),
        _autocast(x.device.type),
    )
    outputs, *ends = _Blocks.apply(plan, *tensors, *plan.weights)  # type: ignore[no-untyped-call]
    return outputs, _placed(_places(state, []), ends)


class _Plan(NamedTuple):
    """What holds for all blocks.

    run, cell, block, lengths: as in run_in_blocks. weights: tensors of the cell that may have gradients. steps: of the
    longest row. rate: of zoneout; None without. places: of x, the resets and the units kept, which lie along time; of
    the state; of the restart state and the mask: trees with a tensor's number in its place. autocast: as it is now.
    """

    run: Run
    cell: Cell
    weights: tuple[Tensor, ...]
    block: int
    steps: int
    lengths: Tensor | None
    rate: float | None
    places: tuple[Tree, Tree, Tree]
    autocast: Callable[[], AbstractContextManager[Any]]

    def starts(self) -> range:
        """The first step of each block."""
        return range(0, self.steps, self.block)

    def within(self, start: int) -> slice:
        """The steps of the block that begins there."""
        return slice(start, min(start + self.block, self.steps))

    def cut(self, tensors: Sequence[Tensor], state: Sequence[Tensor], start: int) -> list[Tensor]:
        """The tensors as one block is given them."""
        found = list(tensors)
        for number in _numbers(self.places[0]):
            found[number] = found[number][:, self.within(start)]
        for number, leaf in zip(_numbers(self.places[1]), state, strict=True):
            found[number] = leaf
        return found

    def along(self, given: Sequence[Tensor], start: int) -> tuple[Tensor, list[Tensor]]:
        """Run one block on what `cut` gave: its outputs, and the leaves of the state behind it."""
        (x, resets, keep), state, (restart, mask) = (_placed(one, given) for one in self.places)
        lengths, size = self.lengths, x.shape[1]
        if lengths is not None:
            lengths = (lengths - start).clamp(0, size)
            lengths = None if bool((lengths == size).all()) else lengths
        zoneout = None if self.rate is None else Zoneout(self.rate, keep)
        with self.autocast():
            outputs, end = self.run(
                x, state, lengths=lengths, resets=resets, restart=restart, mask=mask, zoneout=zoneout
            )
        ends = _leaves(end)
        return outputs, [leaf.to(begin.dtype) for leaf, begin in zip(ends, _leaves(state), strict=True)]


class _Blocks(torch.autograd.Function):
    """(plan, tensors by their places, weights) → outputs [B, T, H] and the leaves of the last state."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        x, state = tensors[0], [tensors[number] for number in _numbers(plan.places[1])]
        # room for all states at once: small pieces of it between what blocks take and free would hold that memory
        between = [leaf.new_empty(len(plan.starts()) - 1, *leaf.shape) for leaf in state]
        draws: list[Drawn | None] = []
        outputs: Tensor | None = None
        for block, start in enumerate(plan.starts()):
            if block:
                for leaf, room in zip(state, between, strict=True):
                    room[block - 1] = leaf
            before = _drawn(x)
            part, state = plan.along(plan.cut(tensors, state, start), start)
            draws.append(before if _differ(before, _drawn(x)) else None)
            if outputs is None:
                outputs = part.new_empty(part.shape[0], x.shape[1], *part.shape[2:])
            outputs[:, plan.within(start)] = part
        assert outputs is not None
        outputs[:, plan.steps :] = 0.0
        ctx.plan, ctx.draws, ctx.given = plan, draws, len(tensors)
        state = [owned(leaf) for leaf in state]  # a view would keep all of the block
        ctx.save_for_backward(*tensors, *between)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(leaf for leaf in state if not leaf.is_floating_point()))
        return outputs, *state

    @staticmethod
    def backward(ctx: Any, to_outputs: Tensor | None, *to_ends: Tensor | None) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        _check(plan)
        tensors, between = ctx.saved_tensors[: ctx.given], ctx.saved_tensors[ctx.given :]
        wanted = ctx.needs_input_grad[1:]
        state_places, time_places = list(_numbers(plan.places[1])), set(_numbers(plan.places[0]))
        found: list[Tensor | None] = [  # the long ones first, where the memory of the outputs is free again
            torch.zeros_like(one, memory_format=torch.contiguous_format) if want and number in time_places else None
            for number, (one, want) in enumerate(zip(tensors, wanted, strict=True))
        ]
        to_state = to_ends
        for block, start in reversed(list(enumerate(plan.starts()))):
            if block:
                state = [room[block - 1].clone() for room in between]
            else:
                state = [tensors[number] for number in state_places]
            asked = [
                one.is_floating_point() if block and number in state_places else wanted[number]
                for number, one in enumerate(tensors)
            ]
            steps = plan.within(start)
            given = None if to_outputs is None else to_outputs[:, steps]
            with _replayed(tensors[0], ctx.draws[block]):
                gradients = _through(plan, plan.cut(tensors, state, start), start, asked, (given, *to_state))
            to_state = tuple(gradients[number] for number in state_places)
            for number, gradient in enumerate(gradients):
                if gradient is None or number in state_places:
                    continue
                if number in time_places:
                    found[number][:, steps] = gradient  # type: ignore[index]
                else:  # a copy, as two weights may share one gradient
                    found[number] = gradient.clone() if found[number] is None else found[number].add_(gradient)  # type: ignore[union-attr]
        for number, gradient in zip(state_places, to_state, strict=True):
            found[number] = gradient
        return None, *found


def _through(
    plan: _Plan, given: list[Tensor], start: int, asked: Sequence[bool], to_results: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of what a block is given and of the weights, where they are asked for, by running it again."""
    size = len(given) - len(plan.weights)
    inside = [*(one.detach().requires_grad_(ask) for one, ask in zip(given[:size], asked, strict=False)), *plan.weights]
    with torch.enable_grad():
        outputs, ends = plan.along(inside, start)
    results = [
        (one, gradient)
        for one, gradient in zip([outputs, *ends], to_results, strict=True)
        if gradient is not None and one.requires_grad
    ]
    numbers = [number for number, ask in enumerate(asked) if ask]
    found: list[Tensor | None] = [None] * len(asked)
    if results and numbers:
        outs, to_outs = zip(*results, strict=True)
        gradients = torch.autograd.grad(outs, [inside[number] for number in numbers], to_outs, allow_unused=True)
        for number, gradient in zip(numbers, gradients, strict=True):
            found[number] = gradient
    return found


def _check(plan: _Plan) -> None:
    """Refuse in backward what would give a wrong gradient."""
    if torch.is_grad_enabled():
        raise SettingsError(
            "recompute gives first derivatives only, and a second one is asked for (create_graph=True asks for it "
            "too); give recompute 0"
        )
    now = _weights(plan.cell)
    if len(now) != len(plan.weights) or any(one is not other for one, other in zip(now, plan.weights, strict=True)):
        raise SettingsError(
            "recompute: the weights are no longer those of the forward pass (torch.func.functional_call exchanges "
            "them for its time), so that nothing can be computed a second time; give recompute 0"
        )


def _weights(cell: Cell) -> tuple[Tensor, ...]:
    """Every tensor of a cell that may have a gradient; a twin with a dropped weight holds it beside its parameters."""
    beside = (one for one in cell.__dict__.values() if isinstance(one, Tensor) and one.requires_grad)
    return (*cell.parameters(), *beside)


def _places(tree: Tree, tensors: list[Tensor]) -> Tree:
    """A tree with numbers for its tensors, which go to the end of a list."""
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        tensors.append(tree)
        return len(tensors) - 1
    return _like(tree, [_places(part, tensors) for part in tree])


def _placed(places: Tree, tensors: Sequence[Tensor]) -> Tree:
    """The way back."""
    if places is None or isinstance(places, int):
        return None if places is None else tensors[places]
    return _like(places, [_placed(part, tensors) for part in places])


def _like(tree: Tree, parts: list[Tree]) -> Tree:
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def _numbers(places: Tree) -> Iterator[int]:
    if isinstance(places, int):
        yield places
    elif places is not None:
        for part in places:
            yield from _numbers(part)


def _leaves(state: State) -> list[Tensor]:
    found: list[Tensor] = []
    _places(state, found)
    return found


def _autocast(kind: str) -> Callable[[], AbstractContextManager[Any]]:
    """Autocast as it is now, without its cache: that would keep weights cast without a gradient, or from a graph that
    is gone.
    """
    if not torch.amp.is_autocast_available(kind):
        return nullcontext
    enabled, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
    return partial(torch.autocast, kind, dtype=dtype, enabled=enabled, cache_enabled=False)


def _drawn(x: Tensor) -> Drawn:
    """The state of random numbers on the CPU and where x is."""
    return torch.get_rng_state(), *get_device_states(x)


def _differ(one: Drawn, other: Drawn) -> bool:
    return any(not torch.equal(a, b) for a, b in zip((one[0], *one[2]), (other[0], *other[2]), strict=True))


@contextmanager
def _replayed(x: Tensor, drawn: Drawn | None) -> Iterator[None]:
    """Draw as the first time, and leave the state of random numbers as it is now."""
    if drawn is None:
        yield
        return
    cpu, devices, states = drawn
    with torch.random.fork_rng(devices, device_type=x.device.type if devices else "cuda"):
        torch.set_rng_state(cpu)
        if devices:
            set_device_states(devices, states, device_type=x.device.type)
        yield
