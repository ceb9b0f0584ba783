"""Bytes counted, not estimated: what a forward pass keeps for the backward one, and the most that a call holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def kept_for_backward(layer: nn.Module, x: Tensor) -> int:
    """The bytes of every storage that autograd keeps after `layer(x)`, once each; parameters are not counted.

    Torch's own kernels are seen too: what they save goes through the same hooks.

    Args:
        layer: any module.
        x: its input; counted where it is kept.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in layer.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor  # held until the outputs go, so that no storage's place is taken by another

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = layer(x)
    total = sum(size for place, size in kept.items() if place not in own)
    del outputs
    return total


def peak_bytes(call: Callable[[], object]) -> int:
    """The most bytes that the tensors made inside a call held at one time, after any operation of torch.

    What a kernel needs only while it runs, and gives back itself, is not seen.
    """
    made = _Made()
    with made:
        result = call()
    del result
    return made.peak


class _Made(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Looks at what every operation returns, and adds up the storages that are still there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[StorageWeakRef, int] = {}
        self._given: set[StorageWeakRef] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self._given.update(ref for ref in _storages((args, kwargs)) if ref not in self._alive)
        returned = func(*args, **(kwargs or {}))
        for ref, size in _storages(returned).items():
            if ref not in self._given:  # a view of what was there before the call is nothing new
                self._alive[ref] = size
        self._alive = {ref: size for ref, size in self._alive.items() if not ref.expired()}  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(self._alive.values()))
        return returned


def _storages(tree: Any) -> dict[StorageWeakRef, int]:
    storages = [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return {StorageWeakRef(one): one.nbytes() for one in storages}  # type: ignore[no-untyped-call]
