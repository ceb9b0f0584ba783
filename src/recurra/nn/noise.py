"""The masks of every dropout, drawn outside the layer and handed in, so that two runs can share them.

A mask is either multiplied (0, or 1 / (1 − p) so that the expectation stays) or, for zoneout, chooses the old value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.randomness import drawn_rows
from recurra.state import State, map_state, select


@dataclass(frozen=True)
class DirectionNoise:
    """The masks of one direction of one layer; None where there is no such dropout.

    Args:
        hidden: [B, H], multiplied into the hidden state that the gates read; one a sequence.
        weight: shaped as `weight_hh`, multiplied into it; one a call.
        zoneout: a state of bool leaves [B, T, H]; True keeps the old value.
    """

    hidden: Tensor | None = None
    weight: Tensor | None = None
    zoneout: State | None = None


@dataclass(frozen=True)
class LayerNoise:
    """The masks of one layer: of its input ([B, T, D], or [B, 1, D] where one holds for the sequence), and inside."""

    input: Tensor | None
    directions: tuple[DirectionNoise, ...]


@dataclass(frozen=True)
class Noise:
    """The masks of a stack of layers, for a batch and a number of steps."""

    layers: tuple[LayerNoise, ...]

    @property
    def silent(self) -> bool:
        """Whether there is no mask at all."""
        return all(
            layer.input is None and all(one == DirectionNoise() for one in layer.directions) for layer in self.layers
        )

    def steps(self, start: int, stop: int) -> Noise:
        """The masks of steps start ≤ t < stop; what holds for a whole sequence stays."""

        def cut(layer: LayerNoise) -> LayerNoise:
            per_step = layer.input is not None and layer.input.shape[1] > 1
            return LayerNoise(
                layer.input[:, start:stop] if per_step and layer.input is not None else layer.input,
                tuple(
                    replace(one, zoneout=map_state(lambda leaf: leaf[:, start:stop], one.zoneout))
                    if one.zoneout is not None
                    else one
                    for one in layer.directions
                ),
            )

        return Noise(tuple(map(cut, self.layers)))

    def rows(self, index: Tensor) -> Noise:
        """The masks of some rows, in the order given."""

        def take(layer: LayerNoise) -> LayerNoise:
            return LayerNoise(
                None if layer.input is None else layer.input[index],
                tuple(
                    DirectionNoise(
                        None if one.hidden is None else one.hidden[index],
                        one.weight,
                        None if one.zoneout is None else select(one.zoneout, index),
                    )
                    for one in layer.directions
                ),
            )

        return Noise(tuple(map(take, self.layers)))


def dropout_mask(
    shape: tuple[int, ...], rate: float, like: Tensor, generator: torch.Generator | None = None, *, rows: bool = True
) -> Tensor:
    """A mask to multiply with: 0 with probability `rate`, else 1 / (1 − rate), on like's device and in its dtype.

    Args:
        rows: the first dimension is the row of a batch; False for a mask of weights, which all rows share.
    """
    draw = partial(torch.rand, device=like.device, generator=generator)
    uniform = drawn_rows(draw, shape) if rows else draw(shape)
    return (uniform >= rate).to(like.dtype) / (1 - rate)


def zoneout_mask(shape: tuple[int, ...], rate: float, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A bool mask, True with probability `rate`; the first dimension is the row of a batch."""
    return drawn_rows(partial(torch.rand, device=like.device, generator=generator), shape) < rate


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """`F.dropout` of x [B, …], whose noise goes with the row: use it wherever the first dimension is the row."""
    if not (training and rate):
        return x
    return x * drawn_rows(lambda shape: F.dropout(x.new_ones(shape), rate), tuple(x.shape))
