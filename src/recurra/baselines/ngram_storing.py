"""An n-gram model as the two files of a run, without a pickle: JSON for sizes, safetensors for numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from recurra.baselines.ngram_model import NgramModel, Order
from recurra.baselines.stored_files import FORMAT, NUMBERS_FILE, WORDS_FILE, Arrays, StoredFiles, finite

KIND = "ngrams"
MOST_ORDERS = 32
ROUNDING = 1e-5  # by which a stored probability may be above 1


def ngrams_to_files(model: NgramModel) -> dict[str, bytes]:
    """The two files, by name."""
    content = {
        "format": FORMAT,
        "kind": KIND,
        "size": model.size,
        "begin_id": model.begin_id,
        "orders": len(model.orders),
        "seconds": model.seconds,
    }
    arrays: Arrays = {}
    for k, order in enumerate(model.orders, 1):
        arrays |= {f"keys.{k}": order.keys, f"probability.{k}": order.probability, f"backoff.{k}": order.backoff}
    return {WORDS_FILE: json.dumps(content).encode("ascii"), NUMBERS_FILE: safetensors.numpy.save(arrays)}


def ngrams_from_files(files: Mapping[str, bytes], folder: Path = Path(), *, size: int | None = None) -> NgramModel:
    """An n-gram model as a run stored it.

    Args:
        files: the bytes of both, by name.
        folder: of the run, for errors.
        size: symbols of the run. None: not checked.

    Raises:
        RunError: a file is missing or damaged; naming it.
    """
    return _Reader(files, folder).read(size)


class _Reader(StoredFiles):
    """One reading of the two files."""

    def read(self, size: int | None) -> NgramModel:
        if not isinstance(self.content, dict) or self.content.get("format") != FORMAT:
            raise self.fault("format", f"{FORMAT}, the one that this version reads")
        self.choice("kind", (KIND,))
        symbols = self.whole_number("size", 1, 1 << 31)
        if size not in (None, symbols):
            raise self.fault("size", f"{size}, the symbols of this run")
        begin_id = self.whole_number("begin_id", 0, symbols - 1)
        seconds: Any = self.content.get("seconds")
        if not finite(seconds):
            raise self.fault("seconds", "a number")
        orders: list[Order] = []
        highest = self.whole_number("orders", 1, MOST_ORDERS)
        for k in range(1, highest + 1):
            orders.append(self.order(k, len(orders[-1].keys) if orders else 1, symbols, last=k == highest))
        return NgramModel(symbols, begin_id, tuple(orders), float(seconds or 0.0))

    def order(self, k: int, contexts: int, symbols: int, *, last: bool) -> Order:
        keys = self.array(f"keys.{k}", np.int64, (None,))
        if len(keys) and (keys[0] < 0 or keys[-1] >= contexts * symbols or not (np.diff(keys) > 0).all()):
            raise self.array_fault(f"keys.{k}", "rising, each of a known context")
        if k == 1 and len(keys) != symbols:
            raise self.array_fault("keys.1", "every symbol")
        probability = self.array(f"probability.{k}", np.float32, (len(keys),))
        backoff = self.array(f"backoff.{k}", np.float32, (0 if last else len(keys),))
        for name, numbers in ((f"probability.{k}", probability), (f"backoff.{k}", backoff)):
            if not ((numbers > 0) & (numbers <= 1 + ROUNDING)).all():
                raise self.array_fault(name, "above 0 and at most 1")
        return Order(keys, probability, backoff)

    def whole_number(self, name: str, low: int, high: int) -> int:
        value = self.content.get(name)
        if type(value) is not int or not low <= value <= high:
            raise self.fault(name, f"a whole number from {low} to {high}")
        return value
