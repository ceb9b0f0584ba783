"""A whole stack stepped in one call: its layers, its state in one row of memory a sequence, and what it gives out."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from ctypes import c_int64, c_void_p
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.engines.native.check import check_tensors
from recurra.engines.native.layers import KINDS, Layer, Packed, pack_linear, packed
from recurra.engines.native.library import SUFFIXES, load, why_absent
from recurra.errors import SettingsError, ShapeError

BLOCK = 48
"""Rows that go through all layers together: their states and outputs stay in the nearest cache."""

LINE = 64  # bytes: each leaf of a row begins at a line of the cache


class Summary(NamedTuple):
    """A pooling of the outputs: kind "last", "mean", "max" or "attention", of which the weights."""

    kind: str
    hidden: Tensor | None = None
    bias: Tensor | None = None
    query: Tensor | None = None


class Readout(NamedTuple):
    """What stands behind the layers, and the scale before them.

    summaries: side by side; inputs: the inputs are summarised too; weight [O, K], bias [O]: of the head; mean, std
    [input_size]: of raw inputs, for `step_scaled`.
    """

    summaries: tuple[Summary, ...]
    inputs: bool
    weight: Tensor
    bias: Tensor
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """Every tensor."""
        of_summaries = [one for summary in self.summaries for one in summary[1:] if isinstance(one, Tensor)]
        return (*of_summaries, self.weight, self.bias)


class Leaf(NamedTuple):
    """Where a leaf of the state stands in a row: its first number, its shape without the batch, and its dtype."""

    start: int
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, c_int64) for name in ("kind", "input_size", "hidden_size", "dilation", "residual", "hidden", "cell")),
        ("narrow", c_int64),
        ("packed", c_void_p),
    )


class _Summary(ctypes.Structure):
    _fields_ = (
        *((name, c_int64) for name in ("kind", "values", "count", "normalizer")),
        ("packed", c_void_p),
        ("query", c_void_p),
    )


class _Plan(ctypes.Structure):
    _fields_ = (
        *((name, c_int64) for name in ("level", "input_size", "output_size", "state_size", "block", "widest")),
        *((name, c_int64) for name in ("vnni", "layers", "summaries", "summary_size", "summary_inputs")),
        *((name, c_void_p) for name in ("layer", "summary", "head", "mean", "std", "space")),
    )


def why_no_plan(layers: Sequence[Layer]) -> str | None:
    """Why the native kernels cannot step these layers; None where they can."""
    weight = layers[0].weight_hh
    if any(one.dtype != weight.dtype or one.device.type != "cpu" for layer in layers for one in layer.weights):
        return "its weights are not of one dtype on the CPU"
    if weight.dtype not in SUFFIXES:
        return f"the native kernels compute in float32 and float64, and the weights are {weight.dtype}"
    if any(one.is_inference() for layer in layers for one in layer.weights):
        return "its weights were made in inference mode, where torch does not count what is written to them"
    return why_absent()


class Plan:
    """Layers, and perhaps a readout, stepped in C++.

    The weights are packed beforehand, shared by all plans of the same layers; `current` says whether they are still
    the layers'. There are no gradients. The state is in the caller's hands: rows [N, state_size] of a tensor. One
    thread at a time uses a plan.

    Args:
        layers: the first reads x, each other the one below.
        readout: None: the outputs are the last layer's.
        rows: the most that are stepped at once by one call, up to BLOCK; more go in several blocks.

    Attributes:
        input_size, output_size, state_size: numbers a row; dtype: of all.
        leaves: of the state, in order: the hidden states, then the cells, of each layer, then of the summaries.

    Raises:
        SettingsError: the library is not here, or not for these layers.
        ShapeError: the weights do not fit each other.
    """

    def __init__(self, layers: Sequence[Layer], readout: Readout | None = None, rows: int = BLOCK) -> None:
        reason = why_no_plan(layers)
        if reason is not None:
            raise SettingsError(f"native plan: {reason}")
        library = load()
        self.layers, self.readout, self.dtype = tuple(layers), readout, layers[0].weight_hh.dtype
        self.input_size, size = layers[0].weight_ih.shape[1], layers[0].weight_ih.shape[1]
        for layer in layers:
            columns = layer.weight_ih.shape[1]
            if columns != size or (layer.residual and columns != layer.weight_hh.shape[1]):
                raise ShapeError(f"native plan: a layer reads {columns} features, and {size} come to it")
            size = layer.weight_hh.shape[1]
        self.output_size = size if readout is None else readout.weight.shape[0]
        self.leaves: list[Leaf] = []
        self._item = torch.empty((), dtype=self.dtype).element_size()
        self._end = 0
        self._packed = [packed(layer) for layer in layers]
        boxes = [self._box(layer, one) for layer, one in zip(layers, self._packed, strict=True)]
        summaries = [] if readout is None else [self._summary(one, size, readout) for one in readout.summaries]
        self.state_size = self._end
        block, inputs = min(rows, BLOCK), self.input_size if readout is not None and readout.inputs else 0
        summarised = 0 if readout is None else size + inputs
        widest = max([summarised, *(layer.weight_hh.shape[1] for layer in layers)])
        self._layer = (_Layer * len(boxes))(*boxes)
        self._summaries = (_Summary * len(summaries))(*(box for box, _ in summaries))
        self._kept: list[Tensor | NDArray[np.float64]] = [one for _, own in summaries for one in own]
        self._plan = _Plan(
            *(library.level, self.input_size, self.output_size, self.state_size, block, widest),
            *(library.functions.recurra_has_vnni(), len(boxes), len(summaries), summarised, inputs),
            *(ctypes.addressof(self._layer), ctypes.addressof(self._summaries)),
        )
        if readout is not None:
            self._read_out(readout, len(summaries) * summarised)
        self.at = ctypes.c_void_p(ctypes.addressof(self._plan))
        self._space = torch.empty(library.functions.recurra_plan_space(self.at), dtype=self.dtype)
        self._plan.space = self._space.data_ptr()
        self.step_rows = library.function("step_rows", self.dtype)
        self.step_along = library.function("step_along", self.dtype)
        self.step_scaled = library.function("step_scaled", self.dtype)
        self._weights = tuple(one for layer in layers for one in layer.weights)
        self._versions = [version for one in self._packed for version in one.versions]
        if readout is not None:
            self._weights += readout.weights
            self._versions += [one._version for one in readout.weights]

    def current(self) -> bool:
        """Whether nothing has been written to the weights since they were packed, as far as torch counts it."""
        return [one._version for one in self._weights] == self._versions

    def of(self, layers: Sequence[Layer], readout: Readout | None = None) -> bool:
        """Whether it is the plan of these layers as they are now; dearer than `current`, and sees exchanged tensors."""
        same = self.readout is readout or (self.readout is not None and readout is not None)
        if not same or len(layers) != len(self.layers) or load().level != self._plan.level:
            return False
        for layer, own, kept in zip(layers, self.layers, self._packed, strict=True):
            if layer[0] != own[0] or layer[5:] != own[5:] or not kept.fits(layer.weights):
                return False
        if readout is None or self.readout is None:
            return True
        pairs = list(zip(readout.weights, self.readout.weights, strict=True))
        return all(a is b for a, b in pairs) and self.current()

    def new_state(self, rows: int) -> Tensor:
        """Rows of zeros."""
        return torch.zeros(rows, self.state_size, dtype=self.dtype)

    def read(self, state: Tensor) -> list[Tensor]:
        """Copies of the leaves of some rows [N, state_size], each [N, …]."""
        return [self._view(state, leaf).clone() for leaf in self.leaves]

    def write(self, state: Tensor, leaves: Sequence[Tensor]) -> None:
        """Rows made of leaves.

        Raises:
            ShapeError: they are others than `leaves` says.
        """
        if len(leaves) != len(self.leaves):
            raise ShapeError(f"native state: {len(leaves)} leaves, expected {len(self.leaves)}")
        for given, leaf in zip(leaves, self.leaves, strict=True):
            shape = (state.shape[0], *leaf.shape)
            if given.shape != shape or given.dtype != leaf.dtype:
                raise ShapeError(
                    f"native state: a leaf is {given.dtype} {list(given.shape)}, expected {leaf.dtype} {list(shape)}"
                )
            self._view(state, leaf).copy_(given.detach())

    def _view(self, state: Tensor, leaf: Leaf) -> Tensor:
        count = math.prod(leaf.shape)
        numbers = count * leaf.dtype.itemsize // self._item
        return state[:, leaf.start : leaf.start + numbers].view(leaf.dtype).view(state.shape[0], *leaf.shape)

    def _take(self, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> int:
        """Room for a leaf in a row."""
        start = self._end
        self.leaves.append(Leaf(start, shape, dtype or self.dtype))
        line = LINE // self._item
        numbers = math.prod(shape) * self.leaves[-1].dtype.itemsize // self._item
        self._end += -(-numbers // line) * line
        return start

    def _box(self, layer: Layer, weights: Packed) -> _Layer:
        size = layer.weight_hh.shape[1]
        shape = (size,) if layer.dilation == 1 else (layer.dilation, size)
        hidden = self._take(shape)
        cell = self._take(shape) if layer.kind == "lstm" else 0
        numbers = (KINDS[layer.kind], layer.weight_ih.shape[1], size, layer.dilation, int(layer.residual), hidden, cell)
        return _Layer(*numbers, int(layer.narrow), weights.buffer.data_ptr())

    def _summary(self, one: Summary, size: int, readout: Readout) -> tuple[_Summary, list[Tensor]]:
        width = size + (self.input_size if readout.inputs else 0)
        if one.kind == "attention":
            assert one.hidden is not None and one.bias is not None and one.query is not None
            highest, normalizer = self._take((1,)), self._take((1,))
            kept = [pack_linear(one.hidden, one.bias), one.query.detach().contiguous()]
            check_tensors("native pooling", self.dtype, {"query": (kept[1], (1, width))})
            return _Summary(4, self._take((width,)), highest, normalizer, *(part.data_ptr() for part in kept)), kept
        values, count = self._take((width,)), self._take((), torch.int64)
        return _Summary(("last", "mean", "max").index(one.kind) + 1, values, count), []

    def _read_out(self, readout: Readout, columns: int) -> None:
        check_tensors("native head", self.dtype, {"weight": (readout.weight, (self.output_size, columns))})
        head, scale = pack_linear(readout.weight, readout.bias), []
        for numbers in (readout.mean, readout.std):
            if numbers.shape != (self.input_size,):
                raise ShapeError(
                    f"native plan: the scale has shape {list(numbers.shape)}, expected [{self.input_size}]"
                )
            scale.append(np.ascontiguousarray(numbers, dtype=np.float64))
        self._kept += [head, *scale]
        self._plan.head = head.data_ptr()
        self._plan.mean, self._plan.std = (one.ctypes.data for one in scale)
