"""A PackedSequence through torch's RNN, LSTM or GRU, run padded: the same numbers, on a CPU sooner.

Torch's packed kernels leave oneDNN and run step by step over shrinking batches. Here each layer is one padded pass of
`recurra.engines.fused`, and what goes out is packed again. Dropout between layers acts on packed values, as torch's
does, so that the same seed drops the same values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.cells import ElmanCell, GatedCell, GRUCell, LSTMCell
from recurra.engines.fused import both, both_fit, fused
from recurra.engines.single import STATES
from recurra.sequence import reverse
from recurra.state import State

SHARE = {"LSTM": 0.25, "GRU": 0.5, "RNN_TANH": 0.5, "RNN_RELU": 0.5}
"""The least share of valid steps at which a padded pass is taken; below it the arithmetic on padding costs more than
torch's packed kernels do. Measured by benchmarks/dropins.py."""

_CELLS: dict[str, type[GatedCell]] = {"RNN_TANH": ElmanCell, "RNN_RELU": ElmanCell, "LSTM": LSTMCell, "GRU": GRUCell}
_PLAIN = (Tensor, nn.Parameter)


def fits(module: nn.RNNBase, packed: PackedSequence, hx: Any) -> bool:
    """Whether `run_padded` gives torch's numbers here and is worth its while; anything unusual is left to torch.

    Left to torch: another device or dtype than the weights', half precision, `proj_size`, autocast, compiling,
    exporting and tracing, function transforms, forward-mode derivatives, tensor subclasses, states that torch would
    refuse, and batches that are mostly padding.
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None or module.proj_size:
        return False
    if torch._C._is_any_autocast_enabled() or torch._C._are_functorch_transforms_active():
        return False
    if forward_ad._current_level >= 0:
        return False
    data, sizes = packed.data, packed.batch_sizes
    dtype = data.dtype
    if type(data) is not Tensor or data.device.type != "cpu" or dtype not in (torch.float32, torch.float64):
        return False
    states = () if hx is None else hx if module.mode == "LSTM" else (hx,)
    if not isinstance(states, tuple) or len(states) != (len(states) and len(STATES[module.mode]._fields)):
        return False
    for one in (*states, *module._flat_weights):
        if type(one) not in _PLAIN or one.dtype != dtype or one.device.type != "cpu":
            return False
    if sizes.numel() == 0 or data.dim() != 2 or int(sizes.sum()) != data.shape[0] or int(sizes[-1]) < 1:
        return False
    if bool((sizes[1:] > sizes[:-1]).any()):
        return False
    return data.shape[0] >= SHARE[module.mode] * sizes.numel() * int(sizes[0])


def run_padded(module: nn.RNNBase, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
    """`module(packed, hx)` for what `fits`: outputs and final states as torch gives them.

    Raises:
        RuntimeError, ValueError: torch's own checks of sizes.
    """
    data, sizes, order, back = packed
    rows = int(sizes[0])
    if hx is None:
        count = module.num_layers * (1 + module.bidirectional)
        zeros = data.new_zeros(count, rows, module.hidden_size)
        hidden = (zeros,) * len(STATES[module.mode]._fields)
        module.check_forward_args(data, hidden if module.mode == "LSTM" else zeros, sizes)  # type: ignore[arg-type]
    else:
        hx = module.permute_hidden(hx, order)
        module.check_forward_args(data, hx, sizes)
        hidden = hx if module.mode == "LSTM" else (hx,)
    begins = [STATES[module.mode](*leaves) for leaves in zip(*(one.unbind(0) for one in hidden), strict=True)]
    final: list[State] = []
    for number, cells in enumerate(_cells(module)):
        if number and module.dropout and module.training:
            data = F.dropout(data, module.dropout)
        begin = begins[number * len(cells) : (number + 1) * len(cells)]
        data, ends = _layer(cells, data, sizes, begin, fresh=hx is None)
        final += ends
    stacked = tuple(torch.stack(leaves) for leaves in zip(*final, strict=True))
    found = module.permute_hidden(stacked if module.mode == "LSTM" else stacked[0], back)  # type: ignore[arg-type]
    return PackedSequence(data, sizes, order, back), found


def _layer(
    cells: list[GatedCell], data: Tensor, sizes: Tensor, begin: list[State], *, fresh: bool
) -> tuple[Tensor, list[State]]:
    """One layer over packed values [N, D], rows in descending order of length."""
    x, lengths = pad_packed_sequence(PackedSequence(data, sizes), batch_first=True)
    valid = None if int(lengths[-1]) == x.shape[1] else lengths
    if len(cells) == 1:
        outputs, end = fused(cells[0], x, begin[0], valid)
        ends = [end]
    elif both_fit((cells[0], cells[1]), x, valid, fresh):
        outputs, pair = both((cells[0], cells[1]), x, (begin[0], begin[1]), valid)
        ends = list(pair)
    else:
        ahead, end = fused(cells[0], x, begin[0], valid)
        behind, other = fused(cells[1], reverse(x, valid), begin[1], valid)
        outputs, ends = torch.cat([ahead, reverse(behind, valid)], -1), [end, other]
    return pack_padded_sequence(outputs, lengths, batch_first=True).data, ends


def _cells(module: nn.RNNBase) -> list[list[GatedCell]]:
    """A cell for each direction of each layer, on the module's own weights."""
    directions, each = 1 + module.bidirectional, 4 if module.bias else 2
    found = []
    for number in range(module.num_layers * directions):
        weights = module._flat_weights[number * each : (number + 1) * each]
        found.append(_twin(module, weights))  # type: ignore[arg-type]
    return [found[at : at + directions] for at in range(0, len(found), directions)]


def _twin(module: nn.RNNBase, weights: list[Tensor]) -> GatedCell:
    """A cell that reads these tensors and owns none."""
    kind = _CELLS[module.mode]
    cell = kind.__new__(kind)
    nn.Module.__init__(cell)
    cell.input_size, cell.hidden_size = weights[0].shape[1], module.hidden_size
    cell.output_size = module.hidden_size
    if isinstance(cell, ElmanCell):
        cell.nonlinearity = "relu" if module.mode == "RNN_RELU" else "tanh"
    bias = weights[2:] or [weights[0].new_zeros(weights[0].shape[0])] * 2
    # not as parameters: a module would register them, and refuse what is none
    cell.__dict__.update(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), [*weights[:2], *bias], strict=True))
    return cell
