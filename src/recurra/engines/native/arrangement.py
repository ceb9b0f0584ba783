"""Rows sorted by length and their steps one after the other, so that nothing is computed on padding."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

FEW_COLUMNS = 32
"""Below, a product's result is quicker to get transposed."""

FEW_NUMBERS = 2**15
"""Below, two tensors are copied into one sooner than two products are made."""


class Arrangement(NamedTuple):
    """Where the steps of a padded batch stand: step t holds the first active[t] rows, N = Σ active[t] in all.

    rows: B; active [steps] int64. For rows that are all as long as the batch the rest is None; else order [B]: the
    rows, longest first; place [N]: of each step in the flattened batch, b·T + t; before [N]: of the hidden state that
    it reads, among the B initial ones and the N outputs behind them. backward: rows are read from the last step to the
    first, as place says too.
    """

    rows: int
    active: Tensor
    order: Tensor | None
    place: Tensor | None
    before: Tensor | None
    backward: bool = False

    @property
    def total(self) -> int:
        """N."""
        return self.rows * len(self.active) if self.place is None else len(self.place)

    def packed(self, x: Tensor) -> Tensor:
        """[B, T, D] → [N, D]."""
        if self.place is None:
            time_first = x.transpose(0, 1) if self.rows > 1 else x[0]
            return (time_first.flip(0) if self.backward else time_first).reshape(-1, x.shape[2])
        return x.reshape(-1, x.shape[2]).index_select(0, self.place)

    def padded(self, packed: Tensor, rows: int, steps: int) -> Tensor:
        """[N, H] → [B, T, H], zero beyond the lengths."""
        if self.place is None:
            time_first = packed.view(steps, rows, -1)
            return (time_first.flip(0) if self.backward else time_first).transpose(0, 1)
        whole = packed.new_zeros(rows * steps, packed.shape[1])
        return whole.index_copy(0, self.place, packed).view(rows, steps, -1)

    def sorted(self, leaf: Tensor) -> Tensor:
        """A leaf of the state [B, H] in the order of the rows here."""
        return leaf.contiguous() if self.order is None else leaf.index_select(0, self.order)

    def unsorted(self, leaf: Tensor) -> Tensor:
        """The way back."""
        return leaf if self.order is None else leaf.index_select(0, self.order.argsort())

    def onto_read(self, gradients: Tensor, initial: Tensor, outputs: Tensor) -> Tensor:
        """gradientsᵀ · what each step read [G, H]: the gradient of weights that take what was read to [N, G].

        Args:
            gradients: [N, G].
            initial: the hidden states before the first step [B, H], as the rows are here.
            outputs: [N, H].
        """
        if self.before is None and outputs.numel() < FEW_NUMBERS:  # a copy takes less than a second product
            return product(gradients.t(), torch.cat([initial, outputs[: len(outputs) - self.rows]]))
        first = int(self.active[0]) if len(self.active) else 0  # steps that read an initial one
        begin, after = gradients[:first], gradients[first:]
        read = (
            outputs[: len(after)] if self.before is None else outputs.index_select(0, self.before[first:] - self.rows)
        )
        if read.shape[1] < FEW_COLUMNS:
            return product(begin.t(), initial[:first]) + product(after.t(), read)
        return torch.addmm(begin.t() @ initial[:first], after.t(), read)  # not in place: autocast may be on

    def reversed(self, lengths: Tensor | None, steps: int) -> Arrangement:
        """The same steps, read in each row from the last to the first; lengths and steps as `arrange` had them."""
        if self.place is None or lengths is None:
            return self._replace(backward=True)
        row = self.place // steps
        return self._replace(backward=True, place=row * steps + lengths[row] - 1 - self.place % steps)


def product(one: Tensor, other: Tensor) -> Tensor:
    """one · other; of few columns, which as rows take a fifth of the time where there is much to add up."""
    return (other.t() @ one.t()).t() if other.shape[1] < FEW_COLUMNS else one @ other


def arrange(lengths: Tensor | None, rows: int, steps: int) -> Arrangement:
    """Arrange a batch.

    Args:
        lengths: [rows] int64 from 0 to steps; None: all are steps.
    """
    if lengths is None or bool((lengths == steps).all()):
        return _full(rows, steps)
    by_length, order = lengths.sort(descending=True, stable=True)
    longest = int(by_length[0])
    inside = torch.arange(longest)[:, None] < by_length  # [longest, rows], True first in each step
    active = inside.sum(1)
    step, row = inside.nonzero().unbind(1)
    start = active.cumsum(0) - active  # of each step among the N
    previous = rows + start[(step - 1).clamp(min=0)] + row
    return Arrangement(rows, active, order, order[row] * steps + step, torch.where(step == 0, row, previous))


@lru_cache(maxsize=64)
def _full(rows: int, steps: int) -> Arrangement:
    """Rows that are all of one length."""
    return Arrangement(rows, torch.full((steps,), rows), None, None, None)
