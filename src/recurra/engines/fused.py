"""Torch's own fused kernels (oneDNN and plain C++ on a CPU, cuDNN on a GPU) for the cells that torch knows.

Rows of unequal length, on a CPU. Torch's packed sequences leave oneDNN and cost several times a padded pass, so the
batch is run padded. Outputs at valid steps are right as they are (padding comes after them), and a hidden state is
the output at the last valid step. An LSTM's cell is no output; it is held instead: one more input column, 1 on
padding, drives the input gate to exactly 0 and the forget gate to exactly 1, so that c' = f ∘ c + i ∘ g = c, and the
kernel's last cell state is the one at each row's length. The output gate is driven to 0, so outputs on padding are 0.
The gates are saturated, their gradient is exactly 0, and nothing flows from padding into weights or inputs. The cost
is one input column and the arithmetic on padding.

Both directions then fit in one call where the backward one begins from a hidden state of zeros: it reads the padding
first, holds its cell and puts out zeros, which is what it began with. A GRU whose update gate is driven to 1 does the
same: n + 1 · (0 − n) = 0.

On a GPU rows are packed: cuDNN keeps its speed there, and its weights stay in one block.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import _VF, Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.cells import Cell, ElmanCell, ElmanState, GatedCell, GRUCell, GRUState, LSTMCell, LSTMState
from recurra.sequence import valid_mask
from recurra.state import State

LARGE = 1e4  # beyond 104 a float32 sigmoid is exactly 0 or 1; small enough for float16
HOLDING = {LSTMCell: {"i": -LARGE, "f": LARGE, "o": -LARGE}, GRUCell: {"z": LARGE}}  # what padding adds to the gates

_CUDNN_MODES = {"RNN_RELU": 0, "RNN_TANH": 1, "LSTM": 2, "GRU": 3}  # cuDNN's own numbers
_STATES: dict[type[Cell], type[Any]] = {ElmanCell: ElmanState, GRUCell: GRUState, LSTMCell: LSTMState}


def why_not(cell: Cell) -> str | None:
    """Why torch has no kernel for this cell; None where it has one. Subclasses may compute something else."""
    if type(cell) in _STATES:
        return None
    return f"torch has no fused kernel for {type(cell).__name__}"


def fused(cell: Cell, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    """Run a cell along time in one kernel.

    Args:
        cell: exactly an ElmanCell, LSTMCell or GRUCell.
        x: [B, T, input_size] with B, T ≥ 1; zero beyond the lengths.
        state: before the first step.
        lengths: [B] int64 on the CPU; None: all steps are valid.

    Returns:
        outputs [B, T, H], zero beyond the lengths, and the state after the last valid step of each row.
    """
    assert isinstance(cell, GatedCell)
    if lengths is None:
        outputs, final = _kernel(cell, x, state, _weights(cell))
        return outputs, final
    if x.is_cuda:
        return packed(cell, x, state, lengths)
    return padded(cell, x, state, lengths)


def padded(cell: GatedCell, x: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    """Rows of unequal length in one padded pass."""
    valid = valid_mask(lengths, x.shape[1], x.device)
    weights = _weights(cell)
    if isinstance(cell, LSTMCell):
        x, weights = _with_padding_column(x, valid), _holding_weights(cell)
    outputs, final = _kernel(cell, x, state, weights)
    rows = torch.arange(x.shape[0], device=x.device)
    length = lengths.to(x.device)
    last = outputs[rows, (length - 1).clamp(min=0)]
    final = final._replace(hidden=torch.where((length > 0)[:, None], last, state.hidden))
    if not isinstance(cell, LSTMCell):  # its output gate was shut on padding
        outputs = outputs.masked_fill(~valid[..., None], 0.0)
    return outputs, final


def both_fit(cells: tuple[Cell, Cell], x: Tensor, lengths: Tensor | None, from_zeros: bool) -> bool:
    """Whether `both` may run: from_zeros says that the backward hidden state is zero."""
    if lengths is None:
        return True
    return from_zeros and type(cells[0]) in HOLDING and not x.is_cuda


def both(
    cells: tuple[Cell, Cell], x: Tensor, states: tuple[State, State], lengths: Tensor | None
) -> tuple[Tensor, tuple[State, State]]:
    """Both directions in one kernel; see `both_fit`.

    Args:
        cells: forward and backward, of one type.
        x: [B, T, input_size] with B, T ≥ 1; zero beyond the lengths.
        states: before the first step read, in each direction.
        lengths: [B] int64 on the CPU; None: all steps are valid.

    Returns:
        outputs [B, T, 2·H], zero beyond the lengths, and the two states at the ends.
    """
    one, other = cells
    assert isinstance(one, GatedCell) and isinstance(other, GatedCell)
    begin = type(states[0])(*(torch.stack(pair) for pair in zip(*states, strict=True)))
    if lengths is None:
        outputs, final = _kernel(one, x, begin, [*_weights(one), *_weights(other)], bidirectional=True)
        return outputs, _unstacked(final)
    valid = valid_mask(lengths, x.shape[1])
    weights = [*_holding_weights(one), *_holding_weights(other)]
    outputs, final = _kernel(one, _with_padding_column(x, valid), begin, weights, bidirectional=True)
    ahead, back = _unstacked(final)
    last = outputs[torch.arange(x.shape[0], device=x.device), (lengths - 1).clamp(min=0), : one.hidden_size]
    ahead = ahead._replace(hidden=torch.where((lengths > 0)[:, None], last, states[0].hidden))
    if not isinstance(one, LSTMCell):  # a GRU that goes forward holds its state, and puts it out, on padding
        outputs = outputs.masked_fill(~valid[..., None], 0.0)
    return outputs, (ahead, back)


def packed(cell: GatedCell, x: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    """Rows of unequal length as torch's packed sequence; rows of length 0 stay outside."""
    rows = lengths.nonzero()[:, 0].to(x.device)
    outputs = x.new_zeros(x.shape[0], x.shape[1], cell.hidden_size)
    if rows.numel() == 0:
        return outputs, state
    inside = pack_padded_sequence(x[rows], lengths[lengths > 0], batch_first=True, enforce_sorted=False)
    order, back = inside.sorted_indices, inside.unsorted_indices
    assert order is not None and back is not None
    begin = type(state)(*(leaf[rows][order] for leaf in state))
    data, final = _kernel(cell, inside, begin, _weights(cell))
    values, _ = pad_packed_sequence(
        PackedSequence(data, inside.batch_sizes, order, back), batch_first=True, total_length=x.shape[1]
    )
    outputs = outputs.to(values.dtype).index_copy(0, rows, values)
    return outputs, type(state)(
        *(old.to(new.dtype).index_copy(0, rows, new[back]) for old, new in zip(state, final, strict=True))
    )


