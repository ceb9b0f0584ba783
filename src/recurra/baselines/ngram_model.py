"""An n-gram model over ids: interpolated Kneser–Ney with three discounts an order, the plain language model.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1999, there "modified": with the
context h of k - 1 symbols, h' the same without its oldest,

    p(w | h) = max(c(h w) - d(c(h w)), 0) / c(h) + b(h) p(w | h'),    b(h) = sum over w of d(c(h w)) / c(h)

where c counts occurrences at the highest order, different symbols to the left at the others, and d has a value each for
1, 2, and 3 or more. Below the single symbols every symbol is equally likely, so no symbol is impossible.

An n-gram is kept as one number: that of the n-gram without its last symbol, times the vocabulary, plus the last symbol.
So all of an order is one sorted array, looked up for a whole text at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_SYMBOLS = 4_000_000  # of the training text, its last: what can be counted in seconds
MOST_NGRAMS = 8_000_000  # of all orders; a text with more has fewer orders
FALLBACK = (0.5, 1.0, 1.5)  # discounts of a text too small to estimate them (as in KenLM)
BLOCK = 1 << 18  # symbols that are looked up at once
ORDERS = {"char": 6, "byte": 6, "bpe": 3, "word": 3}

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Order(NamedTuple):
    """The n-grams of one order.

    Args:
        keys: [M] int64, rising.
        probability: [M] float32 of the last symbol behind the others, what shorter contexts give included.
        backoff: [M] float32, the weight of shorter contexts where the n-gram is itself the context, 1 where nothing
            ever followed it; [0] at the highest order.
    """

    keys: Indices
    probability: NDArray[np.float32]
    backoff: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NgramModel:
    """Probabilities of the next symbol from the last few.

    Args:
        size: V, symbols in all.
        begin_id: what stands before a text.
        orders: single symbols first, all V of them; another order's key is the number of a key of the one before,
            times V, plus a symbol.
        seconds: of counting.
    """

    size: int
    begin_id: int
    orders: tuple[Order, ...]
    seconds: float = 0.0

    def losses(self, ids: NDArray[Any]) -> Floats:
        """[N] nats of each symbol of a text."""
        reach = len(self.orders)
        found = []
        for first in range(0, len(ids), BLOCK):
            before = max(0, first - reach)
            text = ids[before : first + BLOCK].astype(np.int64)
            if before == 0:
                text = np.concatenate([[self.begin_id], text])
            found.append(-np.log(self._probabilities(text)[-len(ids[first : first + BLOCK]) :]))
        return np.concatenate(found) if found else np.zeros(0)

    def loss(self, ids: NDArray[Any]) -> float:
        """Nats a symbol; of an empty text 0."""
        return float(self.losses(ids).mean()) if len(ids) else 0.0

    def next(self, context: Sequence[int] | NDArray[Any]) -> Floats:
        """[V] probabilities of what follows a text from its beginning on."""
        text = [self.begin_id, *(int(i) for i in context)]
        probability = self.orders[0].probability.astype(np.float64)
        for length in range(1, min(len(text), len(self.orders) - 1) + 1):
            number = self._number(text[-length:])
            if number is None:
                break
            keys = self.orders[length].keys
            some = slice(*np.searchsorted(keys, [number * self.size, (number + 1) * self.size]))
            probability *= self.orders[length - 1].backoff[number]
            probability[keys[some] % self.size] = self.orders[length].probability[some]
        return probability

    def _number(self, ngram: Sequence[int]) -> int | None:
        number = ngram[0]
        for order, symbol in zip(self.orders[1:], ngram[1:], strict=False):
            key = number * self.size + symbol
            number = int(np.searchsorted(order.keys, key))
            if number == len(order.keys) or order.keys[number] != key:
                return None
        return number

    def _probabilities(self, text: Indices) -> Floats:
        """[N] of each symbol by those before it in the text; the first knows none."""
        numbers = text
        probability = self.orders[0].probability[text].astype(np.float64)
        for shorter, order in pairwise(self.orders):
            # numbers[i] is that of the n-gram that ends with symbol i, -1 where training has none such
            contexts = np.concatenate([[-1], numbers[:-1]])
            numbers = _found(order.keys, contexts, text, self.size)
            backoff = np.where(contexts < 0, 1.0, shorter.backoff[contexts])
            probability = np.where(numbers < 0, backoff * probability, order.probability[numbers])
        return probability


def fit_ngrams(ids: NDArray[Any], size: int, begin_id: int, order: int) -> NgramModel:
    """Count a training text.

    Args:
        ids: [N]; of a long text the last 4 million are counted.
        size: V, symbols in all.
        begin_id: what stands before a text.
        order: symbols of the longest n-gram, from 1; of a text with more than 8 million n-grams it is lower.
    """
    began = time.perf_counter()
    text = np.concatenate([[begin_id], ids[-MOST_SYMBOLS:].astype(np.int64)])
    nothing, nowhere = np.zeros(len(text), np.int64), np.zeros(size, np.int64)
    counted = [_Counted(np.zeros(1, np.int64), nothing, nothing), _Counted(np.arange(size), text, nowhere)]
    while len(counted) <= min(order, len(text)):
        longer = _longer(counted[-1], text, len(counted), size)
        if sum(len(one.keys) for one in (*counted, longer)) > MOST_NGRAMS:
            break
        counted.append(longer)
    orders: list[Order] = []
    probability: Floats = np.full(1, 1 / size)
    for k, (shorter, this) in enumerate(pairwise(counted), 1):
        counts = _counts(this, counted[k + 1] if k + 1 < len(counted) else None, k)
        if k == 1:
            counts[begin_id] = 0  # nothing is followed by a beginning
        discount = np.minimum(_discounts(counts)[np.minimum(counts, 3)], counts)
        contexts, groups = this.keys // size, len(shorter.keys)
        total = np.bincount(contexts, counts, groups)
        backoff = np.divide(np.bincount(contexts, discount, groups), total, out=np.ones(groups), where=total > 0)
        by_shorter = probability[shorter.numbers[this.ends]]
        probability = (counts - discount) / np.where(total > 0, total, 1)[contexts] + backoff[contexts] * by_shorter
        if orders:
            orders[-1] = orders[-1]._replace(backoff=backoff.astype(np.float32))
        orders.append(Order(this.keys, probability.astype(np.float32), np.zeros(0, np.float32)))
    return NgramModel(size, begin_id, tuple(orders), time.perf_counter() - began)


class _Counted(NamedTuple):
    """The different n-grams of one order.

    Args:
        keys: [M], rising.
        numbers: [N], of the n-gram that ends at each place of the text; -1 where it would begin before the text.
        ends: [M], where each ends first.
    """

    keys: Indices
    numbers: Indices
    ends: Indices


def _longer(shorter: _Counted, text: Indices, order: int, size: int) -> _Counted:
    at = shorter.numbers[order - 2 : -1] * size + text[order - 1 :]
    keys, ends, numbers = np.unique(at, return_index=True, return_inverse=True)
    return _Counted(keys, np.concatenate([np.full(order - 1, -1), numbers]), ends + order - 1)


def _counts(this: _Counted, longer: _Counted | None, order: int) -> Indices:
    """How often each occurs, or, where longer ones are kept, behind how many different symbols (the beginning's left
    neighbour, which is nothing, is one of them)."""
    if longer is None:
        return np.bincount(this.numbers[order - 1 :], minlength=len(this.keys))
    counts = np.bincount(this.numbers[longer.ends], minlength=len(this.keys))
    counts[this.numbers[order - 1]] += 1
    return counts


def _discounts(counts: Indices) -> Floats:
    """[4] what is taken from a count of 0, 1, 2, and 3 or more."""
    of = np.bincount(np.minimum(counts, 5), minlength=5)[1:5].astype(np.float64)  # n-grams that occur 1 to 4 times
    if (of > 0).all():
        share = of[0] / (of[0] + 2 * of[1])
        estimated = np.array([i - (i + 1) * share * of[i] / of[i - 1] for i in (1, 2, 3)])
        if ((estimated > 0) & (estimated <= (1, 2, 3))).all():
            return np.concatenate([[0.0], estimated])
    return np.array([0.0, *FALLBACK])


def _found(keys: Indices, contexts: Indices, symbols: Indices, size: int) -> Indices:
    """[N] numbers of n-grams, -1 where there is none such."""
    if not len(keys):
        return np.full(len(symbols), -1)
    wanted = contexts * size + symbols
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((contexts >= 0) & (keys[at] == wanted), at, -1)
