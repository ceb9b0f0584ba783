"""Scikit-learn's 1797 handwritten digits: an image read row by row as a sequence, beside all its pixels at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from recurra.randomness import numpy_generator

INK = 16.0  # load_digits counts the inked pixels of a 4 × 4 block
VALID_FRACTION = 0.1
TEST_FRACTION = 0.2

Columns = dict[str, list[Any]]


def digit_rows() -> Columns:
    """All images, one a row of the table, in scikit-learn's order.

    Returns:
        Columns "image" (float32 [8, 8] in [0, 1]: a sequence of 8 pixel rows of 8 features), "pixels" (the same
        numbers as float32 [1, 64]: one vector) and "digit" (the label, "0" … "9").
    """
    digits = load_digits()
    images = (digits.images / INK).astype(np.float32)
    return {
        "image": list(images),
        "pixels": list(images.reshape(len(images), 1, 64)),
        "digit": [str(label) for label in digits.target],
    }


def tables(seed: int) -> tuple[Columns, Columns, Columns]:
    """The images cut into training, validation and test tables, every digit in the same shares.

    Args:
        seed: decides the cut, on every machine alike.

    Returns:
        Three tables with the columns of `digit_rows`, 70 %, 10 % and 20 % of each digit's images.
    """
    rows = digit_rows()
    labels = np.array(rows["digit"])
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(labels):
        order = numpy_generator(seed, "digits", str(label)).permutation(np.flatnonzero(labels == label))
        valid, test = round(VALID_FRACTION * len(order)), round(TEST_FRACTION * len(order))
        for part, chosen in zip(parts, np.split(order, [len(order) - valid - test, len(order) - test]), strict=True):
            part.extend(chosen.tolist())
    train, valid_part, test_part = (_take(rows, sorted(part)) for part in parts)
    return train, valid_part, test_part


def _take(rows: Columns, indices: list[int]) -> Columns:
    return {name: [column[index] for index in indices] for name, column in rows.items()}