def flatten(cell: Cell) -> None:
    """Put a cell's weights in one block, as cuDNN wants them; does nothing off a GPU."""
    if why_not(cell) is not None or not isinstance(cell, GatedCell) or not cell.weight_hh.is_cuda:
        return
    weights = _weights(cell)
    if not all(torch.backends.cudnn.is_acceptable(weight) for weight in weights):  # type: ignore[no-untyped-call]
        return
    with torch.no_grad():
        torch._cudnn_rnn_flatten_weight(  # as torch.nn.RNNBase.flatten_parameters does
            weights, 4, cell.input_size, _CUDNN_MODES[mode_of(cell)], cell.hidden_size, 0, 1, True, False
        )


def _kernel(
    cell: GatedCell, x: Tensor | PackedSequence, state: State, weights: list[Tensor], bidirectional: bool = False
) -> tuple[Tensor, State]:
    """One call of torch's kernel; leaves of the state are [B, H], or [2, B, H] where both directions run."""
    name = mode_of(cell).lower()
    begin = tuple(state if bidirectional else (leaf[None] for leaf in state))
    hidden = begin if name == "lstm" else begin[0]
    keep = torch.is_grad_enabled()  # cuDNN calls it training: keep what backward needs, in evaluation too
    rest = (weights, True, 1, 0.0, keep, bidirectional)  # biases, one layer, no dropout
    kernel = getattr(_VF, name)
    if isinstance(x, PackedSequence):
        outputs, *final = kernel(x.data, x.batch_sizes, hidden, *rest)
    else:
        outputs, *final = kernel(x, hidden, *rest, True)
    return cast(Tensor, outputs), type(state)(*(final if bidirectional else (leaf[0] for leaf in final)))


def _unstacked(state: State) -> tuple[State, State]:
    return type(state)(*(leaf[0] for leaf in state)), type(state)(*(leaf[1] for leaf in state))


def _weights(cell: GatedCell) -> list[Tensor]:
    return [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]


def _with_padding_column(x: Tensor, valid: Tensor) -> Tensor:
    """[B, T, D] → [B, T, D + 1]: 1 on padding."""
    return torch.cat([x, (~valid)[..., None].to(x.dtype)], -1)


def _holding_weights(cell: GatedCell) -> list[Tensor]:
    """The weights, with a column for the padding that holds the state."""
    column = cell.weight_ih.new_zeros(len(cell.gates), cell.hidden_size)
    for gate, value in HOLDING[type(cell)].items():
        column[cell.gates.index(gate)] = value
    return [torch.cat([cell.weight_ih, column.view(-1, 1)], 1), cell.weight_hh, cell.bias_ih, cell.bias_hh]


def mode_of(cell: GatedCell) -> str:
    """Torch's name of a cell's kernel: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU"."""
    if isinstance(cell, ElmanCell):
        return f"RNN_{cell.nonlinearity.upper()}"
    return "LSTM" if isinstance(cell, LSTMCell) else "GRU"
