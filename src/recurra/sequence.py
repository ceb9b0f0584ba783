"""Sequence: values [B, T, …] and lengths [B] that travel together, right-padded inside.

Padding is whatever the caller left there, NaN included: nothing that reads a Sequence looks at it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from recurra.errors import ShapeError

Padding = Literal["right", "left"]


@dataclass(frozen=True)
class Sequence:
    """Values and how much of each row is valid.

    Args:
        values: tensor [B, T, …], or a NamedTuple of tensors that share [B, T].
        lengths: [B] int64, valid steps of each row, 0 ≤ length ≤ T. Kept on the CPU, where loops read it.

    Raises:
        ShapeError: lengths do not fit the values.
    """

    values: Any
    lengths: Tensor

    def __post_init__(self) -> None:
        first = self.first
        if first.dim() < 2:
            raise ShapeError(f"Sequence: values have shape {list(first.shape)}, expected [B, T, …]")
        object.__setattr__(self, "lengths", check_lengths(self.lengths, first.shape[0], first.shape[1], "Sequence"))

    @classmethod
    def from_mask(cls, values: Any, mask: Tensor) -> Sequence:
        """A Sequence from a mask [B, T], True = valid, padded on the right or on the left.

        Raises:
            ShapeError: a row's valid steps are not one stretch that touches a side.
        """
        steps = mask.shape[1]
        lengths = mask.sum(1).cpu()
        if torch.equal(mask.cpu(), valid_mask(lengths, steps)):
            return cls(values, lengths)
        if torch.equal(mask.cpu(), valid_mask(lengths, steps).flip(1)):
            return cls.from_left(values, lengths)
        raise ShapeError(
            "Sequence.from_mask: the mask has holes, or rows padded on different sides; "
            "valid steps must be one stretch, at the same side in every row"
        )

    @classmethod
    def from_left(cls, values: Any, lengths: Tensor) -> Sequence:
        """A Sequence from values padded on the left."""
        first = first_tensor(values)
        lengths = check_lengths(lengths, first.shape[0], first.shape[1], "Sequence.from_left")
        return cls(map_values(lambda part: shift_left(part, lengths), values), lengths)

    @property
    def first(self) -> Tensor:
        """The values, or the first tensor of them."""
        return first_tensor(self.values)

    @property
    def batch_size(self) -> int:
        """Rows."""
        return self.first.shape[0]

    @property
    def steps(self) -> int:
        """Time steps, padding included."""
        return self.first.shape[1]

    def mask(self) -> Tensor:
        """[B, T] bool on the values' device, True = valid."""
        return valid_mask(self.lengths, self.steps, self.first.device)

    def reverse(self) -> Sequence:
        """Every row backwards within its length; padding stays at the right."""
        return Sequence(map_values(lambda part: reverse(part, self.lengths), self.values), self.lengths)

    def split(self, at: int) -> tuple[Sequence, Sequence]:
        """Steps before `at`, and the rest."""
        before = Sequence(map_values(lambda part: part[:, :at], self.values), self.lengths.clamp(max=at))
        after = Sequence(map_values(lambda part: part[:, at:], self.values), (self.lengths - at).clamp(min=0))
        return before, after

    def twice(self) -> Sequence:
        """All rows, and all of them once more below."""
        return Sequence(map_values(lambda part: torch.cat([part, part]), self.values), self.lengths.repeat(2))

    def to(self, device: torch.device | str) -> Sequence:
        """The values on another device; lengths stay on the CPU."""
        if self.first.device == torch.device(device):
            return self
        return Sequence(map_values(lambda part: part.to(device), self.values), self.lengths)


def join(parts: list[Sequence]) -> Sequence:
    """Sequences one after the other in time: what `split` cut, or the chunks of a stream.

    Every part but the last must be full for a row that goes on in a later one.

    Raises:
        ShapeError: a row goes on after its padding began.
    """
    total = torch.zeros_like(parts[0].lengths)
    offset = 0
    for part in parts:
        if bool(((part.lengths > 0) & (total < offset)).any()):
            raise ShapeError("join: a row goes on after its padding began; cut the sequences at full steps")
        total, offset = total + part.lengths, offset + part.steps
    values = [part.values for part in parts]
    if isinstance(values[0], Tensor):
        return Sequence(torch.cat(values, 1), total)
    kind = type(values[0])
    return Sequence(kind(*(torch.cat(columns, 1) for columns in zip(*values, strict=True))), total)


def first_tensor(values: Any) -> Tensor:
    """The values themselves, or the first tensor of a NamedTuple of them."""
    return values if isinstance(values, Tensor) else cast(Tensor, values[0])


def map_values(function: Callable[[Tensor], Tensor], values: Any) -> Any:
    """A function on a tensor, or on each tensor of a NamedTuple."""
    return function(values) if isinstance(values, Tensor) else type(values)(*map(function, values))


def valid_mask(lengths: Tensor, steps: int, device: torch.device | str = "cpu") -> Tensor:
    """[B, T] bool, True where step < length."""
    return torch.arange(steps, device=device) < lengths.to(device)[:, None]


def check_lengths(lengths: Any, batch_size: int, steps: int, where: str) -> Tensor:
    """Lengths as [B] int64 on the CPU.

    Raises:
        ShapeError: wrong shape or dtype, or a length outside [0, T].
    """
    lengths = torch.as_tensor(lengths)
    if lengths.is_floating_point() or lengths.dtype == torch.bool or lengths.shape != (batch_size,):
        raise ShapeError(
            f"{where}: lengths are {lengths.dtype} of shape {list(lengths.shape)}, "
            f"expected integers of shape [{batch_size}], one a row"
        )
    checked: Tensor = lengths.to("cpu", torch.int64)
    if torch.compiler.is_compiling():  # a value that decides would end the trace
        torch._assert_async(((checked >= 0) & (checked <= steps)).all(), f"{where}: lengths lie outside 0 to the steps")
    elif batch_size:
        shortest, longest = (int(one) for one in checked.aminmax())
        if not 0 <= shortest <= longest <= steps:
            raise ShapeError(
                f"{where}: lengths lie between {shortest} and {longest}, expected 0 to {steps}, the steps of the values"
            )
    return checked


def reverse(values: Tensor, lengths: Tensor | None) -> Tensor:
    """[B, T, …] with each row backwards within its length; its own inverse on valid steps."""
    if lengths is None or all_full(lengths, values.shape[1]):
        return values.flip(1)
    return _take(values, lengths[:, None] - 1 - torch.arange(values.shape[1]))


def shift_left(values: Tensor, lengths: Tensor) -> Tensor:
    """Left-padded [B, T, …] → right-padded."""
    steps = values.shape[1]
    return _take(values, torch.arange(steps) + (steps - lengths)[:, None])


def shift_right(values: Tensor, lengths: Tensor) -> Tensor:
    """Right-padded [B, T, …] → left-padded."""
    steps = values.shape[1]
    return _take(values, torch.arange(steps) - (steps - lengths)[:, None])


def all_full(lengths: Tensor, steps: int) -> bool:
    """Whether every row is as long as the batch; False where a compiler traces, which reads no values."""
    return lengths.numel() == 0 or (not torch.compiler.is_compiling() and int(lengths.min()) == steps)


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Steps by index [B, T]; an index outside the row wraps, so that padding is moved to the other end."""
    if values.shape[0] == 0 or values.shape[1] == 0:
        return values
    rows, steps = values.shape[0], values.shape[1]
    flat = (index % steps + steps * torch.arange(rows)[:, None]).flatten().to(values.device)
    return values.flatten(0, 1).index_select(0, flat).view_as(values)  # its gradient is one index_add
