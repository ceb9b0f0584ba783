"""What a recurrence computes: one cell a file, and the table of cells by name."""

from collections.abc import Callable
from functools import partial

from recurra.cells.cell import Cell, GatedCell, ProjectedCell
from recurra.cells.elman import ElmanCell, ElmanState
from recurra.cells.feedforward import FeedforwardCell, FeedforwardState
from recurra.cells.gru import GRUCell, GRUState
from recurra.cells.lstm import LSTMCell, LSTMState
from recurra.cells.transformer import TransformerCell, TransformerState, WholeState

CELLS: dict[str, Callable[..., Cell]] = {
    "rnn": ElmanCell,
    "rnn_relu": partial(ElmanCell, nonlinearity="relu"),
    "lstm": LSTMCell,
    "gru": GRUCell,
    "feedforward": FeedforwardCell,
    "transformer": TransformerCell,
}

__all__ = [
    "CELLS",
    "Cell",
    "ElmanCell",
    "ElmanState",
    "FeedforwardCell",
    "FeedforwardState",
    "GRUCell",
    "GRUState",
    "GatedCell",
    "LSTMCell",
    "LSTMState",
    "ProjectedCell",
    "TransformerCell",
    "TransformerState",
    "WholeState",
]
