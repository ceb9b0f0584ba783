"""Language models: the token that follows, at every step."""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.engines.costs import decided
from recurra.errors import InputError, ShapeError
from recurra.models.tokens import EMBEDDING_STD, check_positive, check_rates, check_tokens
from recurra.nn import Noise, Recurrent, RecurrentState
from recurra.nn.checkpointing import MB, choose_segment, run_in_segments, saved_bytes
from recurra.nn.door import enter
from recurra.nn.layers import CellKind
from recurra.nn.linear_cross_entropy import BLOCK_BYTES, IGNORED, linear_cross_entropy
from recurra.nn.noise import dropout_mask
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.sequence import Padding, check_lengths, valid_mask
from recurra.settings.names import Initialization
from recurra.state import leaves

PROBE_STEPS = 16
PEAK_OVER_KEPT = 2.5  # found on a CPU: 1.2 to 1.4 with fused kernels, 2.4 with the loop


class LanguageModelState(NamedTuple):
    """The layers' state."""

    encoder: RecurrentState


class LanguageModelLoss(NamedTuple):
    """What a window costs: sums over its targets, so that windows, batches and processes add up."""

    nats: Tensor
    """Cross entropy, a scalar."""
    targets: Tensor
    """How many targets count, an int64 scalar."""
    penalty: Tensor
    """The penalties on the outputs, scaled to be added to `nats`; a scalar, 0 where there are none."""
    state: LanguageModelState
    """After the window."""


class _Carried(NamedTuple):
    """From one segment to the next: the state, and the last outputs [B, 1, H]; None before the first."""

    state: LanguageModelState
    last: Tensor | None


@dataclass(frozen=True)
class LanguageModelNoise:
    """The masks of every dropout; None where there is no such dropout.

    Args:
        token: [V, 1], multiplied into the embedding matrix; one a call.
        embedding: [B, 1, E], multiplied into the embeddings; one a sequence.
        encoder: the layers' own.
        output: [B, 1, H], multiplied into the last layer's outputs; one a sequence.
    """

    token: Tensor | None
    embedding: Tensor | None
    encoder: Noise
    output: Tensor | None

    def steps(self, start: int, stop: int) -> LanguageModelNoise:
        """The masks of steps start ≤ t < stop; what holds for a whole sequence stays."""
        return replace(self, encoder=self.encoder.steps(start, stop))

    def rows(self, index: Tensor) -> LanguageModelNoise:
        """The masks of some rows, in the order given."""
        embedding, output = (None if mask is None else mask[index] for mask in (self.embedding, self.output))
        return replace(self, embedding=embedding, encoder=self.encoder.rows(index), output=output)


