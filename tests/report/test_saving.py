"""A picture is written with its numbers, and neither runs nor varies."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.report.plots import length_histogram, length_numbers
from recurra.report.saving import csv_text, png_bytes, save_plot


def test_a_plot_is_a_png_and_a_csv_beside_each_other(tmp_path):
    lengths = [1, 2, 2, 4]
    png = save_plot(tmp_path, "lengths", length_histogram(lengths), *length_numbers(lengths))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert (tmp_path / "plots/lengths.png").read_bytes() == png
    assert (tmp_path / "plots/lengths.csv").read_text() == "from,to,sequences\n1,1,1\n2,2,2\n3,3,0\n4,4,1\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["lengths.csv", "lengths.png", "plots"]


def test_equal_figures_give_equal_bytes_that_name_no_software():
    first, second = (png_bytes(length_histogram([3, 4, 9])) for _ in range(2))
    assert first == second
    assert b"atplotlib" not in first
    assert first != png_bytes(length_histogram([3, 4, 4]))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_looks_like_a_formula_starts_with_an_apostrophe(start):
    text = csv_text([[f"{start}cmd|' /C calc'!A0", "plain"]], [f"{start}header", "x"])
    header, row = read(text)
    shown = start.replace("\r", "\n")
    assert header == [f"'{shown}header", "x"]
    assert row == [f"'{shown}cmd|' /C calc'!A0", "plain"]


def test_numbers_stay_numbers():
    assert csv_text([[-1, -0.5, None, 1e-07]], ["a", "b", "c", "d"]) == "a,b,c,d\n-1,-0.5,,1e-07\n"


@example(["a\rb\n", '"', "\r\n", ","])
@given(st.lists(st.text(st.characters(), min_size=1), min_size=1, max_size=4))
def test_any_text_gives_one_row_of_valid_utf_8(cells):
    text = csv_text([cells], ["column"] * len(cells)).encode("utf-8").decode("utf-8")
    _, row = read(text)
    assert len(row) == len(cells)
    for cell, given_cell in zip(row, cells, strict=True):
        if given_cell.isalnum():
            assert cell == given_cell


def read(text):
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))
