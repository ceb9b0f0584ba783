"""The decoder of a sequence-to-sequence model: a recurrence whose memory is part of its state."""

from __future__ import annotations

from collections.abc import Sequence as Several
from functools import partial
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import InputError, SettingsError, ShapeError
from recurra.models.seq2seq.attentive import AttentiveLayers
from recurra.models.seq2seq.crossing import CrossingLayers
from recurra.models.seq2seq.noise import DecoderNoise
from recurra.models.seq2seq.states import Decoded, DecoderOutput, DecoderState
from recurra.models.tokens import EMBEDDING_STD, check_positive, check_rates, check_tokens, enter_tokens
from recurra.nn import Recurrent, RecurrentState
from recurra.nn.layers import CellKind, cell_kinds
from recurra.nn.noise import dropout_mask
from recurra.sequence import Sequence, valid_mask
from recurra.settings.names import DecoderAttention, Initialization, check_name
from recurra.state import choose


class Decoder(nn.Module):
    """Tokens said so far and a memory → logits of the next token.

        x_t = E[token_t],    ã_t = layers(x_t, memory, state),    logits_t = W (P ã_t) + b

    where ã is the attentional vector of `AttentiveLayers`. With tied weights W is E, and P maps ã to the embedding size
    where they differ; else P is left out. The layers run over all tokens at once where no step waits for the one
    before it: with "dot", "general", "concat" and "none", without input feeding, and with Transformer layers.

    Args:
        cell: a name from the cell table, or a function (input_size, hidden_size) → Cell; or several, one a layer.
        vocabulary_size: V, tokens of the target.
        embedding_size: E, features of a token's vector.
        hidden_size: features of the layers' outputs and of ã.
        num_layers: layers.
        memory_size: features of a step of the memory; an encoder's `output_size`.
        attention: "additive" (Bahdanau's order), "dot", "general", "concat" (Luong's), or "none". None: "general" for
            recurrent layers; and where every layer is a Transformer's, attention to the memory inside each layer, as
            in a Transformer decoder.
        attention_size, scaled: as in `recurra.nn.Attention`.
        input_feeding: each step reads the ã of the step before.
        repeat_context: without attention: each step reads the last layer's first hidden state.
        tied: one matrix embeds tokens and scores them.
        embedding: the embedding of an encoder over the same tokens, to share; it stays the encoder's.
        embedding_dropout: rate on the embeddings, one mask a sequence.
        dropout: rate between layers, one mask a sequence; needs two layers or more.
        output_dropout: rate on the last layer's outputs where they are read with the context, and on ã where it is
            scored; one mask a sequence each.
        residual, weight_dropout, recurrent_dropout, zoneout, attention_window, initialization: as in
            `recurra.nn.Recurrent`.

    Raises:
        SettingsError: a size below 1, a rate outside [0, 1), or an option that would have no effect.

    Example:
        >>> decoder = Decoder("lstm", 65, 64, 128, memory_size=256)
        >>> state = decoder.initial_state(Sequence(torch.randn(8, 20, 256), torch.full((8,), 20)))
        >>> (logits, attention), state = decoder.step(torch.ones(8, dtype=torch.int64), state)  # [8, 65], [8, 20]
    """

    def __init__(
        self,
        cell: CellKind | Several[CellKind],
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        memory_size: int,
        attention: DecoderAttention | None = None,
        attention_size: int | None = None,
        scaled: bool = False,
        input_feeding: bool = False,
        repeat_context: bool = False,
        tied: bool = True,
        embedding: nn.Embedding | None = None,
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
        check_positive(
            vocabulary_size=vocabulary_size,
            embedding_size=embedding_size,
            hidden_size=hidden_size,
            memory_size=memory_size,
        )
        check_rates(embedding_dropout=embedding_dropout, dropout=dropout, output_dropout=output_dropout)
        if attention is not None:
            check_name("attention", attention, get_args(DecoderAttention))
        self.vocabulary_size, self.embedding_size, self.memory_size = vocabulary_size, embedding_size, memory_size
        self.embedding_dropout, self.output_dropout, self.tied = embedding_dropout, output_dropout, tied
        kinds = cell_kinds(cell, num_layers)
        self.body: AttentiveLayers | CrossingLayers
        if attention is None and all(kind == "transformer" for kind in kinds):
            _refuse(
                attention_size=attention_size is not None,
                scaled=scaled,
                input_feeding=input_feeding,
                repeat_context=repeat_context,
                residual=residual,
                weight_dropout=weight_dropout > 0,
                recurrent_dropout=recurrent_dropout > 0,
                zoneout=zoneout > 0,
            )
            if dropout and len(kinds) == 1:
                raise SettingsError(f"dropout: {dropout} acts between layers and there is one layer; leave it out")
            self.body = CrossingLayers(
                embedding_size, hidden_size, len(kinds), memory_size, window=attention_window, dropout=dropout
            )
        else:
            make = partial(
                Recurrent,
                cell,
                hidden_size=hidden_size,
                num_layers=num_layers,
                residual=residual,
                attention_window=attention_window,
                dropout=dropout,
                variational=dropout > 0,
                recurrent_dropout=recurrent_dropout,
                weight_dropout=weight_dropout,
                zoneout=zoneout,
                initialization=initialization,
            )
            kind = "general" if attention is None else attention
            self.body = AttentiveLayers(
                make,
                embedding_size,
                hidden_size,
                memory_size,
                attention=None if kind == "none" else kind,
                attention_size=attention_size,
                scaled=scaled,
                input_feeding=input_feeding,
                repeat_context=repeat_context,
            )
        self._lent: tuple[nn.Embedding, ...] = ()  # registered once, with the encoder, so that a file holds it once
        self.own_embedding: nn.Embedding | None = None
        if embedding is None:
            self.own_embedding = nn.Embedding(vocabulary_size, embedding_size)
            nn.init.normal_(self.own_embedding.weight, std=EMBEDDING_STD)
        elif (embedding.num_embeddings, embedding.embedding_dim) != (vocabulary_size, embedding_size):
            raise SettingsError(
                f"embedding: it has {embedding.num_embeddings} tokens of {embedding.embedding_dim} features, expected "
                f"{vocabulary_size} of {embedding_size} (vocabulary_size, embedding_size)"
            )
        else:
            self._lent = (embedding,)
        width = self.body.feature_size
        self.projection: nn.Linear | None = None
        if tied and width != embedding_size:
            self.projection = nn.Linear(width, embedding_size, bias=False)
        self.output_weight = None if tied else nn.Parameter(torch.empty(vocabulary_size, width))
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))
        if self.output_weight is not None:
            nn.init.uniform_(self.output_weight, -(width**-0.5), width**-0.5)  # as torch has a linear layer

    @property
    def embedding(self) -> nn.Embedding:
        """What embeds the tokens: the decoder's own, or an encoder's."""
        return self._lent[0] if self.own_embedding is None else self.own_embedding

    @property
    def output_matrix(self) -> Tensor:
        """[V, E or H]: what scores the tokens."""
        return self.embedding.weight if self.output_weight is None else self.output_weight

    def initial_state(self, memory: Sequence, start: RecurrentState | None = None) -> DecoderState:
        """The state before the first token.

        Args:
            memory: values [B, S, memory_size] and lengths [B]; what stands beyond them is not read.
            start: the layers' first state, as a `Bridge` makes it; None: their own initial one.

        Raises:
            ShapeError: the memory or the start does not fit.
        """
        values = memory.values
        if not isinstance(values, Tensor) or values.dim() != 3 or values.shape[2] != self.memory_size:
            given = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ShapeError(f"Decoder: the memory is {given}, expected [B, S, {self.memory_size}] (memory_size)")
        return self.body.initial_state(memory, start)

    def readable(self, state: DecoderState) -> Tensor | None:
        """[B, S] bool: the steps of the source that are attended to; None without attention."""
        return self.body.readable(state)

    def noise(self, batch_size: int, generator: torch.Generator | None = None, *, steps: int = 1) -> DecoderNoise:
        """The masks of every dropout, for `run` and `step`.

        Args:
            batch_size: rows.
            generator: where they are drawn; torch's own if None.
            steps: T, for the masks that change from step to step (zoneout).
        """
        like, body = self.output_bias, self.body

        def mask(rate: float, width: int) -> Tensor | None:
            return dropout_mask((batch_size, 1, width), rate, like, generator) if rate else None

        return DecoderNoise(
            embedding=mask(self.embedding_dropout, self.embedding_size),
            layers=body.noise(batch_size, generator, steps=steps),
            output=mask(self.output_dropout, body.combined_size) if body.combined_size else None,
            attentional=mask(self.output_dropout, body.feature_size),
        )

    def step(
        self, tokens: Tensor, state: DecoderState, *, noise: DecoderNoise | None = None
    ) -> tuple[DecoderOutput, DecoderState]:
        """One token a row: tokens [B] → logits [B, V] of the next with the attention [B, S], and the next state.

        Args:
            tokens: [B] int64.
            state: from `initial_state`, `run` or an earlier step.
            noise: masks of one step: `decoder.noise(batch_size, generator)`, or `noise.steps(t, t + 1)` of a target's.

        Raises:
            InputError: in training, where dropouts need masks and none are given.
            ShapeError: tokens or the state do not fit.
        """
        check_tokens(tokens, 1, self.vocabulary_size, "Decoder.step")
        if noise is None:
            if self.noisy():
                raise InputError(
                    "Decoder.step: in training, dropouts need masks that can stay the same from step to step; "
                    "give noise=decoder.noise(batch_size, generator), or call eval() first"
                )
            noise = self.silence()
        x = self._read(tokens, None if noise.embedding is None else noise.embedding[:, 0])
        decoded, state = self.body.step(x, state, noise)
        features = decoded.features if noise.attentional is None else decoded.features * noise.attentional[:, 0]
        return DecoderOutput(self.score(features), decoded.attention), state

    def run(
        self,
        tokens: Tensor,
        state: DecoderState,
        *,
        lengths: Tensor | None = None,
        forced: Tensor | None = None,
        noise: DecoderNoise | None = None,
    ) -> tuple[DecoderOutput, DecoderState]:
        """Many tokens: tokens [B, T] → logits [B, T, V] of the token after each, and the state to go on from.

        Args:
            tokens: [B, T] int64; what stands beyond the lengths is not read.
            state: from `initial_state`, `step` or an earlier run.
            lengths: [B] valid steps; None: all.
            forced: [B, T] bool: False where the likeliest token by the step before is read in place of the given one;
                the first is always given. None: all are.
            noise: masks to use; None: drawn here in training, none in evaluation.

        Returns:
            the output, and the state after each row's last valid token. Beyond the lengths the output means nothing.

        Raises:
            ShapeError: tokens, lengths or the state do not fit.
        """
        decoded, state = self.features(tokens, state, lengths=lengths, forced=forced, noise=noise)
        return DecoderOutput(self.score(decoded.features), decoded.attention), state

    def features(
        self,
        tokens: Tensor,
        state: DecoderState,
        *,
        lengths: Tensor | None = None,
        forced: Tensor | None = None,
        noise: DecoderNoise | None = None,
    ) -> tuple[Decoded, DecoderState]:
        """`run` before the logits: what `score` scores, [B, T, H], for a loss that makes them block by block."""
        tokens, lengths = enter_tokens(tokens, lengths, self.vocabulary_size, "Decoder.run")
        rows, steps = tokens.shape
        if lengths is not None and (lengths.numel() == 0 or int(lengths.min()) == steps):
            lengths = None
        if forced is not None and (forced.dtype != torch.bool or forced.shape != tokens.shape):
            raise ShapeError(
                f"Decoder.run: forced is {forced.dtype} of shape {list(forced.shape)}, expected bool of the tokens' "
                f"shape {list(tokens.shape)}"
            )
        if noise is None:
            noise = self.noise(rows, steps=steps) if self.noisy() else self.silence()
        if forced is None and not self.body.stepwise:
            decoded, state = self.body.run(self._read(tokens, noise.embedding), state, noise, lengths)
        else:
            decoded, state = self._step_by_step(tokens, state, lengths, forced, noise)
        return decoded if noise.attentional is None else decoded._replace(
            features=decoded.features * noise.attentional
        ), state

    def embed(self, tokens: Tensor) -> Tensor:
        """[...] tokens → [..., E] vectors."""
        return F.embedding(tokens, self.embedding.weight)

    def scored(self, features: Tensor) -> Tensor:
        """[..., H] → what is multiplied with `output_matrix`, [..., E or H]."""
        return features if self.projection is None else self.projection(features)

    def score(self, features: Tensor) -> Tensor:
        """[..., H] → logits [..., V]."""
        return F.linear(self.scored(features), self.output_matrix, self.output_bias)

    def noisy(self) -> bool:
        """Whether a dropout acts now: the decoder is in training and has one."""
        return self.training and bool(self.embedding_dropout or self.output_dropout or self.body.noisy())

    def silence(self) -> DecoderNoise:
        """The noise of evaluation: no masks."""
        return DecoderNoise(None, self.body.silence(), None, None)

    def _step_by_step(
        self, tokens: Tensor, state: DecoderState, lengths: Tensor | None, forced: Tensor | None, noise: DecoderNoise
    ) -> tuple[Decoded, DecoderState]:
        rows, steps = tokens.shape
        valid = None if lengths is None else valid_mask(lengths, steps, tokens.device)
        # unbound once: a slice at each step would have a gradient of all steps at each step
        given = self._read(tokens, noise.embedding).unbind(1)
        of_step = None if noise.embedding is None else noise.embedding[:, 0]
        advance = self.body.quick() if noise.layers.silent and not _autocast(tokens.device) else None
        free = [False] * steps if forced is None else (~forced).any(0).tolist()
        found: list[Decoded] = []
        for t in range(steps):
            x = given[t]
            if forced is not None and t and free[t]:
                own = self._likeliest(found[-1].features, noise)
                x = torch.where(forced[:, t, None], x, self._read(own, of_step))
            decoded, following = self.body.step(x, state, noise.steps(t, t + 1), advance)
            if valid is not None:
                following = following._replace(
                    layers=choose(valid[:, t], following.layers, state.layers),
                    fed=choose(valid[:, t], following.fed, state.fed),
                )
            state = following
            found.append(decoded)
        if not found:
            readable = self.readable(state)
            reach = 0 if readable is None else readable.shape[1]
            like = state.fed
            return Decoded(like.new_zeros(rows, 0, self.body.feature_size), like.new_zeros(rows, 0, reach)), state
        return Decoded(*(torch.stack(parts, 1) for parts in zip(*found, strict=True))), state

    def _read(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        x = self.embed(tokens)
        return x if mask is None else x * mask

    def _likeliest(self, features: Tensor, noise: DecoderNoise) -> Tensor:
        """[B, H] → [B] tokens; no gradient goes through a choice."""
        with torch.no_grad():
            return self.score(features if noise.attentional is None else features * noise.attentional[:, 0]).argmax(-1)


def _autocast(device: torch.device) -> bool:
    """Whether torch's own cell functions would be given two kinds of numbers."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def _refuse(**given: bool) -> None:
    for name, is_given in given.items():
        if is_given:
            raise SettingsError(
                f"{name}: the layers of a Transformer decoder have no such thing; leave it out, or name an attention "
                "such as 'general' for Transformer layers with one attention above them"
            )