class LanguageModel(nn.Module):
    """Tokens [B, T] → logits [B, T, V] of the token after each.

        x_t = E[token_t],    h_t = layers(x_t, state),    logits_t = W (P h_t) + b

    With tied weights W is E (Press and Wolf, 2017; Inan et al., 2017), and P maps the hidden size to the embedding
    size where they differ; else P is left out. The five dropouts are those of Merity et al. (2018, "Regularizing and
    optimizing LSTM language models"), each with one mask a sequence or a call.

    Args:
        cell: a name from the cell table, or a function (input_size, hidden_size) → Cell; or several, one a layer.
        vocabulary_size: V, tokens.
        embedding_size: E, features of a token's vector.
        hidden_size: features of the hidden state.
        num_layers: recurrent layers.
        tied: one matrix embeds tokens and scores them.
        token_dropout: probability that a token's whole vector is zero for a call.
        embedding_dropout: rate on the embeddings, one mask a sequence.
        dropout: rate between layers, one mask a sequence; needs two layers or more.
        output_dropout: rate on the last layer's outputs, one mask a sequence.
        weight_dropout, recurrent_dropout, zoneout, residual, dilation, attention_window, learned_state,
            initialization, chrono_length: as in `recurra.nn.Recurrent`.

    Raises:
        SettingsError: a rate outside [0, 1), or an option that would have no effect.

    Example:
        >>> model = LanguageModel("lstm", 65, 64, 384)
        >>> logits, state = model(torch.randint(65, (8, 50)))  # logits [8, 50, 65]
        >>> logits, state = model.step(torch.randint(65, (8,)), state)  # logits [8, 65]
    """

    def __init__(
        self,
        cell: CellKind | Several[CellKind],
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        tied: bool = True,
        token_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        residual: bool = False,
        dilation: int | Several[int] = 1,
        attention_window: int | None = None,
        learned_state: bool = False,
        initialization: Initialization = "orthogonal",
        chrono_length: int | None = None,
    ) -> None:
        super().__init__()
        check_positive(vocabulary_size=vocabulary_size, embedding_size=embedding_size)
        self.token_dropout, self.embedding_dropout = token_dropout, embedding_dropout
        self.output_dropout = output_dropout
        check_rates(token_dropout=token_dropout, embedding_dropout=embedding_dropout, output_dropout=output_dropout)
        self.vocabulary_size, self.tied = vocabulary_size, tied
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.encoder = Recurrent(
            cell,
            embedding_size,
            hidden_size,
            num_layers,
            residual=residual,
            dilation=dilation,
            attention_window=attention_window,
            dropout=dropout,
            variational=dropout > 0,
            recurrent_dropout=recurrent_dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            learned_state=learned_state,
            initialization=initialization,
            chrono_length=chrono_length,
        )
        self.projection: nn.Linear | None = None
        width = self.encoder.output_size
        if tied and width != embedding_size:
            self.projection = nn.Linear(width, embedding_size, bias=False)
            width = embedding_size
        # a tied matrix is a parameter once: a file of weights holds it once, and loading cannot part the two
        self.decoder_weight = None if tied else nn.Parameter(torch.empty(vocabulary_size, width))
        self.decoder_bias = nn.Parameter(torch.zeros(vocabulary_size))
        with torch.no_grad():
            nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
            if self.decoder_weight is not None:
                nn.init.uniform_(self.decoder_weight, -(width**-0.5), width**-0.5)  # as torch has a linear layer

    @torch.no_grad()
    def begin_at(self, counts: Tensor) -> None:
        """Let the logits of an untrained model be the frequencies of the tokens: b = log p.

        Training then spends no steps on how frequent a token is, and rare tokens need not hold it in their vectors.

        Args:
            counts: [V], how often each token is in the training text; one is added to each.
        """
        likely = (counts.double() + 1) / (counts.double() + 1).sum()
        self.decoder_bias.copy_(likely.log())

    def initial_state(self, batch_size: int) -> LanguageModelState:
        """The state before the first token."""
        return LanguageModelState(self.encoder.initial_state(batch_size))

    def noise(self, batch_size: int, generator: torch.Generator | None = None, *, steps: int = 1) -> LanguageModelNoise:
        """The masks of every dropout, for `forward`, `loss` and `step`; under truncated BPTT one draw a window.

        Args:
            batch_size: rows.
            generator: where they are drawn; torch's own if None.
            steps: time steps, for the masks that change from step to step (zoneout).
        """
        weight = self.embedding.weight

        def mask(shape: tuple[int, ...], rate: float, rows: bool = True) -> Tensor | None:
            return dropout_mask(shape, rate, weight, generator, rows=rows) if rate else None

        return LanguageModelNoise(
            token=mask((self.vocabulary_size, 1), self.token_dropout, rows=False),
            embedding=mask((batch_size, 1, self.embedding.embedding_dim), self.embedding_dropout),
            encoder=self.encoder.noise(batch_size, generator, steps=steps),
            output=mask((batch_size, 1, self.encoder.output_size), self.output_dropout),
        )

    def forward(
        self,
        tokens: Tensor,
        state: LanguageModelState | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        padding: Padding = "right",
        noise: LanguageModelNoise | None = None,
    ) -> tuple[Tensor, LanguageModelState]:
        """Logits of the token after each, and the state to go on from.

        Args:
            tokens: [B, T] int64, 0 ≤ token < V; what stands beyond the lengths is not read.
            state: what an earlier call returned, to go on with the same sequences; None: they begin here.
            lengths: [B] valid steps.
            resets: [B, T] bool, True where a new text begins: before that token the state is the initial one.
            padding: the side on which rows are padded.
            noise: masks to use; None: drawn here in training, none in evaluation.

        Returns:
            logits [B, T, V] and the state after each row's last valid token. Beyond the lengths stand the logits of
            an output of zeros.

        Raises:
            ShapeError: tokens, lengths, resets or the state do not fit.
        """
        if lengths is not None and tokens.dim() == 2:
            lengths = check_lengths(lengths, tokens.shape[0], tokens.shape[1], "LanguageModel")
            valid = valid_mask(lengths, tokens.shape[1], tokens.device)
            tokens = torch.where(valid.flip(1) if padding == "left" else valid, tokens, 0)
        check_tokens(tokens, 2, self.vocabulary_size, "LanguageModel")
        if noise is None:
            noise = self._draw(*tokens.shape)
        features, _, state = self._features(tokens, state, lengths, resets, padding, noise)
        return self._score(features), state

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        state: LanguageModelState | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        noise: LanguageModelNoise | None = None,
        label_smoothing: float = 0.0,
        activation_penalty: float = 0.0,
        slowness_penalty: float = 0.0,
        segment: int = 0,
        block_bytes: int = BLOCK_BYTES,
    ) -> LanguageModelLoss:
        """The cost of a window, without ever holding all its logits.

        The penalties are those of Merity et al. (2017, "Revisiting activation regularization for language RNNs"),
        summed over the valid steps: α · mean(h²) of the dropped outputs h, and β · mean((h_t − h_{t−1})²) of the
        outputs before dropout, over steps of one text that both stand in the window.

        Args:
            tokens, state, lengths, resets, noise: as in `forward`.
            targets: [B, T] int64, the token after each; −100 and what stands beyond the lengths do not count.
            label_smoothing: share of a target's probability spread over all tokens.
            activation_penalty: α.
            slowness_penalty: β.
            segment: steps between checkpoints in time (see `segment_length`); 0: none.
            block_bytes: bytes of logits in memory at a time.

        Raises:
            ShapeError: as `forward`, or targets of another shape.
        """
        if targets.shape != tokens.shape or targets.dtype != torch.int64:
            raise ShapeError(
                f"LanguageModel.loss: targets are {targets.dtype} of shape {list(targets.shape)}, "
                f"expected int64 of the tokens' shape {list(tokens.shape)}"
            )
        if lengths is not None and tokens.dim() == 2:
            lengths = check_lengths(lengths, tokens.shape[0], tokens.shape[1], "LanguageModel.loss")
            valid = valid_mask(lengths, tokens.shape[1], tokens.device)
            tokens, targets = torch.where(valid, tokens, 0), torch.where(valid, targets, IGNORED)
        check_tokens(tokens, 2, self.vocabulary_size, "LanguageModel.loss")
        rows, steps = tokens.shape
        goes_on = torch.ones_like(tokens, dtype=torch.bool) if resets is None else ~resets
        goes_on = goes_on if lengths is None else goes_on & valid_mask(lengths, steps, tokens.device)
        if noise is None:
            noise = self._draw(rows, steps)

        def run(start: int, stop: int, carried: _Carried) -> tuple[tuple[Tensor, Tensor, Tensor], _Carried]:
            """The three sums of these steps; called again in the backward pass where segments are asked for."""
            features, outputs, state = self._features(
                tokens[:, start:stop],
                carried.state,
                None if lengths is None else (lengths - start).clamp(0, stop - start),
                None if resets is None else resets[:, start:stop],
                "right",
                noise.steps(start, stop),
            )
            nats, count = linear_cross_entropy(
                (features if self.projection is None else self.projection(features)).flatten(0, 1),
                self.output_matrix,
                self.decoder_bias,
                targets[:, start:stop].flatten(),
                label_smoothing=label_smoothing,
                block_bytes=block_bytes,
            )
            penalty = nats.new_zeros(())
            if activation_penalty:  # outputs beyond the lengths are zero
                penalty = penalty + activation_penalty * features.square().mean(-1).sum()
            if slowness_penalty:
                penalty = penalty + slowness_penalty * _changes(outputs, carried.last, goes_on[:, start:stop])
            return (nats, count, penalty), _Carried(state, outputs[:, -1:])

        begin = _Carried(self.initial_state(rows) if state is None else state, None)
        sums, end = run_in_segments(run, begin, steps, segment)
        nats, count, penalty = (torch.stack(column).sum() for column in zip(*sums, strict=True))
        return LanguageModelLoss(nats, count, penalty, end.state)

    def segment_length(self, batch_size: int, steps: int, memory: float) -> int:
        """The `segment` of `loss` with which a window stays within so much memory, measured on this model.

        What autograd keeps for a step is measured, and counted 2.5 times, since the backward pass makes gradients of
        the same sizes. Weights and their gradients come on top. Which engine runs may hang on the steps: it is
        measured with and without the native one, and the larger counts.

        Args:
            batch_size: rows.
            steps: T.
            memory: MB (2²⁰ bytes).

        Returns:
            Steps, or 0 where everything fits without checkpoints.

        Raises:
            SettingsError: even the best segments need more; says how much.
        """
        state = self.initial_state(batch_size)
        tokens = torch.zeros(batch_size, 2 * PROBE_STEPS, dtype=torch.int64, device=self.embedding.weight.device)

        def kept(length: int) -> int:
            noise = self.noise(batch_size, torch.Generator(tokens.device), steps=length)
            given = tokens[:, :length]
            return saved_bytes(
                lambda: self.loss(given, given, state, noise=noise, activation_penalty=1.0, slowness_penalty=1.0),
                apart_from=[*self.parameters(), tokens],
            )

        steady, rising = [], []
        for answer in (False, True):
            with decided(answer):  # both lengths by the same engine
                short, long = kept(PROBE_STEPS), kept(2 * PROBE_STEPS)
            rising.append((long - short) / PROBE_STEPS)
            steady.append(short - PROBE_STEPS * rising[-1])
        between = sum(leaf.nbytes for _, leaf in leaves(state)) + batch_size * self.encoder.output_size * 8
        return choose_segment(steps, PEAK_OVER_KEPT * max(rising), max(0.0, *steady), between, memory * MB)

    def step(
        self, tokens: Tensor, state: LanguageModelState | None = None, *, noise: LanguageModelNoise | None = None
    ) -> tuple[Tensor, LanguageModelState]:
        """One token a row: tokens [B] → logits [B, V] of the next, and the next state.

        Args:
            tokens: [B] int64.
            state: from `initial_state`, `forward` or an earlier step; None: the initial one.
            noise: masks of one step: `model.noise(batch_size, generator)`, or `noise.steps(t, t + 1)` of a sequence's.

        Raises:
            InputError: in training, where dropouts need masks and none are given.
            ShapeError: tokens or the state do not fit.
        """
        check_tokens(tokens, 1, self.vocabulary_size, "LanguageModel.step")
        if noise is None:
            if self.training and self.noisy():
                raise InputError(
                    "LanguageModel.step: in training, dropouts need masks that can stay the same from step to step; "
                    "give noise=model.noise(batch_size, generator), or call eval() first"
                )
            noise = self.silence()
        x = F.embedding(tokens, self._matrix(noise))
        if noise.embedding is not None:
            x = x * noise.embedding[:, 0]
        y, encoded = self.encoder.step(x, None if state is None else state.encoder, noise=noise.encoder)
        if noise.output is not None:
            y = y * noise.output[:, 0]
        return self._score(y), LanguageModelState(encoded)

    @property
    def output_matrix(self) -> Tensor:
        """[V, E or H]: what scores the tokens."""
        return self.embedding.weight if self.decoder_weight is None else self.decoder_weight

    def noisy(self) -> bool:
        """Whether a dropout acts in training."""
        return bool(self.token_dropout or self.embedding_dropout or self.output_dropout or self.encoder.noisy())

    def silence(self) -> LanguageModelNoise:
        """The noise of evaluation: no masks."""
        return LanguageModelNoise(None, None, self.encoder.silence(), None)

    def check_streamable(self) -> None:
        """Refuse layers that need the whole sequence; there are none in a language model."""
        self.encoder.check_streamable()

    def _features(
        self,
        tokens: Tensor,
        state: LanguageModelState | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        padding: Padding,
        noise: LanguageModelNoise,
    ) -> tuple[Tensor, Tensor, LanguageModelState]:
        """The layers' outputs after dropout and before it, and the state after them."""
        x = F.embedding(tokens, self._matrix(noise))
        if noise.embedding is not None:
            x = x * noise.embedding
        entered = enter(x, self.encoder.input_size, "LanguageModel", lengths, resets, padding)
        outputs, encoded = self.encoder.run(entered, None if state is None else state.encoder, noise.encoder)
        features = entered.leave(outputs if noise.output is None else outputs * noise.output)
        assert isinstance(features, Tensor)
        return features, outputs, LanguageModelState(encoded)

    def _draw(self, rows: int, steps: int) -> LanguageModelNoise:
        return self.noise(rows, steps=steps) if self.training and self.noisy() else self.silence()

    def _matrix(self, noise: LanguageModelNoise) -> Tensor:
        """The embedding matrix, without the tokens that are dropped."""
        weight = self.embedding.weight
        return weight if noise.token is None else weight * noise.token

    def _score(self, y: Tensor) -> Tensor:
        return F.linear(y if self.projection is None else self.projection(y), self.output_matrix, self.decoder_bias)


