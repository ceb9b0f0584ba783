"""The bridge: from what an encoder ended with to what a decoder begins with."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor, nn

from recurra.cells import TransformerCell
from recurra.errors import SettingsError
from recurra.nn import BidirectionalState, Recurrent, RecurrentState
from recurra.nn.pooling import LastPooling, MeanPooling
from recurra.settings.names import check_name
from recurra.state import State

Directions = Literal["concat", "sum"]
PARTS = ("hidden", "cell")  # of a state; what else a cell carries (a normalizer, a memory) begins as in an empty past


class _Part(NamedTuple):
    """One part of the first state: of which layer, and which; the encoder's layer whose own part it comes from, or
    None: from the summary of the outputs."""

    layer: int
    name: str
    source: int | None


class Bridge(nn.Module):
    """A decoder's first state, from an encoder's outputs and final state.

        s_0 = tanh(W [→h_S; ←h_1] + b)

    for each layer and each part of its state (hidden, cell), with a W of its own (Bahdanau et al., 2015, has it for
    the backward state). A decoder's layer reads the same part of the encoder's layer at its height, counted from the
    top. Where that has none, because its cell is of another kind, the part is made of the summary of the outputs: that
    of the last step (both directions' last), and after a Transformer layer the mean.

    Args:
        encoder: the encoder's layers.
        decoder: the decoder's layers.
        directions: "concat": both directions side by side; "sum": added.

    Raises:
        SettingsError: "sum" for an encoder in one direction, where it would have no effect.
    """

    def __init__(self, encoder: Recurrent, decoder: Recurrent, *, directions: Directions = "concat") -> None:
        super().__init__()
        check_name("directions", directions, get_args(Directions))
        if directions == "sum" and not encoder.bidirectional:
            raise SettingsError("directions: 'sum' adds two directions, and the encoder has one; leave it out")
        self.directions: Directions = directions
        given, wanted = encoder.initial_state(1).layers, decoder.initial_state(1).layers
        offset = len(given) - len(wanted)
        self._attends = isinstance(encoder.stack()[-1][0].cell, TransformerCell)
        size, joined = encoder.output_size, encoder.joined
        self.pooling = MeanPooling(size) if self._attends else LastPooling(size, joined)
        self._joined = joined
        self.parts: list[_Part] = []
        self.maps = nn.ModuleList()
        for number, layer in enumerate(wanted):
            source = max(0, number + offset)
            for name in _parts(layer):
                own = _find(given[source], name)
                self.parts.append(_Part(number, name, None if own is None else source))
                width = self._summary(torch.zeros(1, size)) if own is None else self._joint(own)
                self.maps.append(nn.Linear(width.shape[1], getattr(layer, name).shape[1]))

    def forward(self, outputs: Tensor, lengths: Tensor | None, state: RecurrentState, begin: RecurrentState) -> State:
        """The decoder's first state.

        Args:
            outputs: [B, S, D] of the encoder.
            lengths: [B] valid steps; None: all.
            state: the encoder's final one.
            begin: the decoder's own initial state of B rows, kept where nothing is handed over.
        """
        summary: Tensor | None = None
        layers: list[Any] = list(begin.layers)
        for part, of_part in zip(self.parts, self.maps, strict=True):
            if part.source is not None:
                own = _find(state.layers[part.source], part.name)
                assert own is not None
                given = self._joint(own)
            else:
                if summary is None:
                    summary = self._summary(self.pooling(outputs, lengths)[0])
                given = summary
            layer = layers[part.layer]
            made = torch.tanh(of_part(given)).to(getattr(layer, part.name).dtype)  # a state keeps its dtype
            layers[part.layer] = layer._replace(**{part.name: made})
        return RecurrentState(tuple(layers))

    def _joint(self, own: tuple[Tensor, ...]) -> Tensor:
        if len(own) == 1:
            return own[0]
        return own[0] + own[1] if self.directions == "sum" else torch.cat(own, -1)

    def _summary(self, pooled: Tensor) -> Tensor:
        """[B, D] → the same, or half of it where directions are added."""
        if self.directions == "concat" or not self._joined:
            return pooled
        forward, backward = pooled.chunk(2, -1)
        return forward + backward


def _parts(layer: State) -> list[str]:
    """The parts of a layer's first state that can be handed over."""
    fields = getattr(layer, "_fields", ())
    held = ("hidden",) if "normalizer" in fields else PARTS  # a cell beside a normalizer of 0 has no value
    return [name for name in held if name in fields and cast(Tensor, getattr(layer, name)).dim() == 2]


def _find(layer: State, name: str) -> tuple[Tensor, ...] | None:
    """A part of a layer's state, of each direction; None where it has no such part."""
    both = (layer.forward, layer.backward) if isinstance(layer, BidirectionalState) else (layer,)
    found = tuple(getattr(one, name) for one in both if name in getattr(one, "_fields", ()))
    return found if len(found) == len(both) else None
