"""Lines in panels show the numbers that they were given."""

import pytest

from recurra.report.lines import Line, Panel, lines_figure, lines_numbers
from recurra.report.saving import png_bytes

pytestmark = pytest.mark.filterwarnings("error::UserWarning")  # matplotlib warns of glyphs that it lacks

PANELS = [
    Panel(
        "one",
        "steps",
        "size",
        [Line("a", [1, 2], [0.1, 0.01], [0.05, 0.005], [0.2, 0.02]), Line("b", [1, 2], [3, 4])],
        log_y=True,
    ),
    Panel(
        "two", "steps", "", [Line("b", [1, 2, 4], [5, 6, 7]), Line("taught", [1, 4], [5, 7], dashed=True)], log_x=True
    ),
]


def test_each_panel_has_its_lines_and_a_label_keeps_its_colour():
    figure = lines_figure(PANELS)
    one, two = figure.axes
    assert [line.get_xydata().tolist() for line in one.lines] == [[[1, 0.1], [2, 0.01]], [[1, 3], [2, 4]]]
    assert [line.get_xydata().tolist() for line in two.lines] == [[[1, 5], [2, 6], [4, 7]], [[1, 5], [4, 7]]]
    assert one.lines[1].get_color() == two.lines[0].get_color() == two.lines[1].get_color() != one.lines[0].get_color()
    assert (one.get_yscale(), two.get_xscale()) == ("log", "log")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert [tick.get_text() for tick in two.get_xticklabels()] == ["1", "2", "4"]
    assert png_bytes(figure)


def test_the_csv_has_every_point_with_its_interval():
    rows, header = lines_numbers(PANELS)
    assert header == ["panel", "line", "x", "y", "low", "high"]
    assert rows[:3] == [
        ["one", "a", 1, 0.1, 0.05, 0.2],
        ["one", "a", 2, 0.01, 0.005, 0.02],
        ["one", "b", 1, 3, None, None],
    ]
    assert len(rows) == 9
