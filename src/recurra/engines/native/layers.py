"""The layers of a stack that is stepped, and their weights as the kernels read them: packed once for all sessions."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from recurra.engines.native.check import check_tensors
from recurra.engines.native.library import load
from recurra.errors import ShapeError

KINDS = {"rnn_tanh": 1, "rnn_relu": 2, "gru": 3, "lstm": 4}
"""The library's number of each kind of layer."""

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}


class Layer(NamedTuple):
    """One layer: kind of KINDS; weights as torch has them, biases [gates · H] or None.

    dilation: the state read is the one after that many steps before; residual: the input is added to the output;
    narrow: weights of 8 bits, a scale a row.
    """

    kind: str
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    dilation: int = 1
    residual: bool = False
    narrow: bool = False

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """Those that there are."""
        return tuple(one for one in self[1:5] if isinstance(one, Tensor))


class Packed(NamedTuple):
    """Weights packed, and what they were packed from.

    buffer: as the kernels read it; versions: torch's counts of the writes to each tensor; memory: the tensors' own,
    held, so that no later tensor can stand at the same place.
    """

    buffer: Tensor
    versions: tuple[int, ...]
    memory: tuple[Tensor, ...]

    def fits(self, weights: tuple[Tensor, ...]) -> bool:
        """Whether these are still the weights."""
        return len(weights) == len(self.memory) and all(
            now._version == version and now.data_ptr() == then.data_ptr() and now.shape == then.shape
            for now, version, then in zip(weights, self.versions, self.memory, strict=True)
        )


_BUFFERS: Any = WeakIdKeyDictionary()  # weight_hh → (kind, narrow, level) → buffer: any number of sessions share one


def packed(layer: Layer) -> Packed:
    """A layer's weights as they are now, in the memory of an earlier call where they are the same.

    Raises:
        ShapeError: they do not fit each other.
    """
    memory = tuple(one.detach() for one in layer.weights)
    versions = tuple(one._version for one in memory)
    buffer, kept = _pack(layer), _BUFFERS.setdefault(layer.weight_hh, {})
    key = (layer.kind, layer.narrow, load().level)
    earlier = kept.get(key)
    if earlier is None or not torch.equal(earlier, buffer):  # a write through .data is in no count
        kept[key] = earlier = buffer
    return Packed(earlier, versions, memory)


def _pack(layer: Layer) -> Tensor:
    library, gates = load(), GATES[layer.kind]
    named = zip(layer._fields[1:5], layer[1:5], strict=True)
    given = {name: one.detach().contiguous() for name, one in named if isinstance(one, Tensor)}
    size, columns = layer.weight_hh.shape[-1], layer.weight_ih.shape[-1]
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates * size, columns), "weight_hh": (gates * size, size)}
    dtype = layer.weight_hh.dtype
    check_tensors(
        "native layer", dtype, {name: (one, shapes.get(name, (gates * size,))) for name, one in given.items()}
    )
    places = [given[name].data_ptr() if name in given else None for name in layer._fields[1:5]]
    lanes = library.lanes(dtype)
    blocks, biases = -(-size // lanes), 1 if gates == 1 else 4
    if layer.narrow:
        if dtype != torch.float32:
            raise ShapeError(f"native layer: weights of 8 bits are made of torch.float32, and these are {dtype}")
        groups = -(-columns // 4) - (-size // 4)  # four weights of a row stand together
        buffer = torch.empty(blocks * (biases + (4 + groups) * gates) * lanes * 4, dtype=torch.int8)
        library.functions.recurra_pack_narrow(
            library.level, KINDS[layer.kind], *places, columns, size, buffer.data_ptr()
        )
        return buffer
    buffer = torch.empty(blocks * (biases + (columns + size) * gates) * lanes, dtype=dtype)
    library.function("pack_layer", dtype)(library.level, KINDS[layer.kind], *places, columns, size, buffer.data_ptr())
    return buffer


def pack_linear(weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer's [O, K] and [O] as the kernels read them.

    Raises:
        ShapeError: they do not fit each other.
    """
    library = load()
    weight, bias = weight.detach().contiguous(), bias.detach().contiguous()
    outputs, columns = weight.shape
    check_tensors("native head", weight.dtype, {"weight": (weight, (outputs, columns)), "bias": (bias, (outputs,))})
    lanes = library.lanes(weight.dtype)
    buffer = weight.new_empty(-(-outputs // lanes) * lanes * (columns + 1))
    library.function("pack_gates", weight.dtype)(
        library.level, 0, weight.data_ptr(), bias.data_ptr(), 1, outputs, columns, buffer.data_ptr()
    )
    return buffer
