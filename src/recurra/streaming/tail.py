"""Bytes that wait for what follows, as a state: of one shape, however many there are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.errors import StateError

HELD = 4096
"""The most bytes that wait in a live text: a word of more is no word."""


class ByteTail(NamedTuple):
    """held [1, size] uint8, the bytes and zeros behind them; length [1] int64, how many they are"""

    held: Tensor
    length: Tensor


def make_tail(content: bytes, size: int = HELD) -> ByteTail:
    """A tail that holds these bytes.

    Args:
        content: at most `size` bytes.
        size: the most that it can ever hold, which is its shape.
    """
    held = np.zeros((1, size), np.uint8)
    held[0, : len(content)] = np.frombuffer(content, np.uint8)
    return ByteTail(torch.from_numpy(held), torch.tensor([len(content)]))


def read_tail(tail: ByteTail) -> bytes:
    """The bytes that a tail holds.

    Raises:
        StateError: it claims more than it can hold; no session has made it.
    """
    length = int(tail.length)
    if not 0 <= length <= tail.held.shape[1]:
        raise StateError(f"the state's text is said to have {length} bytes, and it can hold {tail.held.shape[1]}")
    return tail.held[0, :length].numpy().tobytes()
