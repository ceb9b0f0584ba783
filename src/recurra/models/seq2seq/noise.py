"""The masks of every dropout of an encoder and a decoder, and the draws of teacher forcing, explicit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from recurra.nn import Noise


@dataclass(frozen=True)
class EncoderNoise:
    """The masks of an encoder; None where there is no such dropout.

    Args:
        embedding: [B, 1, E], multiplied into the embeddings; one a sequence.
        layers: the layers' own.
        output: [B, 1, H], multiplied into the outputs; one a sequence.
    """

    embedding: Tensor | None
    layers: Noise
    output: Tensor | None

    def rows(self, index: Tensor) -> EncoderNoise:
        """The masks of some rows, in the order given."""
        return EncoderNoise(_rows(self.embedding, index), self.layers.rows(index), _rows(self.output, index))


@dataclass(frozen=True)
class DecoderNoise:
    """The masks of a decoder; None where there is no such dropout.

    Args:
        embedding: [B, 1, E], multiplied into the embeddings; one a sequence.
        layers: the layers' own.
        output: [B, 1, H], multiplied into the last layer's outputs where they are read with the context.
        attentional: [B, 1, H], multiplied into the vectors that are scored.
    """

    embedding: Tensor | None
    layers: Noise
    output: Tensor | None
    attentional: Tensor | None

    def steps(self, start: int, stop: int) -> DecoderNoise:
        """The masks of steps start ≤ t < stop; what holds for a whole sequence stays."""
        return replace(self, layers=self.layers.steps(start, stop))

    def rows(self, index: Tensor) -> DecoderNoise:
        """The masks of some rows, in the order given."""
        return DecoderNoise(
            _rows(self.embedding, index),
            self.layers.rows(index),
            _rows(self.output, index),
            _rows(self.attentional, index),
        )


@dataclass(frozen=True)
class Seq2SeqNoise:
    """All that training draws.

    Args:
        encoder, decoder: the masks of each.
        forcing: [B, T] uniform in [0, 1), or [B, 1] where a sequence is forced as a whole: a token of the target is
            read where the draw is below the ratio of teacher forcing.
    """

    encoder: EncoderNoise
    decoder: DecoderNoise
    forcing: Tensor

    def rows(self, index: Tensor) -> Seq2SeqNoise:
        """What was drawn for some rows, in the order given."""
        return Seq2SeqNoise(self.encoder.rows(index), self.decoder.rows(index), self.forcing[index])


def _rows(mask: Tensor | None, index: Tensor) -> Tensor | None:
    return None if mask is None else mask[index]
