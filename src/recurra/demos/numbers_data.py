"""Numbers in English and French words, by the library num2words: some to train on, others never seen, and longer ones.

97    ninety-seven    quatre-vingt-dix-sept
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from recurra.optional import require
from recurra.randomness import numpy_generator

Columns = dict[str, list[str]]

MOST_DIGITS = 6
MOST_WORDS = 9  # English words of a number that is trained on; below a million they go to 11
ALWAYS_TRAINED = range(21)  # words of their own, that no longer number need hold
NEVER_TRAINED = (97,)  # the number of the picture


class NumberTables(NamedTuple):
    """Tables with the columns source (English) and target (French).

    train: what is learned from. valid, test: numbers like them, none of which is in training. longer: numbers with more
    English words than any in training.
    """

    train: Columns
    valid: Columns
    test: Columns
    longer: Columns


def tables(seed: int, count: int = 10_000, aside: int = 500) -> NumberTables:
    """Numbers below a million, drawn without return: as many of each number of digits as there are, or are wanted.

    Args:
        seed: decides the numbers, on every machine alike.
        count: to train on.
        aside: in each of the other tables; 97 is among the test numbers.

    Raises:
        MissingExtra: num2words is not installed.
    """
    rng = numpy_generator(seed, "numbers")
    drawn: dict[int, None] = {}  # in the order they were drawn
    longer: dict[int, None] = {}
    wanted = count + 2 * aside
    while len(drawn) < wanted or len(longer) < aside:
        digits = int(rng.integers(1, MOST_DIGITS + 1))
        number = int(rng.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))
        if number in ALWAYS_TRAINED or number in NEVER_TRAINED:
            continue
        (drawn if len(words(in_english(number))) <= MOST_WORDS else longer)[number] = None
    order = rng.permutation(np.array(list(drawn))[:wanted]).tolist()
    always, never = list(ALWAYS_TRAINED), list(NEVER_TRAINED)
    valid, test, train = order[:aside], order[aside : 2 * aside], order[2 * aside :]
    return NumberTables(
        number_pairs([*always, *train][:count]),
        number_pairs(valid),
        number_pairs([*never, *test][:aside]),
        number_pairs(list(longer)[:aside]),
    )


def number_pairs(numbers: list[int]) -> Columns:
    """Numbers in both languages.

    Raises:
        MissingExtra: num2words is not installed.
    """
    return {"source": list(map(in_english, numbers)), "target": list(map(in_french, numbers))}


def in_english(number: int) -> str:
    """97 → ninety-seven"""
    return _in_words(number, "en")


def in_french(number: int) -> str:
    """97 → quatre-vingt-dix-sept"""
    return _in_words(number, "fr")


def words(text: str) -> list[str]:
    """The words of a number, cut at blanks, hyphens and commas."""
    return re.findall(r"\w+", text)


def _in_words(number: int, language: str) -> str:
    return str(require("num2words", extra="demo").num2words(number, lang=language))
