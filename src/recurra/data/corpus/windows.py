"""A long text cut for truncated back-propagation through time: rows side by side, windows one after the other.

The state is carried from window to window of a row. Every symbol is a target exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.symbols import Ids, Symbols
from recurra.nn.linear_cross_entropy import IGNORED
from recurra.randomness import numpy_generator

LINE_REACH = 4096  # symbols behind an even cut in which a row looks for the start of a line
REACH_SHARE = 0.02  # of a row: rows differ in length by no more
HALVED = 0.05  # Merity et al., 2018: one window of twenty is about half as long,
SPREAD = 5  # its length has this standard deviation,
SHORTEST = 5  # and it is no shorter


class Window(NamedTuple):
    """Some steps of every row.

    Args:
        inputs: [B, T] int64; `begin_id` where a row begins.
        targets: [B, T] int64, the symbol that follows each input; IGNORED beyond a row's end.
        lengths: [B] int64, steps of each row; None: all T.
        num_targets: in all rows.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None
    num_targets: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Stretches of a text, to be read side by side.

    Args:
        ids: [N].
        starts: [B + 1] int64; row r is ids[starts[r]:starts[r + 1]].
        begin_id: what each row begins from.
        goes_on: all rows but the first go on from the symbol before them, with a state that has read it.
    """

    ids: Ids
    starts: NDArray[np.int64]
    begin_id: int
    goes_on: bool = False

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def steps(self) -> int:
        """Of the longest row."""
        return int(np.diff(self.starts).max())

    def window(self, first: int, length: int) -> Window:
        """Steps first to first + length of every row."""
        at = self.starts[:-1, None] + np.arange(first - 1, first + length)
        values = self.ids[np.clip(at, 0, len(self.ids) - 1)].astype(np.int64)
        if first == 0:
            values[: 1 if self.goes_on else None, 0] = self.begin_id
        inputs, targets = values[:, :-1].copy(), values[:, 1:].copy()
        lengths = np.clip(np.diff(self.starts) - first, 0, length)
        count = int(lengths.sum())
        if count == inputs.size:
            return Window(torch.from_numpy(inputs), torch.from_numpy(targets), None, count)
        beyond = np.arange(length) >= lengths[:, None]
        inputs[beyond], targets[beyond] = self.begin_id, IGNORED
        return Window(torch.from_numpy(inputs), torch.from_numpy(targets), torch.from_numpy(lengths), count)

    def windows(self, lengths: Iterable[int]) -> Iterator[Window]:
        """One window after the other.

        Args:
            lengths: steps of each; `window_lengths` adds up to all.
        """
        first = 0
        for length in lengths:
            yield self.window(first, length)
            first += length


def cut_rows(ids: Ids, rows: int, symbols: Symbols, shortest: int = 1) -> Rows:
    """Stretches of about the same length, each from the start of a line where one is near.

    Args:
        ids: [N], at least one.
        rows: wanted, at most.
        symbols: what ends a line, and what a row begins from.
        shortest: steps that a row is worth having for; a short text has fewer rows.
    """
    count = max(1, min(rows, len(ids) // max(1, shortest)))
    starts = np.arange(count + 1, dtype=np.int64) * len(ids) // count
    reach = min(LINE_REACH, int(REACH_SHARE * (len(ids) // count)))
    for row in range(1, count):
        near = np.flatnonzero(np.isin(ids[starts[row] - 1 : starts[row] + reach], symbols.newline_ids))
        starts[row] += near[0] if len(near) else 0
    return Rows(ids, starts, symbols.begin_id)


def window_lengths(
    steps: int, bptt_length: int, *, seed: int | None = None, epoch: int = 0, varied: bool = False
) -> list[int]:
    """Steps of each window of an epoch; they add up to all steps.

    With a seed, windows begin elsewhere in each epoch, so that no step always lacks the gradient of what follows: the
    first window is shortened by chance, the others are whole. A text of one window stays whole.

    Args:
        steps: of the longest row.
        bptt_length: steps of a window.
        seed: of the run; None: the first window is whole too.
        epoch: which one.
        varied: draw every length about bptt_length, or half of it (Merity et al., 2018, who scale the step size by
            length / bptt_length); needs a seed.
    """
    if seed is None or steps <= bptt_length:
        return [min(bptt_length, steps - first) for first in range(0, steps, bptt_length)]
    rng = numpy_generator(seed, "windows", epoch)
    lengths = []
    left, length = steps, int(rng.integers(1, bptt_length + 1))
    while left > 0:
        lengths.append(min(length, left))
        left -= length
        length = _varied_length(bptt_length, rng) if varied else bptt_length
    return lengths


def cold_windows(ids: Ids, length: int, rows: int, symbols: Symbols) -> Iterator[Window]:
    """Stretches of equal length, each from a fresh state; the last is ragged.

    Args:
        ids: [N].
        length: steps of each.
        rows: stretches at once.
        symbols: what a stretch begins from.
    """
    starts = np.append(np.arange(0, len(ids), length, dtype=np.int64), len(ids))
    for first in range(0, len(starts) - 1, rows):
        some = Rows(ids, starts[first : first + rows + 1], symbols.begin_id)
        yield some.window(0, some.steps)


def _varied_length(bptt_length: int, rng: np.random.Generator) -> int:
    mean = bptt_length / 2 if rng.random() < HALVED else bptt_length
    return max(min(SHORTEST, bptt_length), round(rng.normal(mean, SPREAD)))
