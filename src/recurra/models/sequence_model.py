"""Recurrent layers, a pooling and a linear layer: a sequence in, logits out."""

from __future__ import annotations

from collections.abc import Sequence as Several
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import SettingsError
from recurra.nn import Recurrent, RecurrentState, make_pooling
from recurra.nn.door import Entered, Layout, enter
from recurra.nn.layers import CellKind
from recurra.nn.noise import dropout
from recurra.settings.names import Initialization
from recurra.state import State


class SequenceModelState(NamedTuple):
    """The layers' state, and the pooling's."""

    encoder: RecurrentState
    pooling: State


class SequenceModel(nn.Module):
    """Many to one: sequences [B, T, input_size] → logits [B, output_size].

    A plain module for one's own training loop; `recurra train classify` trains this very class.

    Args:
        cell: a name from the cell table, or a function (input_size, hidden_size) → Cell; or several, one a layer.
        input_size: features of x.
        hidden_size: features of the hidden state, per direction.
        output_size: logits.
        num_layers: recurrent layers.
        bidirectional: read both ways; such a model cannot step.
        dropout: rate between layers; needs two or more.
        pooling: "last", "mean", "max", "attention", or several joined as in "mean+max".
        pool_inputs: pool the inputs too, beside the outputs of the layers: what a word says by itself reaches the head.
        output_dropout: rate on the pooled vector.
        residual, dilation, attention_window, variational, recurrent_dropout, weight_dropout, zoneout, learned_state,
            initialization, chrono_length, recompute: as in `recurra.nn.Recurrent`.

    Example:
        >>> model = SequenceModel("lstm", 10, 20, 5, num_layers=2)
        >>> logits, state = model(torch.randn(3, 15, 10))  # logits [3, 5]
    """

    def __init__(
        self,
        cell: CellKind | Several[CellKind],
        input_size: int,
        hidden_size: int,
        output_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        pooling: str = "last",
        *,
        pool_inputs: bool = False,
        output_dropout: float = 0.0,
        residual: bool = False,
        dilation: int | Several[int] = 1,
        attention_window: int | None = None,
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float = 0.0,
        learned_state: bool = False,
        initialization: Initialization = "orthogonal",
        chrono_length: int | None = None,
        recompute: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= output_dropout < 1:
            raise SettingsError(f"output_dropout: {output_dropout} is not in [0, 1)")
        self.encoder = Recurrent(
            cell,
            input_size,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            residual=residual,
            dilation=dilation,
            attention_window=attention_window,
            dropout=dropout,
            variational=variational,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            learned_state=learned_state,
            initialization=initialization,
            chrono_length=chrono_length,
            recompute=recompute,
        )
        inputs = input_size if pool_inputs else 0
        self.pooling = make_pooling(pooling, self.encoder.output_size + inputs, self.encoder.joined, inputs)
        self.pool_inputs = pool_inputs
        self.output_dropout = output_dropout
        self.head = nn.Linear(self.pooling.output_size, output_size)

    def initial_state(self, batch_size: int) -> SequenceModelState:
        """The state before the first step."""
        pooling = self.pooling.initial_state(batch_size, self.head.weight)
        return SequenceModelState(self.encoder.initial_state(batch_size), pooling)

    def forward(
        self, x: Layout, state: SequenceModelState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, SequenceModelState]:
        """Logits after all of x, and the state to go on from.

        Args:
            x: [B, T, input_size], unbatched [T, input_size], a Sequence or a PackedSequence.
            state: what an earlier call returned, to go on with the same sequences; None: they begin here.
            lengths: [B] valid steps.

        Returns:
            logits [B, output_size] (unbatched [output_size]) and the state.

        Raises:
            ShapeError: x, lengths or the state do not fit.
            NotStreamable: a state is given to a bidirectional model, which has read the end already.
        """
        entered = enter(x, self.encoder.input_size, "SequenceModel", lengths)
        logits, state = self.run(entered, state)
        return logits[0] if isinstance(x, Tensor) and x.dim() == 2 else logits, state

    def run(self, entered: Entered, state: SequenceModelState | None = None) -> tuple[Tensor, SequenceModelState]:
        """`forward` for what has come through the door: logits [B, output_size] and the state."""
        if state is not None:
            self.encoder.check_streamable()
        outputs, encoded = self.encoder.run(entered, None if state is None else state.encoder)
        pooled, summary = self.pooling(
            self.pooled(outputs, entered.values), entered.lengths, None if state is None else state.pooling
        )
        logits = self.head(dropout(pooled, self.output_dropout, self.training))
        return logits, SequenceModelState(encoded, summary)

    def step(self, x: Tensor, state: SequenceModelState | None = None) -> tuple[Tensor, SequenceModelState]:
        """One time step: x [B, input_size] → the logits so far [B, output_size], and the next state.

        Raises:
            NotStreamable: the model is bidirectional.
            ShapeError: x or the state do not fit.
        """
        if x.dim() == 1:
            logits, state = self.step(x[None], state)
            return logits[0], state
        y, encoded = self.encoder.step(x, None if state is None else state.encoder)
        pooled, summary = self.pooling.step(self.pooled(y, x), None if state is None else state.pooling)
        return self.head(dropout(pooled, self.output_dropout, self.training)), SequenceModelState(encoded, summary)

    def pooled(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """What the pooling reads: the outputs of the layers, with the inputs behind them where they are pooled too."""
        return torch.cat([outputs, inputs], -1) if self.pool_inputs else outputs