def _changes(outputs: Tensor, last: Tensor | None, counts: Tensor) -> Tensor:
    """Σ mean((h_t − h_{t−1})²) over the steps that count [B, T]; the first has none before it where last is None."""
    first = outputs[:, :1] if last is None else last
    before = torch.cat([first, outputs[:, :-1]], 1)
    return torch.where(counts, (outputs - before).square().mean(-1), 0.0).sum()


class LanguageModelSteps:
    """A language model one token at a time, the quick way: as in evaluation, without gradients.

    Args:
        model: the model; in evaluation mode, or without dropouts.

    Raises:
        InputError: it is in training and its dropouts would act.
    """

    def __init__(self, model: LanguageModel) -> None:
        if model.training and model.noisy():
            raise InputError(
                "LanguageModel: it is in training mode and its dropouts would act; call eval() first, steps run as "
                "in evaluation (model.step takes noise)"
            )
        self._model, self._steps = model, RecurrentSteps(model.encoder)

    def initial_state(self, batch_size: int) -> LanguageModelState:
        """The state before the first token."""
        return self._model.initial_state(batch_size)

    def step(self, tokens: Tensor, state: LanguageModelState) -> tuple[Tensor, LanguageModelState]:
        """Tokens [B] → logits [B, V] of the next, and the next state; arguments are not checked."""
        with torch.inference_mode():
            x = F.embedding(tokens, self._model.embedding.weight)
            y, encoded = self._steps.step(x, state.encoder)
            return self._model._score(y), LanguageModelState(encoded)

    def run(self, tokens: Tensor, state: LanguageModelState) -> tuple[Tensor, LanguageModelState]:
        """Tokens [B, T], T ≥ 1 → logits [B, V] after the last, and the state there, by the layers' engine."""
        with torch.inference_mode():
            x = F.embedding(tokens, self._model.embedding.weight)
            outputs, encoded = self._steps.run(x, state.encoder)
            return self._model._score(outputs[:, -1]), LanguageModelState(encoded)
