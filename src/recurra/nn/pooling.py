"""A sequence made one vector, as a running state: the answer so far is there at every step.

Each pooling is a recurrence of its own: `initial_state`, `forward` over [B, T, D] with lengths, `step`. What it reads
at the end of a sequence is the same whole, in chunks or step by step. A sequence of length 0 pools to zeros.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.sequence import valid_mask
from recurra.settings.names import check_pooling
from recurra.state import State


class LastState(NamedTuple):
    """last [B, D]: features of the last valid step, those of the backward direction of the first; steps [B] int64"""

    last: Tensor
    steps: Tensor


class MeanState(NamedTuple):
    """total [B, D], steps [B] int64"""

    total: Tensor
    steps: Tensor


class MaxState(NamedTuple):
    """maximum [B, D], steps [B] int64"""

    maximum: Tensor
    steps: Tensor


class AttentionState(NamedTuple):
    """highest [B, 1] score so far; normalizer [B, 1] and weighted [B, D] sums relative to it"""

    highest: Tensor
    normalizer: Tensor
    weighted: Tensor


class JoinedState(NamedTuple):
    """one state a pooling"""

    parts: tuple[State, ...]


class Pooling(nn.Module, ABC):
    """[B, T, D] → [B, output_size], with a state that goes in and comes out.

    Args:
        size: features of the outputs that are pooled (D), both directions together.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = self.output_size = size

    @abstractmethod
    def initial_state(self, batch_size: int, like: Tensor) -> State:
        """The state before the first step, in the dtype and on the device of `like`."""

    @abstractmethod
    def update(self, state: State, values: Tensor, lengths: Tensor) -> State:
        """The state after more steps: values [B, T, D] with T ≥ 1, lengths [B] on the CPU."""

    @abstractmethod
    def read(self, state: State) -> Tensor:
        """The answer so far, [B, output_size]."""

    def forward(
        self, values: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Pool values [B, T, D] over their valid steps, going on from a state."""
        rows, steps = values.shape[0], values.shape[1]
        if state is None:
            state = self.initial_state(rows, values)
        if lengths is None:
            lengths = torch.full((rows,), steps)
        if steps and rows:
            state = self.update(state, values, lengths)
        return self.read(state), state

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step: x [B, D] → the answer so far."""
        state = self.advance(self.initial_state(x.shape[0], x) if state is None else state, x)
        return self.read(state), state

    def advance(self, state: State, x: Tensor) -> State:
        """The state after one more step, x [B, D], of every row: `update` without what only many steps need."""
        return self.update(state, x[:, None], torch.ones(x.shape[0], dtype=torch.int64)) if x.shape[0] else state


class LastPooling(Pooling):
    """The last valid step; for a bidirectional layer the last step forward joined with the first step backward.

    These are the two steps whose state has seen the whole sequence. `out[:, -1]`, often taught, is a padded step in
    a padded batch, and a backward state that has seen one step. Inputs that stand behind the outputs are those of the
    last valid step.
    """

    def __init__(self, size: int, bidirectional: bool = False, inputs: int = 0) -> None:
        super().__init__(size)
        half = (size - inputs) // 2
        self.bidirectional, self.backward = bidirectional, slice(half, 2 * half)

    def initial_state(self, batch_size: int, like: Tensor) -> LastState:
        return LastState(like.new_zeros(batch_size, self.size), _count(batch_size, like))

    def update(self, state: LastState, values: Tensor, lengths: Tensor) -> LastState:
        count = lengths.to(values.device)
        rows = torch.arange(values.shape[0], device=values.device)
        last = values[rows, (count - 1).clamp(min=0)]
        if self.bidirectional:
            begins = (state.steps == 0)[:, None]
            own = self.backward
            first = torch.where(begins, values[:, 0, own], state.last[:, own])
            last = torch.cat([last[:, : own.start], first, last[:, own.stop :]], -1)
        return LastState(torch.where((count > 0)[:, None], last, state.last), state.steps + count)

    def advance(self, state: LastState, x: Tensor) -> LastState:
        return super().advance(state, x) if self.bidirectional else LastState(x, state.steps + 1)

    def read(self, state: LastState) -> Tensor:
        return state.last


class MeanPooling(Pooling):
    """The mean over valid steps."""

    def initial_state(self, batch_size: int, like: Tensor) -> MeanState:
        return MeanState(like.new_zeros(batch_size, self.size), _count(batch_size, like))

    def update(self, state: MeanState, values: Tensor, lengths: Tensor) -> MeanState:
        total = _valid(values, lengths, 0.0).sum(1)
        return MeanState(state.total + total, state.steps + lengths.to(values.device))

    def advance(self, state: MeanState, x: Tensor) -> MeanState:
        return MeanState(state.total + x, state.steps + 1)

    def read(self, state: MeanState) -> Tensor:
        return state.total / state.steps.clamp(min=1)[:, None]


class MaxPooling(Pooling):
    """The maximum of each feature over valid steps."""

    def initial_state(self, batch_size: int, like: Tensor) -> MaxState:
        return MaxState(like.new_full((batch_size, self.size), -torch.inf), _count(batch_size, like))

    def update(self, state: MaxState, values: Tensor, lengths: Tensor) -> MaxState:
        highest = _valid(values, lengths, -torch.inf).amax(1)
        return MaxState(torch.maximum(state.maximum, highest), state.steps + lengths.to(values.device))

    def advance(self, state: MaxState, x: Tensor) -> MaxState:
        return MaxState(torch.maximum(state.maximum, x), state.steps + 1)

    def read(self, state: MaxState) -> Tensor:
        return torch.where((state.steps > 0)[:, None], state.maximum, 0.0)


class AttentionPooling(Pooling):
    """A weighted mean whose weights the steps themselves decide (Yang et al., 2016).

        e_t = v · tanh(W·x_t + b),    a = softmax over valid steps of e,    y = Σ_t a_t x_t

    The sums are kept relative to the highest score so far, so that chunks and steps add up without overflow.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.hidden = nn.Linear(size, size)
        self.query = nn.Linear(size, 1, bias=False)

    def initial_state(self, batch_size: int, like: Tensor) -> AttentionState:
        lowest = like.new_full((batch_size, 1), torch.finfo(like.dtype).min / 2)  # finite: −∞ − (−∞) is NaN
        return AttentionState(lowest, like.new_zeros(batch_size, 1), like.new_zeros(batch_size, self.size))

    def update(self, state: AttentionState, values: Tensor, lengths: Tensor) -> AttentionState:
        values = _valid(values, lengths, 0.0)
        scores = self.query(torch.tanh(self.hidden(values)))  # [B, T, 1]
        valid = valid_mask(lengths, values.shape[1], values.device)[..., None]
        scores = scores.masked_fill(~valid, torch.finfo(scores.dtype).min / 2)
        # a shift of all scores changes no weight, so no gradient goes through it
        highest = torch.maximum(state.highest, scores.amax(1)).detach()
        kept = (state.highest - highest).exp()
        weights = (scores - highest[:, None]).exp() * valid
        return AttentionState(
            highest,
            state.normalizer * kept + weights.sum(1),
            state.weighted * kept + (weights * values).sum(1),
        )

    def read(self, state: AttentionState) -> Tensor:
        return torch.where(state.normalizer > 0, state.weighted / _not_zero(state.normalizer), 0.0)


class JoinedPooling(Pooling):
    """Several poolings side by side."""

    def __init__(self, parts: list[Pooling]) -> None:
        super().__init__(parts[0].size)
        self.parts = nn.ModuleList(parts)
        self.output_size = sum(part.output_size for part in parts)

    def initial_state(self, batch_size: int, like: Tensor) -> JoinedState:
        return JoinedState(tuple(part.initial_state(batch_size, like) for part in self._each()))

    def update(self, state: JoinedState, values: Tensor, lengths: Tensor) -> JoinedState:
        pairs = zip(self._each(), state.parts, strict=True)
        return JoinedState(tuple(part.update(one, values, lengths) for part, one in pairs))

    def advance(self, state: JoinedState, x: Tensor) -> JoinedState:
        return JoinedState(tuple(part.advance(one, x) for part, one in zip(self._each(), state.parts, strict=True)))

    def read(self, state: JoinedState) -> Tensor:
        return torch.cat([part.read(one) for part, one in zip(self._each(), state.parts, strict=True)], -1)

    def _each(self) -> list[Any]:
        return list(self.parts)


def make_pooling(names: str, size: int, bidirectional: bool = False, inputs: int = 0) -> Pooling:
    """A pooling by name: "last", "mean", "max", "attention", or several joined as in "mean+max".

    Args:
        names: the kinds.
        size: features of what is pooled.
        bidirectional: the outputs are those of two directions, forward first.
        inputs: features of what is pooled that are inputs, behind the outputs.

    Raises:
        SettingsError: an unknown name, or one given twice.
    """
    kinds: dict[str, Callable[[], Pooling]] = {
        "last": lambda: LastPooling(size, bidirectional, inputs),
        "mean": lambda: MeanPooling(size),
        "max": lambda: MaxPooling(size),
        "attention": lambda: AttentionPooling(size),
    }
    made = [kinds[name]() for name in check_pooling(names)]
    return made[0] if len(made) == 1 else JoinedPooling(made)


def _count(batch_size: int, like: Tensor) -> Tensor:
    return torch.zeros(batch_size, dtype=torch.int64, device=like.device)


def _valid(values: Tensor, lengths: Tensor, fill: float) -> Tensor:
    if int(lengths.min()) == values.shape[1]:
        return values
    return values.masked_fill(~valid_mask(lengths, values.shape[1], values.device)[..., None], fill)


def _not_zero(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 1.0)
