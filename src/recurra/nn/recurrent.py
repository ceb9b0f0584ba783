"""Cells made a layer stack over sequences."""

from __future__ import annotations

from collections.abc import Sequence as Several
from pathlib import Path
from typing import Any, Self, cast, get_args

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.engines import reads_all
from recurra.engines.fused import flatten
from recurra.errors import InputError, NotStreamable, SettingsError, ShapeError
from recurra.nn.direction import Direction, run_directions
from recurra.nn.door import Entered, Layout, enter
from recurra.nn.layers import CellKind, cell_kinds, make_layers
from recurra.nn.noise import DirectionNoise, LayerNoise, Noise, dropout_mask
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.nn.states import BidirectionalState, RecurrentState
from recurra.nn.stream import LayerSession
from recurra.sequence import Padding
from recurra.settings.names import EngineName, Initialization, StreamWeights, check_name
from recurra.state import State, check_state, map_state


class Recurrent(nn.Module):
    """Recurrent layers over sequences, the same numbers whole, in chunks, packed or one step at a time.

    Args:
        cell: a name from the cell table (`recurra.cells.CELLS`), such as "lstm" or "mingru", or a function
            (input_size, hidden_size) → Cell, such as a Cell class of one's own; several, one a layer, as a list or as
            in "lstm,transformer".
        input_size: features of x.
        hidden_size: features of each direction's output.
        num_layers: layers, each reading the one below; may be left out where cell names each.
        bidirectional: two cells a layer, one from each end (Schuster and Paliwal, 1997); outputs are joined. A
            Transformer layer is one cell all the same, in which every step attends to every other.
        residual: each layer's input is added to its output, from the second layer on.
        dilation: the state a step reads is the one after that many steps before (Chang et al., 2017); one for all
            layers, or one for each.
        attention_window: steps that a Transformer layer attends to, the present one among them; 256 if None.
        dropout: rate on what a layer gives to the next one.
        variational: `dropout` with one mask a sequence instead of one a step (Gal and Ghahramani, 2016).
        recurrent_dropout: rate on the hidden state that the gates read, one mask a sequence (the same).
        weight_dropout: rate on `weight_hh`, one mask a call (Merity et al., 2018).
        zoneout: probability that a state unit keeps its old value for a step (Krueger et al., 2017);
            its expectation in evaluation.
        learned_state: initial states are parameters.
        initialization: "orthogonal", "chrono" or "torch"; see `recurra.nn.initialize`.
        chrono_length: longest memory in steps, with "chrono".
        engine: "auto", or "loop", "fused", "scan", "attention" or "native" to insist.
        recompute: steps of a block of time whose inside is computed a second time in backward instead of being kept;
            0: none. What is kept then are a layer's input and output, the states between blocks, and one block.

    Shapes:
        x [B, T, input_size] → outputs [B, T, output_size], which is hidden_size, or 2 · hidden_size where the last
        layer joins two directions; every leaf of the state is batch first, also for an unbatched x (a batch of one).

    Raises:
        SettingsError: an unknown name, a rate outside [0, 1), or an option that would have no effect. In a mixed stack
            dropouts, dilation, learned_state, chrono and recompute act in the layers that can have them, one at least.

    Example:
        >>> layer = Recurrent("gru", 64, 128, num_layers=2)
        >>> outputs, state = layer(torch.randn(8, 50, 64), lengths=torch.randint(1, 51, (8,)))
    """

    def __init__(
        self,
        cell: CellKind | Several[CellKind],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        residual: bool = False,
        dilation: int | Several[int] = 1,
        attention_window: int | None = None,
        dropout: float = 0.0,
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float = 0.0,
        learned_state: bool = False,
        initialization: Initialization = "orthogonal",
        chrono_length: int | None = None,
        engine: EngineName = "auto",
        recompute: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kinds = cell_kinds(cell, num_layers)
        num_layers = len(kinds)
        _check(num_layers, dropout, variational, residual, engine, recompute)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.residual = bidirectional, residual
        self.dropout, self.variational = dropout, variational
        self.engine: EngineName = engine
        self.recompute = recompute
        layers = make_layers(
            kinds,
            input_size,
            hidden_size,
            bidirectional=bidirectional,
            residual=residual,
            attention_window=attention_window,
            dilation=dilation,
            initialization=initialization,
            chrono_length=chrono_length,
            rates={
                "recurrent_dropout": recurrent_dropout,
                "weight_dropout": weight_dropout,
                "zoneout": zoneout,
                "learned_state": learned_state,
            },
            make={"device": device, "dtype": dtype},
        )
        self.layers = nn.ModuleList(nn.ModuleList(directions) for directions in layers)
        if recompute:
            _check_recompute([one.cell for directions in layers for one in directions])
        self._silence = Noise(tuple(LayerNoise(None, (DirectionNoise(),) * len(directions)) for directions in layers))
        self.joined = len(layers[-1]) == 2
        self.output_size = sum(one.cell.output_size for one in layers[-1])

    def initial_state(self, batch_size: int) -> RecurrentState:
        """The state before the first step: zeros, or what was learned."""
        return RecurrentState(
            tuple(_join([one.initial_state(batch_size) for one in directions]) for directions in self.stack())
        )

    def noise(self, batch_size: int, generator: torch.Generator | None = None, *, steps: int = 1) -> Noise:
        """The masks of every dropout, for `forward` and `step`.

        Args:
            batch_size: rows.
            generator: where they are drawn; torch's own if None.
            steps: time steps, for the masks that change from step to step (plain dropout, zoneout).
        """
        layers = []
        for number, directions in enumerate(self.stack()):
            mask = None
            if number and self.dropout:
                shape = (batch_size, 1 if self.variational else steps, directions[0].cell.input_size)
                mask = dropout_mask(shape, self.dropout, next(self.parameters()), generator)
            layers.append(LayerNoise(mask, tuple(one.noise(batch_size, steps, generator) for one in directions)))
        return Noise(tuple(layers))

    def forward(
        self,
        x: Layout,
        state: RecurrentState | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        padding: Padding = "right",
        noise: Noise | None = None,
    ) -> tuple[Any, RecurrentState]:
        """Run over sequences.

        Args:
            x: [B, T, input_size], unbatched [T, input_size], a Sequence or a PackedSequence.
            state: from `initial_state` or an earlier call; None: the initial one. A backward direction's is the state
                after the last valid step.
            lengths: [B] valid steps of each row, 0 to T, in any order.
            resets: [B, T] bool, True where a new episode begins: before that step the state is the layer's own
                initial one, as if the row were cut there.
            padding: the side on which rows are padded.
            noise: masks to use; None: drawn here in training, none in evaluation.

        Returns:
            outputs of the same kind and layout as x, zero beyond the lengths, and the state after each row's last
            valid step (after its first for the backward direction).

        Raises:
            ShapeError: x, lengths, resets or the state do not fit.
        """
        entered = enter(x, self.input_size, "Recurrent", lengths, resets, padding)
        outputs, state = self.run(entered, state, noise)
        return entered.leave(outputs), state

    def run(
        self, entered: Entered, state: RecurrentState | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """`forward` for what has come through the door: outputs [B, T, output_size] and the state."""
        values, valid, begins, _ = entered
        rows, steps = values.shape[0], values.shape[1]
        fresh = state is None
        state = self._check_state(state, rows)
        if noise is None:
            noise = self.noise(rows, steps=steps) if self.training and self.noisy() else self.silence()
        final = []
        for number, directions in enumerate(self.stack()):
            masks = noise.layers[number]
            given = values if masks.input is None else values * masks.input
            above, ends = run_directions(
                directions,
                given,
                _split(state.layers[number], len(directions)),
                lengths=valid,
                resets=begins,
                noise=masks.directions,
                engine=self.engine,
                recompute=self.recompute,
                fresh=fresh,
            )
            values = values + above if self.residual and number else above
            final.append(_join(ends))
        end = RecurrentState(tuple(final))
        kind = values.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(
            kind
        ):  # kernels give bf16, and a state keeps its dtype
            end = map_state(lambda leaf, begin: leaf.to(begin.dtype), end, state)
        return values, end

    def step(
        self, x: Tensor, state: RecurrentState | None = None, *, noise: Noise | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """One time step.

        Args:
            x: [B, input_size], or unbatched [input_size].
            state: from `initial_state`, `forward` or an earlier step; None: the initial one.
            noise: masks of one step: `layer.noise(batch_size, generator)`, or `noise.steps(t, t + 1)` of a sequence's.

        Returns:
            y [B, output_size] (unbatched [output_size]) and the next state.

        Raises:
            NotStreamable: the layers are bidirectional.
            InputError: in training, where dropouts need masks and none are given.
            ShapeError: x or the state do not fit.
        """
        self.check_streamable()
        if x.dim() not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"Recurrent.step: x has shape {list(x.shape)}, expected [B, {self.input_size}] or [{self.input_size}]"
            )
        if x.dim() == 1:
            y, state = self.step(x[None], state, noise=noise)
            return y[0], state
        state = self._check_state(state, x.shape[0])
        if noise is None:
            if self.training and self.noisy():
                raise InputError(
                    "Recurrent.step: in training, dropouts need masks that can stay the same from step to step; "
                    "give noise=layer.noise(batch_size, generator), or call eval() first"
                )
            noise = self.silence()
        final = []
        for number, (directions, begin, masks) in enumerate(zip(self.stack(), state.layers, noise.layers, strict=True)):
            given = x if masks.input is None else x * masks.input[:, 0]
            above, end = directions[0].step(given, begin, masks.directions[0])
            x = x + above if self.residual and number else above
            final.append(end)
        return x, RecurrentState(tuple(final))

    def stream(
        self, state: RecurrentState | str | Path | None = None, *, weights: StreamWeights = "exact"
    ) -> LayerSession:
        """A live sequence through these layers, with a state of its own: the quick way to step.

        Args:
            state: to begin from: as `forward`, `step` or another session gave it, or the path of one that a session
                saved; None: the initial one.
            weights: "exact", or "int8": of 8 bits with a scale a row, quicker and less exact.

        Raises:
            NotStreamable: the layers are bidirectional.
            InputError: in training, where dropouts would act.
            SettingsError: weights of 8 bits cannot be had here.
            ShapeError: the state is not one of this layer.
            StateError: the file is missing, damaged or of another layer.
        """
        return LayerSession(RecurrentSteps(self), state, weights)

    def check_streamable(self) -> None:
        """Refuse what needs the whole sequence.

        Raises:
            NotStreamable: naming the layer and the mend.
        """
        if self.bidirectional:
            raise NotStreamable(
                "Recurrent (layers.0): a bidirectional layer reads each sequence from its end too and cannot go step "
                "by step; train with bidirectional=False to stream"
            )

    def stack(self) -> list[list[Direction]]:
        """The directions of each layer."""
        layers = cast(list[list[Direction]], self.layers)
        return [[*directions] for directions in layers]

    def noisy(self) -> bool:
        """Whether a dropout acts in training."""
        inside = (one for directions in self.stack() for one in directions)
        between = self.dropout > 0 and self.num_layers > 1
        return between or any(one.recurrent_dropout or one.weight_dropout or one.zoneout for one in inside)

    def silence(self) -> Noise:
        """The noise of evaluation: no masks."""
        return self._silence

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for directions in self.stack():
            for one in directions:
                flatten(one.cell)
        return self

    def _check_state(self, state: RecurrentState | None, rows: int) -> RecurrentState:
        expected = self.initial_state(rows)
        if state is None:
            return expected
        check_state(state, expected, type(self).__name__)
        return state

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, bidirectional={self.bidirectional}"
        )


def _check(num_layers: int, dropout: float, variational: bool, residual: bool, engine: str, recompute: int) -> None:
    if not 0 <= dropout < 1:
        raise SettingsError(f"dropout: {dropout} is not in [0, 1)")
    if dropout and num_layers == 1:
        raise SettingsError(
            f"dropout: {dropout} acts between layers and there is one layer; give num_layers 2 or more, or drop "
            "outside the layer"
        )
    if variational and not dropout:
        raise SettingsError("variational: it says how dropout is drawn, and dropout is 0; give dropout")
    if residual and num_layers == 1:
        raise SettingsError("residual: connections start at the second layer and there is one; give num_layers 2")
    check_name("engine", engine, get_args(EngineName))
    if recompute < 0:
        raise SettingsError(f"recompute: {recompute} is below 0; give the steps of a block, or 0 for none")


def _check_recompute(cells: list[Cell]) -> None:
    if all(reads_all(cell) for cell in cells):
        raise SettingsError(
            "recompute: a Transformer layer in both directions attends to all steps at once and cannot be cut into "
            "blocks of them; leave recompute out, or give bidirectional=False"
        )


def _join(states: list[State]) -> State:
    return states[0] if len(states) == 1 else BidirectionalState(*states)


def _split(state: State, directions: int) -> tuple[State, ...]:
    return (state,) if directions == 1 else (state.forward, state.backward)
