"""A PackedSequence through torch's RNN, LSTM or GRU, run padded: the same numbers, on a CPU sooner.

Torch's packed kernels leave oneDNN and run step by step over shrinking batches. Here each layer is one padded pass of
`recurra.engines.fused`, and what goes out is packed again. Dropout between layers acts on packed values, as torch's
does, so that the same seed drops the same values.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

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


class Gain(NamedTuple):
    """What a padded pass saves over torch's packed kernels, counted in multiplications of the matrix products.

    step: for each time step, whatever the batch. share: for each valid step, as a share of its own. square: for each
    time step, and each row of the gates of each valid step: the packed backward pass grows with the square of time.
    """

    step: float
    share: float
    square: float


# Fits to some 70 shapes (8 to 128 rows, 20 to 1000 steps, 16 to 256 units, 28 to 98 % valid) on one core, on the side
# of torch's kernels where the two are close.
_ONEDNN = {True: Gain(0.3e6, 0.2, 4), False: Gain(0.3e6, 0.1, 0)}  # LSTM in float32: with gradients, and without
_NATIVE = {
    "LSTM": Gain(0.05e6, 0.05, 2),
    "GRU": Gain(0.05e6, 0.05, 2),
    "RNN_TANH": Gain(0.05e6, 0, 1),
    "RNN_RELU": Gain(0.05e6, 0, 1),
}
_CALL = 10e6  # what padding and packing cost, whatever the size

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
    if sizes.numel() == 0 or int(sizes[-1]) < 1 or bool((sizes[1:] > sizes[:-1]).any()):
        return False
    if data.shape != (int(sizes.sum()), module.input_size):
        return False
    states = () if hx is None else hx if module.mode == "LSTM" else (hx,)
    if not isinstance(states, tuple) or len(states) not in (0, len(STATES[module.mode]._fields)):
        return False
    weights = _weights(module)
    if any(type(one) not in _PLAIN or one.dtype != dtype or one.device.type != "cpu" for one in (*states, *weights)):
        return False
    shape = (module.num_layers * (1 + module.bidirectional), int(sizes[0]), module.hidden_size)
    return all(one.shape == shape for one in states) and pays(module, packed)


def pays(module: nn.RNNBase, packed: PackedSequence) -> bool:
    """Whether a padded pass is likely to be quicker than torch's packed kernels.

    It computes padding too, and saves the changes of batch size from step to step, most of the packed backward pass,
    and for an LSTM in float32 what leaving oneDNN costs. Without gradients only that LSTM gains: the other packed
    kernels are quicker than padded ones there.
    """
    weights = _weights(module)
    gradients = torch.is_grad_enabled() and (packed.data.requires_grad or any(one.requires_grad for one in weights))
    onednn = torch._C._has_mkldnn and torch._C._get_mkldnn_enabled()
    if onednn and module.mode == "LSTM" and packed.data.dtype == torch.float32:
        gain = _ONEDNN[gradients]
    elif gradients:
        gain = _NATIVE[module.mode]
    else:
        return False
    steps, valid = packed.batch_sizes.numel(), packed.data.shape[0]
    matrices = sum(one.numel() for one in weights if one.dim() == 2)
    each = matrices / (module.num_layers * (1 + module.bidirectional))  # multiplications a step
    padding = steps * int(packed.batch_sizes[0]) - valid
    gates = weights[0].shape[0]
    return padding * each + _CALL <= steps * gain.step + valid * (each * gain.share + steps * gates * gain.square)


def run_padded(module: nn.RNNBase, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
    """`module(packed, hx)` for what `fits`: outputs and final states as torch gives them."""
    data, sizes, order, back = packed
    rows = int(sizes[0])
    if hx is None:
        count = module.num_layers * (1 + module.bidirectional)
        zeros = data.new_zeros(count, rows, module.hidden_size)
        hidden = (zeros,) * len(STATES[module.mode]._fields)
    else:
        hx = module.permute_hidden(hx, order)
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
        found.append(_twin(module, _weights(module)[number * each : (number + 1) * each]))
    return [found[at : at + directions] for at in range(0, len(found), directions)]


def _weights(module: nn.RNNBase) -> list[Tensor]:
    return cast(list[Tensor], module._flat_weights)  # an entry is None only where a weight was deleted


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
