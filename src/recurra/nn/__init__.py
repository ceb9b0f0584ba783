"""Modules over sequences, built from cells."""

from recurra.nn.attention import Attention, AttentionMemory
from recurra.nn.characters import CharacterEncoder
from recurra.nn.conversion import from_torch, to_torch
from recurra.nn.crf import ConditionalRandomField, Legal, viterbi
from recurra.nn.dropin import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from recurra.nn.frontends import TokenEmbedding, TokenNgrams, VectorInput
from recurra.nn.initialization import initialize
from recurra.nn.noise import Noise
from recurra.nn.pool import Pool
from recurra.nn.pooling import (
    AttentionPooling,
    JoinedPooling,
    LastPooling,
    MaxPooling,
    MeanPooling,
    Pooling,
    make_pooling,
)
from recurra.nn.recurrent import Recurrent
from recurra.nn.states import BidirectionalState, RecurrentState
from recurra.nn.stream import LayerSession

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "AttentionMemory",
    "AttentionPooling",
    "BidirectionalState",
    "CharacterEncoder",
    "ConditionalRandomField",
    "GRUCell",
    "JoinedPooling",
    "LSTMCell",
    "LastPooling",
    "LayerSession",
    "Legal",
    "MaxPooling",
    "MeanPooling",
    "Noise",
    "Pool",
    "Pooling",
    "RNNCell",
    "Recurrent",
    "RecurrentState",
    "TokenEmbedding",
    "TokenNgrams",
    "VectorInput",
    "from_torch",
    "initialize",
    "make_pooling",
    "to_torch",
    "viterbi",
]
