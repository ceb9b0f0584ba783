"""The experiment on memory."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.lab.memory import CELLS, PAIRS, PROBLEMS, MemorySizes, compare, sentence, train, training_lengths
from recurra.report.page import SAMPLE_LENGTH

SIZES = MemorySizes((3, 6), (3, 6), hidden_size=16, batch_size=16, updates=150, seeds=2, test_rows=256)


def test_a_short_row_is_learned_and_no_training_is_a_guess() -> None:
    adding = PROBLEMS[0]
    assert train(adding, "lstm", 0, SIZES)[0] > 0.6
    untrained = MemorySizes((3, 6), (3, 6), hidden_size=16, updates=0, seeds=2, test_rows=2048)
    assert all(share == pytest.approx(0, abs=0.1) for share in train(PROBLEMS[1], "gru", 0, untrained))


def test_training_lengths_stay_between_the_ends_and_favour_the_short() -> None:
    sizes = MemorySizes((10, 80), updates=2000)
    lengths = training_lengths(PROBLEMS[0], 0, sizes)
    assert (min(lengths), max(lengths), len(lengths)) == (10, 80, 2000)
    assert np.median(lengths) == pytest.approx((10 * 81) ** 0.5, rel=0.06)
    assert lengths == training_lengths(PROBLEMS[0], 0, sizes) != training_lengths(PROBLEMS[0], 1, sizes)


def shares(lstm: list[list[float]], others: list[list[float]]) -> dict[tuple[str, str], np.ndarray]:
    return {
        (problem.name, cell): np.array(lstm if cell == "lstm" else others) for problem in PROBLEMS for cell in CELLS
    }


def test_a_difference_that_every_seed_shows_is_told() -> None:
    measured = shares([[0.9, 0.8], [0.9, 0.82], [0.91, 0.81]], [[0.5, 0.1], [0.5, 0.12], [0.5, 0.11]])
    pairs = compare(measured)
    assert [one.mean for one in pairs["adding", "lstm", "rnn"]] == pytest.approx([-1.21 / 3, -0.7])
    said = sentence(measured, pairs, MemorySizes((1, 3), (3, 6)))
    assert said == (
        "On adding and copying at 3 steps, the most in training, an lstm has 0.90 and 0.90 of the best score; beside "
        "it rnn -0.40 and -0.40, gru -0.40 and -0.40, chrono -0.40 and -0.40; at 6 steps it has 0.81 and 0.81."
    )


def test_a_difference_that_seeds_disagree_on_is_none_found() -> None:
    measured = shares([[0.9, 0.8], [0.9, 0.2], [0.9, 0.5]], [[0.9, 0.2], [0.9, 0.8], [0.9, 0.5]])
    said = sentence(measured, compare(measured), MemorySizes((1, 6), (3, 6)))
    assert said.count("no difference found") == 2 * len(PAIRS)
    assert len(said) <= SAMPLE_LENGTH, "the page would cut it"
