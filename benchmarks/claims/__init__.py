"""What courses say and what is so: each row of docs/course/what-is-so.md, with the function that measures it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from claims.costs import attention, cost, gru_beside_lstm
from claims.ends import batch_read_as_time, hidden_never_returned, last_column, look_ahead, packing
from claims.gradients import clipping, one_to_one, skips, two_biases, vanishing
from claims.learning import exposure, lstm_beside_gru, which_states
from claims.measured import Measured


class Claim(NamedTuple):
    """taught: as courses have it. so: what is so. measure: shows it, at full size by its defaults."""

    taught: str
    so: str
    measure: Callable[..., Measured]


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "`out[:, -1]` is the summary, in both directions too",
        "the backward half has then seen one step only; with padding it is a padded position; `h_n[-1]` is one "
        "direction",
        last_column,
    ),
    Claim(
        "packing is an efficiency, optional",
        "it is correctness, or gathering by length is; on a CPU torch's packing is the slow way",
        packing,
    ),
    Claim(
        "`nn.RNN(…, bidirectional=True)` on `[B, T, D]`",
        "without `batch_first` the batch is read as time, silently",
        batch_read_as_time,
    ),
    Claim(
        "clipping helps against vanishing; it limits values",
        "it only shrinks; by norm it keeps the direction",
        clipping,
    ),
    Claim("LSTM and GRU solve the vanishing gradient", "the gate's bias does", vanishing),
    Claim(
        "a GRU is faster than an LSTM",
        "it has 3/4 of the weights; on a CPU torch's GRU is slower in some shapes",
        gru_beside_lstm,
    ),
    Claim(
        "LSTM is usually more accurate",
        "no consistent evidence (Chung et al., 2014; Jozefowicz et al., 2015; Greff et al., 2017): report paired "
        "intervals",
        lstm_beside_gru,
    ),
    Claim(
        "cost T·H²",
        "B·T·G·H·(I + H) a layer and direction, G = 1, 3, 4 for RNN, GRU, LSTM; memory B·T·H in training; depth T in "
        "sequence",
        cost,
    ),
    Claim(
        "final state for classification, all states for generation",
        "mean, max and attention pooling classify from all; plain sequence to sequence generates from the final one",
        which_states,
    ),
    Claim(
        "an RNN for one to one",
        "at T = 1 the gradient of `weight_hh` is exactly 0: a feed-forward net does it",
        one_to_one,
    ),
    Claim(
        "one bias",
        "torch has two, with equal gradients wherever both only add up; its GRU resets after the matrix product, the "
        "paper before",
        two_biases,
    ),
    Claim(
        "bidirectional models for real-time use",
        "they exclude each other, but for bounded look-ahead",
        look_ahead,
    ),
    Claim(
        "teacher forcing feeds the actual output",
        "the target token; what the model meets at test time differs (exposure bias)",
        exposure,
    ),
    Claim(
        "skip connections help gradients through time",
        "residual connections skip layers; dilation skips time",
        skips,
    ),
    Claim(
        "Transformers need much memory",
        "exact attention can run in O(T) memory; its arithmetic is O(T²)",
        attention,
    ),
    Claim(
        "`hidden` is taken and never returned in a tutorial's class",
        "then it cannot stream: state goes in and comes out",
        hidden_never_returned,
    ),
)
