"""Sequence to sequence: an encoder, a decoder with attention, and the two as one model."""

from recurra.models.seq2seq.bridge import Bridge
from recurra.models.seq2seq.decoder import Decoder
from recurra.models.seq2seq.encoder import Encoder
from recurra.models.seq2seq.making import make_seq2seq
from recurra.models.seq2seq.model import Seq2Seq, Seq2SeqLoss
from recurra.models.seq2seq.noise import DecoderNoise, EncoderNoise, Seq2SeqNoise
from recurra.models.seq2seq.states import DecoderOutput, DecoderState
from recurra.models.seq2seq.steps import DecoderSteps

__all__ = [
    "Bridge",
    "Decoder",
    "DecoderNoise",
    "DecoderOutput",
    "DecoderState",
    "DecoderSteps",
    "Encoder",
    "EncoderNoise",
    "Seq2Seq",
    "Seq2SeqLoss",
    "Seq2SeqNoise",
    "make_seq2seq",
]
