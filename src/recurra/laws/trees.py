"""Trees of tensors as any module has them: tensors in tuples, named tuples, lists and dictionaries, and plain values.

A `State` of this package is one such tree, batch first; torch's (h, c) is another, whose batch is the second dimension.
So the batch dimension of each leaf is found, not taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from recurra.errors import ShapeError

Tree = Any
PLAIN = (int, float, str, type(None))


def map_tree(function: Callable[..., Any], *trees: Tree) -> Tree:
    """A function leaf by leaf over trees of one structure; plain values are those of the first.

    Raises:
        ShapeError: the structures differ, or a part is no tree.
    """
    first = trees[0]
    if isinstance(first, Tensor):
        return function(*trees)
    if isinstance(first, PLAIN):
        return first
    if not isinstance(first, tuple | list | dict):
        raise ShapeError(
            f"state: a {type(first).__name__} is no tree of tensors; give tensors in tuples, lists or dictionaries"
        )
    if any(type(other) is not type(first) or len(other) != len(first) for other in trees[1:]):
        raise ShapeError(f"state: its structure changes from call to call, from {type(first).__name__} to another")
    if isinstance(first, dict):
        return {key: map_tree(function, *(tree[key] for tree in trees)) for key in first}
    children = [map_tree(function, *parts) for parts in zip(*trees, strict=True)]
    return type(first)(*children) if hasattr(first, "_fields") else type(first)(children)


def tree_leaves(tree: Tree) -> Iterator[Tensor]:
    """Every tensor, in order.

    Raises:
        ShapeError: a part is no tree.
    """
    found: list[Tensor] = []
    map_tree(found.append, tree)
    yield from found


def batch_dimensions(two: Tree, three: Tree) -> Tree:
    """For each leaf the dimension that is the batch, told from the states of two rows and of three; −1: it has none.

    Raises:
        ShapeError: the structures differ.
    """

    def of(one: Tensor, other: Tensor) -> Tensor:
        sizes = zip(one.shape, other.shape, strict=True) if one.dim() == other.dim() else ()
        changed = [dimension for dimension, pair in enumerate(sizes) if pair == (2, 3)]
        return torch.tensor(changed[0] if changed else -1)

    return map_tree(of, two, three)


def rows_of(tree: Tree, dimensions: Tree, rows: list[int]) -> Tree:
    """Some rows of a state."""

    def take(leaf: Tensor, dimension: Tensor) -> Tensor:
        if int(dimension) < 0:
            return leaf
        return leaf.index_select(int(dimension), torch.tensor(rows, dtype=torch.int64, device=leaf.device))

    return map_tree(take, tree, dimensions)


def through_bytes(tree: Tree) -> Tree:
    """A state written down as bytes and read again: the same values in new memory."""
    leaves = {str(number): leaf.detach().clone().contiguous() for number, leaf in enumerate(tree_leaves(tree))}
    found = safetensors.torch.load(safetensors.torch.save(leaves))
    order = iter(range(len(leaves)))
    return map_tree(lambda leaf: found[str(next(order))].to(leaf.device), tree)


def copied(tree: Tree) -> Tree:
    """The same values in memory of their own."""
    return map_tree(lambda leaf: leaf.detach().clone(), tree)
