"""Encoder, bridge and decoder as one model."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from recurra.errors import SettingsError, ShapeError
from recurra.models.seq2seq.attentive import AttentiveLayers
from recurra.models.seq2seq.bridge import Bridge, Directions
from recurra.models.seq2seq.decoder import Decoder
from recurra.models.seq2seq.encoder import Encoder
from recurra.models.seq2seq.noise import Seq2SeqNoise
from recurra.models.seq2seq.states import Decoded, DecoderOutput, DecoderState
from recurra.models.tokens import enter_tokens
from recurra.nn.linear_cross_entropy import BLOCK_BYTES, linear_cross_entropy
from recurra.randomness import drawn_rows
from recurra.sequence import Sequence, check_lengths, valid_mask
from recurra.settings.names import check_name

ForcedBy = Literal["token", "sequence"]


class Seq2SeqLoss(NamedTuple):
    """What a batch costs: sums over its targets, so that batches and processes add up.

    nats: cross entropy, a scalar; targets: how many count, an int64 scalar.
    """

    nats: Tensor
    targets: Tensor


class Seq2Seq(nn.Module):
    """A source [B, S] and a target [B, T] → logits of the target [B, T, V] and the attention [B, T, S].

        memory, final = encoder(source),    s_0 = bridge(final),    logits_t = decoder(target_{t−1}, s_{t−1}, memory)

    A target is given as it is to be said, the end among it: logits[:, t] score target[:, t], and the decoder reads
    `bos_id` first and then the target one step late.

    Args:
        encoder, decoder: the two halves; `decoder.memory_size` is `encoder.output_size`.
        bos_id: what the decoder reads before the first token.
        eos_id: what ends a target.
        bridge: whether the decoder begins from what the encoder ended with; False: from its own initial state.
        directions: of the bridge, for an encoder in two directions: "concat" or "sum".

    Raises:
        SettingsError: the halves do not fit, an id outside the target's vocabulary, or a decoder without attention
            that would know nothing of the source.

    Example:
        >>> encoder = Encoder("lstm", 4000, 128, 128)
        >>> model = Seq2Seq(encoder, Decoder("lstm", 4000, 128, 256, memory_size=encoder.output_size))
        >>> logits, attention = model(source, source_lengths, target, teacher_forcing=0.9)
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        *,
        bos_id: int = 1,
        eos_id: int = 2,
        bridge: bool = True,
        directions: Directions = "concat",
    ) -> None:
        super().__init__()
        if decoder.memory_size != encoder.output_size:
            raise SettingsError(
                f"Seq2Seq: the decoder's memory_size is {decoder.memory_size}, expected {encoder.output_size}, the "
                "encoder's output_size"
            )
        for name, token in (("bos_id", bos_id), ("eos_id", eos_id)):
            if not 0 <= token < decoder.vocabulary_size:
                raise SettingsError(f"{name}: {token} is no token; the target has 0 to {decoder.vocabulary_size - 1}")
        if bos_id == eos_id:
            raise SettingsError(f"eos_id: {eos_id} is bos_id too; what begins a target cannot end it")
        self.encoder, self.decoder, self.bos_id, self.eos_id = encoder, decoder, bos_id, eos_id
        self.bridge: Bridge | None = None
        body = decoder.body
        if bridge and isinstance(body, AttentiveLayers):
            made = Bridge(encoder.layers, body.layers, directions=directions)
            self.bridge = made if made.parts else None
        if self.bridge is None and directions != "concat":
            raise SettingsError(
                f"directions: {directions!r} is an option of the bridge, and there is none; leave it out"
            )
        if self.bridge is None and isinstance(body, AttentiveLayers) and body.attention is None:
            raise SettingsError(
                "Seq2Seq: without attention the decoder knows of the source by its first state alone, and nothing is "
                "handed over; give an attention, or a bridge and a cell with a hidden state"
            )

    def noise(
        self,
        batch_size: int,
        generator: torch.Generator | None = None,
        *,
        source_steps: int = 1,
        target_steps: int = 1,
        forced_by: ForcedBy = "token",
    ) -> Seq2SeqNoise:
        """All that training draws: the masks of every dropout, and what decides where the target is read.

        Args:
            batch_size: rows.
            generator: where it is drawn; torch's own if None.
            source_steps, target_steps: S and T.
            forced_by: "token": each token of a target by itself; "sequence": a target as a whole.
        """
        check_name("forced_by", forced_by, get_args(ForcedBy))
        columns = target_steps if forced_by == "token" else 1
        return Seq2SeqNoise(
            self.encoder.noise(batch_size, generator, steps=source_steps),
            self.decoder.noise(batch_size, generator, steps=target_steps),
            self._uniform((batch_size, columns), generator),
        )

    def forward(
        self,
        source: Tensor,
        source_lengths: Tensor | None,
        target: Tensor,
        *,
        target_lengths: Tensor | None = None,
        teacher_forcing: float = 1.0,
        noise: Seq2SeqNoise | None = None,
    ) -> DecoderOutput:
        """Logits [B, T, V] of a target and the attention [B, T, S] of each of its tokens.

        Args:
            source: [B, S] int64; what stands beyond the lengths is not read.
            source_lengths: [B] valid steps, 0 to S; None: all.
            target: [B, T] int64, what is to be said, without `bos_id`.
            target_lengths: [B] valid steps; None: all. Beyond them logits mean nothing.
            teacher_forcing: probability that a step reads the target's token; else it reads the likeliest one by the
                step before. 0: always that.
            noise: what to draw with; None: dropouts are drawn here in training, none act in evaluation, and teacher
                forcing below 1 is drawn a token.

        Raises:
            SettingsError: teacher_forcing outside [0, 1].
            ShapeError: source, target or lengths do not fit.
        """
        decoded = self._decode(source, source_lengths, target, target_lengths, teacher_forcing, noise)
        return DecoderOutput(self.decoder.score(decoded.features), decoded.attention)

    def loss(
        self,
        source: Tensor,
        source_lengths: Tensor | None,
        target: Tensor,
        target_lengths: Tensor | None = None,
        *,
        teacher_forcing: float = 1.0,
        label_smoothing: float = 0.0,
        noise: Seq2SeqNoise | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> Seq2SeqLoss:
        """The cross entropy of a batch, without ever holding all its logits.

        Args:
            source, source_lengths, target, target_lengths, teacher_forcing, noise: as in `forward`.
            label_smoothing: share of a target's probability spread over all tokens (Szegedy et al., 2016).
            block_bytes: bytes of logits in memory at a time.

        Raises:
            SettingsError, ShapeError: as `forward`.
        """
        features = self._decode(source, source_lengths, target, target_lengths, teacher_forcing, noise).features
        if target_lengths is None:
            features, wanted = features.flatten(0, 1), target.flatten()
        else:
            checked = check_lengths(target_lengths, target.shape[0], target.shape[1], "Seq2Seq.loss")
            valid = valid_mask(checked, target.shape[1], target.device)
            features, wanted = features[valid], target[valid]  # padding would cost as much as a token
        nats, count = linear_cross_entropy(
            self.decoder.scored(features),
            self.decoder.output_matrix,
            self.decoder.output_bias,
            wanted,
            label_smoothing=label_smoothing,
            block_bytes=block_bytes,
        )
        return Seq2SeqLoss(nats, count)

    def begin(
        self, source: Tensor, source_lengths: Tensor | None = None, *, noise: Seq2SeqNoise | None = None
    ) -> DecoderState:
        """Read a source: the decoder's state before its first token, `bos_id`.

        Raises:
            ShapeError: source or lengths do not fit.
        """
        outputs, final = self.encoder(source, source_lengths, noise=None if noise is None else noise.encoder)
        rows, steps = source.shape
        full = torch.full((rows,), steps) if source_lengths is None else source_lengths
        memory = Sequence(outputs, full)
        start = None
        if self.bridge is not None:
            assert isinstance(self.decoder.body, AttentiveLayers)
            start = self.bridge(outputs, memory.lengths, final, self.decoder.body.layers.initial_state(rows))
        return self.decoder.initial_state(memory, start)

    def _decode(
        self,
        source: Tensor,
        source_lengths: Tensor | None,
        target: Tensor,
        target_lengths: Tensor | None,
        teacher_forcing: float,
        noise: Seq2SeqNoise | None,
    ) -> Decoded:
        if not 0 <= teacher_forcing <= 1:
            raise SettingsError(f"teacher_forcing: {teacher_forcing} is not in [0, 1]; it is a probability")
        target, _ = enter_tokens(target, target_lengths, self.decoder.vocabulary_size, "Seq2Seq, target")
        rows, steps = target.shape
        if source.shape[:1] != target.shape[:1]:
            raise ShapeError(f"Seq2Seq: {source.shape[0]} sources and {rows} targets; give one target a source")
        forced = None
        if teacher_forcing < 1:
            draws = self._uniform((rows, steps), None) if noise is None else noise.forcing
            forced = (draws < teacher_forcing).expand(rows, steps)
        first = target.new_full((rows, 1), self.bos_id)
        read = torch.cat([first, target[:, :-1]], 1) if steps else target
        state = self.begin(source, source_lengths, noise=noise)
        # valid steps come first and none reads a later one, so the decoder needs no lengths
        decoded, _ = self.decoder.features(read, state, forced=forced, noise=None if noise is None else noise.decoder)
        return decoded

    def _uniform(self, shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
        device = self.decoder.output_bias.device
        return drawn_rows(lambda wanted: torch.rand(wanted, device=device, generator=generator), shape)
