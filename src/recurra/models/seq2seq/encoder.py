"""The encoder of a sequence-to-sequence model."""

from __future__ import annotations

from collections.abc import Sequence as Several

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.models.seq2seq.noise import EncoderNoise
from recurra.models.tokens import EMBEDDING_STD, check_positive, check_rates, enter_tokens
from recurra.nn import Recurrent, RecurrentState
from recurra.nn.door import enter
from recurra.nn.layers import CellKind
from recurra.nn.noise import dropout_mask
from recurra.settings.names import Initialization


class Encoder(nn.Module):
    """Tokens [B, S] → what a decoder attends to, [B, S, output_size].

        x_t = E[token_t],    h = layers(x)

    Args:
        cell: a name from the cell table, or a function (input_size, hidden_size) → Cell; or several, one a layer.
        vocabulary_size: V, tokens of the source.
        embedding_size: features of a token's vector.
        hidden_size: features of each direction's output.
        num_layers: layers.
        bidirectional: each layer reads both ways.
        embedding_dropout: rate on the embeddings, one mask a sequence.
        dropout: rate between layers, one mask a sequence; needs two layers or more.
        output_dropout: rate on the outputs, one mask a sequence.
        residual, weight_dropout, recurrent_dropout, zoneout, attention_window, initialization: as in
            `recurra.nn.Recurrent`.

    Raises:
        SettingsError: a size below 1, a rate outside [0, 1), or an option that would have no effect.
    """

    def __init__(
        self,
        cell: CellKind | Several[CellKind],
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = True,
        residual: bool = False,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        attention_window: int | None = None,
        initialization: Initialization = "orthogonal",
    ) -> None:
        super().__init__()
        check_positive(vocabulary_size=vocabulary_size, embedding_size=embedding_size)
        check_rates(embedding_dropout=embedding_dropout, output_dropout=output_dropout)
        self.vocabulary_size = vocabulary_size
        self.embedding_dropout, self.output_dropout = embedding_dropout, output_dropout
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.layers = Recurrent(
            cell,
            embedding_size,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            residual=residual,
            attention_window=attention_window,
            dropout=dropout,
            variational=dropout > 0,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            initialization=initialization,
        )
        self.output_size = self.layers.output_size
        with torch.no_grad():
            nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)

    def noise(self, batch_size: int, generator: torch.Generator | None = None, *, steps: int = 1) -> EncoderNoise:
        """The masks of every dropout, for `forward`.

        Args:
            batch_size: rows.
            generator: where they are drawn; torch's own if None.
            steps: S, for the masks that change from step to step (zoneout).
        """
        like = self.embedding.weight

        def mask(rate: float, width: int) -> Tensor | None:
            return dropout_mask((batch_size, 1, width), rate, like, generator) if rate else None

        return EncoderNoise(
            embedding=mask(self.embedding_dropout, self.embedding.embedding_dim),
            layers=self.layers.noise(batch_size, generator, steps=steps),
            output=mask(self.output_dropout, self.output_size),
        )

    def forward(
        self,
        tokens: Tensor,
        lengths: Tensor | None = None,
        state: RecurrentState | None = None,
        *,
        noise: EncoderNoise | None = None,
    ) -> tuple[Tensor, RecurrentState]:
        """Read a source.

        Args:
            tokens: [B, S] int64, 0 ≤ token < V; what stands beyond the lengths is not read.
            lengths: [B] valid steps, 0 to S; None: all.
            state: to begin from; None: the initial one.
            noise: masks to use; None: drawn here in training, none in evaluation.

        Returns:
            outputs [B, S, output_size], zero beyond the lengths, and the layers' final state.

        Raises:
            ShapeError: tokens, lengths or the state do not fit.
        """
        tokens, lengths = enter_tokens(tokens, lengths, self.vocabulary_size, "Encoder")
        if noise is None:
            noise = self.noise(*tokens.shape[:1], steps=tokens.shape[1]) if self.noisy() else self.silence()
        x = F.embedding(tokens, self.embedding.weight)
        if noise.embedding is not None:
            x = x * noise.embedding
        outputs, state = self.layers.run(enter(x, self.layers.input_size, "Encoder", lengths), state, noise.layers)
        return outputs if noise.output is None else outputs * noise.output, state

    def noisy(self) -> bool:
        """Whether a dropout acts now: the encoder is in training and has one."""
        return self.training and bool(self.embedding_dropout or self.output_dropout or self.layers.noisy())

    def silence(self) -> EncoderNoise:
        """The noise of evaluation: no masks."""
        return EncoderNoise(None, self.layers.silence(), None)
