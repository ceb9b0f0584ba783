"""What a recurrence computes: one cell a file, and the table of cells by name."""

from collections.abc import Callable
from functools import partial

from recurra.cells.cell import Cell, GatedCell, LinearCell, LinearState, ProjectedCell
from recurra.cells.elman import ElmanCell, ElmanState
from recurra.cells.feedforward import FeedforwardCell, FeedforwardState
from recurra.cells.gru import GRUCell, GRUState
from recurra.cells.gru_layernorm import LayerNormGRUCell
from recurra.cells.indrnn import IndRNNCell, IndRNNState
from recurra.cells.lstm import LSTMCell, LSTMState
from recurra.cells.lstm_coupled import CoupledLSTMCell
from recurra.cells.lstm_layernorm import LayerNormLSTMCell
from recurra.cells.lstm_peephole import PeepholeLSTMCell
from recurra.cells.lstm_projection import ProjectedLSTMCell
from recurra.cells.mingru import MinGRUCell
from recurra.cells.minlstm import MinLSTMCell
from recurra.cells.slstm import SLSTMCell, SLSTMState
from recurra.cells.transformer import TransformerCell, TransformerState, WholeState

CELLS: dict[str, Callable[..., Cell]] = {
    "rnn": ElmanCell,
    "rnn_relu": partial(ElmanCell, nonlinearity="relu"),
    "lstm": LSTMCell,
    "gru": GRUCell,
    "feedforward": FeedforwardCell,
    "lstm_layernorm": LayerNormLSTMCell,
    "gru_layernorm": LayerNormGRUCell,
    "lstm_peephole": PeepholeLSTMCell,
    "lstm_projection": ProjectedLSTMCell,
    "lstm_coupled": CoupledLSTMCell,
    "slstm": SLSTMCell,
    "indrnn": IndRNNCell,
    "mingru": MinGRUCell,
    "minlstm": MinLSTMCell,
    "transformer": TransformerCell,
}

__all__ = [
    "CELLS",
    "Cell",
    "CoupledLSTMCell",
    "ElmanCell",
    "ElmanState",
    "FeedforwardCell",
    "FeedforwardState",
    "GRUCell",
    "GRUState",
    "GatedCell",
    "IndRNNCell",
    "IndRNNState",
    "LSTMCell",
    "LSTMState",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "LinearCell",
    "LinearState",
    "MinGRUCell",
    "MinLSTMCell",
    "PeepholeLSTMCell",
    "ProjectedCell",
    "ProjectedLSTMCell",
    "SLSTMCell",
    "SLSTMState",
    "TransformerCell",
    "TransformerState",
    "WholeState",
]
