"""Each law as a function: a layer and a batch → the largest difference between two ways of computing the same.

A layer has `forward(x, state, lengths=, resets=, padding=, noise=)`, `step(x, state, noise=)`, `initial_state` and
`check_streamable`, as `recurra.nn.Recurrent` has. Values, final states and gradients (of x, of the given state and of
every parameter) are compared. A law that a bidirectional layer cannot have raises NotStreamable.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.laws.agreement import difference
from recurra.sequence import shift_right, valid_mask
from recurra.settings.names import EngineName
from recurra.state import State, leaves, map_state, merge, select

Result = tuple[Any, State]
Law = Callable[..., float]


def steps_equal_whole(layer: Any, x: Tensor, state: State = None, noise: Any = None) -> float:
    """x [B, T, D] at once, and one step at a time."""
    layer.check_streamable()

    def stepwise(x: Tensor, state: State) -> Result:
        outputs = []
        for t in range(x.shape[1]):
            y, state = layer.step(x[:, t], state, noise=None if noise is None else noise.steps(t, t + 1))
            outputs.append(y)
        return torch.stack(outputs, 1), state

    return _compare(layer, stepwise, lambda x, state: layer(x, state, noise=noise), x, state)


def chunks_equal_whole(layer: Any, x: Tensor, cuts: list[int], state: State = None, noise: Any = None) -> float:
    """x [B, T, D] at once, and cut before the steps in `cuts`, the state carried; empty chunks are legal."""
    layer.check_streamable()

    def chunked(x: Tensor, state: State) -> Result:
        edges = [0, *sorted(cuts), x.shape[1]]
        outputs = []
        for start, stop in pairwise(edges):
            masks = None if noise is None else noise.steps(start, stop)
            out, state = layer(x[:, start:stop], state, noise=masks)
            outputs.append(out)
        return torch.cat(outputs, 1), state

    return _compare(layer, chunked, lambda x, state: layer(x, state, noise=noise), x, state)


def padding_is_never_read(
    layer: Any, x: Tensor, lengths: Tensor, state: State = None, resets: Tensor | None = None, noise: Any = None
) -> float:
    """NaN beyond the lengths, and zeros there: values and gradients are equal, and outputs there are zero."""
    valid = valid_mask(lengths, x.shape[1])[..., None]
    clean = torch.where(valid, x, 0.0)

    def run(x: Tensor, state: State) -> Result:
        return layer(x, state, lengths=lengths, resets=resets, noise=noise)  # type: ignore[no-any-return]

    def poisoned(x: Tensor, state: State) -> Result:
        return run(torch.where(valid, x, torch.nan), state)

    with torch.no_grad():
        beyond = run(clean, state)[0][~valid[..., 0]]
    return max(_compare(layer, poisoned, run, clean, state), float(beyond.abs().max()) if beyond.numel() else 0.0)


def a_batch_row_equals_the_row_alone(
    layer: Any, x: Tensor, lengths: Tensor, state: State = None, noise: Any = None
) -> float:
    """The batch, in another order, and each row by itself without padding."""
    order = torch.arange(x.shape[0]).flip(0)

    def alone(x: Tensor, state: State) -> Result:
        outputs, ends = [], []
        for row in range(x.shape[0]):
            index = torch.tensor([row])
            steps = int(lengths[row])
            begin = None if state is None else select(state, index)
            masks = None if noise is None else noise.rows(index).steps(0, steps)
            out, end = layer(x[row : row + 1, :steps], begin, noise=masks)
            outputs.append(torch.nn.functional.pad(out, (0, 0, 0, x.shape[1] - steps)))
            ends.append(end)
        return torch.cat(outputs), merge(ends)

    def reordered(x: Tensor, state: State) -> Result:
        masks = None if noise is None else noise.rows(order)
        begin = None if state is None else select(state, order)
        outputs, end = layer(x[order], begin, lengths=lengths[order], noise=masks)
        return outputs[order], select(end, order)

    def batch(x: Tensor, state: State) -> Result:
        return layer(x, state, lengths=lengths, noise=noise)  # type: ignore[no-any-return]

    return max(_compare(layer, alone, batch, x, state), _compare(layer, reordered, batch, x, state))


def packed_equals_padded(layer: Any, x: Tensor, lengths: Tensor, state: State = None, noise: Any = None) -> float:
    """A PackedSequence (lengths of 1 or more) and the padded batch."""

    def packed(x: Tensor, state: State) -> Result:
        given = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, end = layer(given, state, noise=noise)
        return pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])[0], end

    def padded(x: Tensor, state: State) -> Result:
        return layer(x, state, lengths=lengths, noise=noise)  # type: ignore[no-any-return]

    longest = int(lengths.max())
    return _compare(layer, packed, padded, x[:, :longest], state)


def left_padding_equals_right(
    layer: Any, x: Tensor, lengths: Tensor, state: State = None, resets: Tensor | None = None, noise: Any = None
) -> float:
    """The same rows padded on the left: outputs come back on the left."""

    def left(x: Tensor, state: State) -> Result:
        moved = None if resets is None else shift_right(resets, lengths)
        outputs, end = layer(shift_right(x, lengths), state, lengths=lengths, resets=moved, padding="left", noise=noise)
        return outputs, end

    def right(x: Tensor, state: State) -> Result:
        outputs, end = layer(x, state, lengths=lengths, resets=resets, noise=noise)
        return shift_right(outputs, lengths), end

    return _compare(layer, left, right, x, state)


def later_inputs_change_no_earlier_output(layer: Any, x: Tensor, at: int, noise: Any = None) -> float:
    """Outputs before step `at`, with other inputs from there on."""
    layer.check_streamable()
    other = x.clone()
    other[:, at:] = -3 * x[:, at:] + 1
    with torch.no_grad():
        return difference(layer(other, noise=noise)[0][:, :at], layer(x, noise=noise)[0][:, :at])


def length_zero_keeps_the_state(layer: Any, x: Tensor, state: State) -> float:
    """Rows of length 0 among others, no steps at all, and no rows at all."""
    lengths = torch.full((x.shape[0],), x.shape[1])
    lengths[::2] = 0
    empty = lengths == 0
    with torch.no_grad():
        outputs, end = layer(x, state, lengths=lengths)
        still, same = layer(x[:, :0], state)
        none, nobody = layer(x[:0], select(state, torch.arange(0)))
    return max(
        difference(select(end, empty), select(state, empty)),
        float(outputs[empty].abs().max()) if bool(empty.any()) and x.shape[1] else 0.0,
        difference(same, state),
        difference(still, outputs[:, :0]),
        difference(none, outputs[:0]),
        difference(nobody, select(state, torch.arange(0))),
    )


def resets_equal_splitting(layer: Any, x: Tensor, lengths: Tensor, resets: Tensor, state: State = None) -> float:
    """Resets inside rows, and each row cut at its resets into sequences of their own."""
    begin = layer.initial_state(x.shape[0]) if state is None else state
    fresh = layer.initial_state(1)

    def split(x: Tensor, given: State) -> Result:
        outputs, ends = [], []
        for row in range(x.shape[0]):
            steps = int(lengths[row])
            own = select(given, torch.tensor([row]))
            cuts = [t for t in range(1, steps) if resets[row, t]]
            edges = [0, *cuts, steps]
            parts, states = [], []
            for number, (start, stop) in enumerate(pairwise(edges)):
                first, last = number == 0, number == len(edges) - 2
                restarted = first and steps > 0 and bool(resets[row, 0])
                state = _episode_state(own, fresh, first and not restarted, last)
                out, end = layer(x[row : row + 1, start:stop], state)
                parts.append(out)
                states.append(end)
            outputs.append(torch.nn.functional.pad(torch.cat(parts, 1), (0, 0, 0, x.shape[1] - steps)))
            ends.append(_row_end(states[0], states[-1]))
        return torch.cat(outputs), merge(ends)

    def whole(x: Tensor, given: State) -> Result:
        return layer(x, given, lengths=lengths, resets=resets)  # type: ignore[no-any-return]

    return _compare(layer, whole, split, x, begin)


def nothing_is_written(layer: Any, x: Tensor, state: State, noise: Any = None) -> float:
    """x, the given state and the module are the same afterwards; the state keeps structure, device and dtype."""
    weights = {name: value.clone() for name, value in layer.state_dict().items()}
    names = {name: sorted(module.__dict__) for name, module in layer.named_modules()}
    given, begin = x.clone(), map_state(Tensor.clone, state)
    _, end = layer(x, state, noise=noise)
    same = [(a.device, a.dtype, a.shape) for _, a in leaves(end)] == [
        (b.device, b.dtype, b.shape) for _, b in leaves(state)
    ]
    unchanged = names == {name: sorted(module.__dict__) for name, module in layer.named_modules()}
    if not (same and unchanged):
        return float("inf")
    written = [difference(x, given), difference(state, begin), difference(dict(layer.state_dict()), weights)]
    return max(written)


def engines_agree(
    layer: Any,
    x: Tensor,
    lengths: Tensor,
    state: State = None,
    resets: Tensor | None = None,
    noise: Any = None,
    engine: EngineName = "auto",
) -> float:
    """An engine against the loop, on the same weights."""
    fast, plain = _twin(layer, engine), _twin(layer, "loop")

    def run(one: Any) -> Callable[[Tensor, State], Result]:
        return lambda x, state: one(x, state, lengths=lengths, resets=resets, noise=noise)

    return _compare(layer, run(fast), run(plain), x, state)


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        steps_equal_whole,
        chunks_equal_whole,
        padding_is_never_read,
        a_batch_row_equals_the_row_alone,
        packed_equals_padded,
        left_padding_equals_right,
        later_inputs_change_no_earlier_output,
        length_zero_keeps_the_state,
        resets_equal_splitting,
        nothing_is_written,
        engines_agree,
    )
}


def _compare(
    layer: Any,
    one: Callable[[Tensor, State], Result],
    other: Callable[[Tensor, State], Result],
    x: Tensor,
    state: State,
) -> float:
    return difference(_with_gradients(layer, one, x, state), _with_gradients(layer, other, x, state))


def _with_gradients(layer: Any, run: Callable[[Tensor, State], Result], x: Tensor, state: State) -> tuple[Any, ...]:
    """Values, final state, and the gradients of one fixed weighted sum of both."""
    x = x.detach().clone().requires_grad_()
    if state is not None:
        state = map_state(lambda leaf: leaf.detach().clone().requires_grad_(leaf.is_floating_point()), state)
    outputs, end = run(x, state)
    total = _weighted(outputs, 0)
    for number, (_, leaf) in enumerate(leaves(end)):
        if leaf.is_floating_point():
            total = total + _weighted(leaf, number + 1)
    inputs = [x, *layer.parameters()]
    inputs += [leaf for _, leaf in leaves(state) if leaf.requires_grad] if state is not None else []
    found: tuple[Tensor | None, ...] = (None,) * len(inputs)
    if total.requires_grad:
        found = torch.autograd.grad(total, inputs, allow_unused=True)
    gradients = [torch.zeros_like(a) if g is None else g for a, g in zip(inputs, found, strict=True)]
    return outputs, end, gradients


def _weighted(values: Tensor, number: int) -> Tensor:
    """A sum in which every element counts differently, so that no error cancels."""
    weights = torch.arange(values.numel(), dtype=values.dtype, device=values.device).add(number).mul(0.7).sin()
    return (values * weights.view_as(values)).sum()


def _twin(layer: Any, engine: EngineName) -> Any:
    twin = copy.copy(layer)
    twin.engine = engine
    return twin


def _episode_state(given: State, fresh: State, takes_given: bool, is_last: bool) -> State:
    """The state an episode begins with: forward the given one for the first, backward for the last."""

    def layer(one: State, other: State) -> State:
        if hasattr(one, "backward"):
            return type(one)(one.forward if takes_given else other.forward, one.backward if is_last else other.backward)
        return one if takes_given else other

    return type(given)(tuple(layer(one, other) for one, other in zip(given.layers, fresh.layers, strict=True)))


def _row_end(first: State, last: State) -> State:
    """The state a row ends with: forward that of its last episode, backward that of its first."""

    def layer(one: State, other: State) -> State:
        return type(one)(other.forward, one.backward) if hasattr(one, "backward") else other

    return type(first)(tuple(layer(one, other) for one, other in zip(first.layers, last.layers, strict=True)))
