from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.corpus import Rows, Window, cold_windows, cut_rows, window_lengths
from recurra.data.symbols import Symbols, fit_symbols
from recurra.nn.linear_cross_entropy import IGNORED

SYMBOLS = fit_symbols(["abc\n"], "char", vocabulary_size=9)
BEGIN = SYMBOLS.begin_id


def rows_read(rows: Rows, windows: list[Window]) -> list[list[int]]:
    """The targets of each row, one window after the other."""
    return [[int(t) for w in windows for t in w.targets[row] if t != IGNORED] for row in range(len(rows))]


@given(
    text=st.text(st.sampled_from("abc\n"), min_size=1, max_size=200),
    rows=st.integers(1, 7),
    length=st.integers(1, 30),
    seed=st.none() | st.integers(0, 5),
    varied=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_every_symbol_is_a_target_once_and_every_input_is_the_symbol_before(
    text: str, rows: int, length: int, seed: int | None, varied: bool, epoch: int
) -> None:
    ids = SYMBOLS.encode(text)
    cut = cut_rows(ids, rows, SYMBOLS)
    lengths = window_lengths(cut.steps, length, seed=seed, epoch=epoch, varied=varied and seed is not None)
    assert sum(lengths) == cut.steps
    windows = list(cut.windows(lengths))
    of_rows = rows_read(cut, windows)
    assert [i for row in of_rows for i in row] == ids.tolist()
    assert sum(window.num_targets for window in windows) == len(ids)
    for row, targets in enumerate(of_rows):
        inputs = [int(i) for w in windows for i, t in zip(w.inputs[row], w.targets[row], strict=True) if t != IGNORED]
        assert inputs == [BEGIN, *targets[:-1]]


def test_a_short_row_is_padded_at_its_end() -> None:
    rows = Rows(SYMBOLS.encode("abcab"), np.array([0, 3, 5]), BEGIN)
    first, second = rows.windows([2, 1])
    a, b, c = (int(i) for i in SYMBOLS.encode("abc"))
    assert first.inputs.tolist() == [[BEGIN, a], [BEGIN, a]]
    assert first.targets.tolist() == [[a, b], [a, b]]
    assert first.lengths is None
    assert second.inputs.tolist() == [[b], [BEGIN]]
    assert second.targets.tolist() == [[c], [IGNORED]]
    assert second.lengths is not None
    assert second.lengths.tolist() == [1, 0]
    assert second.num_targets == 1
    assert {second.inputs.dtype, second.targets.dtype, second.lengths.dtype} == {torch.int64}


def test_rows_that_go_on_read_the_symbol_before_them() -> None:
    ids = SYMBOLS.encode("abcab")
    rows = Rows(ids, np.array([0, 3, 5]), BEGIN, goes_on=True)
    first, second = rows.windows([2, 1])
    assert first.inputs[:, 0].tolist() == [BEGIN, ids[2]]
    assert first.inputs[:, 1].tolist() == [ids[0], ids[3]]
    assert [i for row in rows_read(rows, [first, second]) for i in row] == ids.tolist()


def test_rows_begin_with_lines_where_lines_are_near() -> None:
    text = ("abcabca" + "\n") * 1000
    rows = cut_rows(SYMBOLS.encode(text), 7, SYMBOLS)
    assert all(start % 8 == 0 for start in rows.starts)
    assert np.diff(rows.starts).max() - np.diff(rows.starts).min() <= 16
    unbroken = cut_rows(SYMBOLS.encode("abc" * 1000), 4, SYMBOLS)
    assert unbroken.starts.tolist() == [0, 750, 1500, 2250, 3000]


def test_a_short_text_has_fewer_rows() -> None:
    ids = SYMBOLS.encode("abcab")
    assert len(cut_rows(ids, 32, SYMBOLS, shortest=128)) == 1
    assert len(cut_rows(ids, 32, SYMBOLS, shortest=2)) == 2
    assert len(cut_rows(ids, 32, SYMBOLS)) == 5


def test_windows_begin_elsewhere_in_each_epoch_and_the_same_in_each_repeat() -> None:
    epochs = [window_lengths(1000, 100, seed=1, epoch=epoch) for epoch in range(20)]
    assert len({lengths[0] for lengths in epochs}) > 10
    assert all(1 <= lengths[0] <= 100 for lengths in epochs)
    assert all(set(lengths[1:-1]) == {100} for lengths in epochs)
    assert epochs[3] == window_lengths(1000, 100, seed=1, epoch=3)
    assert window_lengths(1000, 300) == [300, 300, 300, 100]
    assert window_lengths(50, 100, seed=1) == [50]


def test_varied_lengths_are_about_whole_or_about_half() -> None:
    lengths = np.array(window_lengths(2_000_000, 70, seed=0, varied=True)[1:-1])
    half = lengths < 52
    assert np.mean(half) == pytest.approx(0.05, abs=0.005)
    assert np.mean(lengths[half]) == pytest.approx(35, abs=0.5)
    assert np.mean(lengths[~half]) == pytest.approx(70, abs=0.2)
    assert np.std(lengths[~half]) == pytest.approx(5, abs=0.2)
    assert min(window_lengths(500, 4, seed=0, varied=True)[1:-1]) == 4


@pytest.mark.parametrize("size", [1, 11, 12, 13, 50])
def test_cold_windows_are_each_from_nothing(size: int) -> None:
    ids = SYMBOLS.encode(("abc\n" * 13)[:size])
    windows = list(cold_windows(ids, 4, 3, SYMBOLS))
    assert [int(t) for w in windows for t in w.targets.flatten() if t != IGNORED] == ids.tolist()
    assert all((window.inputs[:, 0] == BEGIN).all() for window in windows)
    assert max(window.inputs.shape[1] for window in windows) == min(4, size)
    assert all(len(window.inputs) <= 3 for window in windows)
    assert list(cold_windows(ids[:0], 4, 3, SYMBOLS)) == []


@pytest.mark.parametrize("unit", ["char", "byte", "bpe", "word"])
def test_windows_of_every_unit_fit_the_embedding(unit: str) -> None:
    text = "some words of a text\nand others of it\n" * 10
    symbols: Symbols = fit_symbols([text], unit, vocabulary_size=300)
    rows = cut_rows(symbols.encode(text), 3, symbols)
    for window in rows.windows(window_lengths(rows.steps, 7)):
        assert int(window.inputs.max()) < len(symbols)
        assert int(window.targets.max()) < len(symbols)
        assert not (window.targets == symbols.begin_id).any()
