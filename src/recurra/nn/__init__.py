"""Modules over sequences, built from cells."""

from recurra.nn.frontends import TokenEmbedding, TokenNgrams, VectorInput
from recurra.nn.initialization import initialize
from recurra.nn.noise import Noise
from recurra.nn.pooling import (
    AttentionPooling,
    JoinedPooling,
    LastPooling,
    MaxPooling,
    MeanPooling,
    Pooling,
    make_pooling,
)
from recurra.nn.recurrent import BidirectionalState, Recurrent, RecurrentState

__all__ = [
    "AttentionPooling",
    "BidirectionalState",
    "JoinedPooling",
    "LastPooling",
    "MaxPooling",
    "MeanPooling",
    "Noise",
    "Pooling",
    "Recurrent",
    "RecurrentState",
    "TokenEmbedding",
    "TokenNgrams",
    "VectorInput",
    "initialize",
    "make_pooling",
]
