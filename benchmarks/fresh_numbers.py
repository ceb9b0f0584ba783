"""The numbers demo on numbers that no choice of its settings has seen.

    recurra demo numbers --out DEMO
    python benchmarks/fresh_numbers.py DEMO [--seed 12345]

5,000 numbers below a million and 2,000 with more words than any in training, drawn anew, none of them in a table of the
demo: the share that comes out letter by letter, and some that do not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import recurra
from recurra.demos import numbers_data
from recurra.demos.numbers import SEED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of the demo")
    parser.add_argument("--seed", type=int, default=12345)
    asked = parser.parse_args()
    run = recurra.load(asked.demo / "run")
    for name, chosen in drawn(asked.seed, {"as in training": 5000, "longer": 2000}).items():
        pairs = numbers_data.number_pairs(chosen)
        answers = [answer.text for answer in run.predict(pairs["source"])]
        wrong = [row for row in zip(pairs["source"], pairs["target"], answers, strict=True) if row[1] != row[2]]
        print(f"{name}: {100 * (1 - len(wrong) / len(chosen)):.2f} % of {len(chosen):,}")
        for source, truth, answer in wrong[:5]:
            print(f"  {source} → {answer}, not {truth}")


def drawn(seed: int, wanted: dict[str, int]) -> dict[str, list[int]]:
    """Numbers of one to six digits, as many of each count of digits as there are left, or are wanted."""
    known = {source for table in numbers_data.tables(SEED) for source in table["source"]}
    rng, found = np.random.default_rng(seed), {name: dict[int, None]() for name in wanted}
    while any(len(found[name]) < wanted[name] for name in wanted):
        digits = int(rng.integers(1, numbers_data.MOST_DIGITS + 1))
        number = int(rng.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))
        text = numbers_data.in_english(number)
        if text not in known:
            short = len(numbers_data.words(text)) <= numbers_data.MOST_WORDS
            found["as in training" if short else "longer"][number] = None
    return {name: list(numbers)[: wanted[name]] for name, numbers in found.items()}


if __name__ == "__main__":
    main()
