"""The heat-map shows the weights that it was given, under labels that stay text."""

from itertools import pairwise

import numpy as np
import pytest

from recurra.errors import ShapeError
from recurra.report.attention import BLANK, LABELLED, attention_heatmap, attention_numbers, attention_picture
from recurra.report.saving import png_bytes

WEIGHTS = np.array([[0.88, 0.1, 0.02], [0.004, 0.496, 0.5]], dtype=np.float32)
SOURCE, TARGET = ["ninety", "-", "<end>"], ["quatre", "vingt"]

pytestmark = pytest.mark.filterwarnings("error::UserWarning")  # matplotlib warns of glyphs that it lacks


def even(rows, columns):
    return np.full((rows, columns), 1 / columns, dtype=np.float32)


def labels(count):
    return [f"token {index}" for index in range(count)]


def test_a_row_is_a_token_of_the_answer_and_a_column_one_of_the_source():
    axes = attention_heatmap(WEIGHTS, SOURCE, TARGET).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)
    assert [label.get_text() for label in axes.get_xticklabels()] == SOURCE
    assert [label.get_text() for label in axes.get_yticklabels()] == TARGET
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("source", "answer")


def test_the_texts_of_large_cells_are_whole_per_cents_and_what_is_below_one_is_left_out():
    axes = attention_heatmap(WEIGHTS, SOURCE, TARGET).axes[0]
    texts = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "88", (1, 0): "10", (2, 0): "2", (1, 1): "50", (2, 1): "50"}  # (source, answer)


def test_colours_follow_the_square_root_of_a_weight_from_nothing_to_all():
    norm = attention_heatmap(WEIGHTS, SOURCE, TARGET).axes[0].images[0].norm
    assert [float(norm(value)) for value in (0, 0.25, 1)] == [0, 0.5, 1]


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (13, 8), (30, 25), (60, 60), (5, 60), (60, 5)])
def test_from_five_to_sixty_tokens_each_is_named_in_a_legible_size_that_its_cell_holds(rows, columns):
    figure = attention_heatmap(even(rows, columns), labels(columns), labels(rows))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    assert len(ticks) == rows + columns
    cell = min(axes.bbox.width / columns, axes.bbox.height / rows)
    assert all(6.5 <= tick.get_fontsize() <= cell / figure.dpi * 72 for tick in ticks)
    assert axes.bbox.width / columns == pytest.approx(axes.bbox.height / rows, rel=1e-6)
    numbered = max(rows, columns) <= 13
    assert bool(axes.texts) == numbered and len(figure.axes) == (1 if numbered else 2)  # else there is a scale
    places = [tick.get_window_extent() for tick in axes.get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in pairwise(places))
    width, height = figure.get_size_inches()
    assert width < 11.5 and height < 11.5


def test_labels_stay_within_the_picture():
    names = ["incomprehensibilities", *labels(10)]
    figure = attention_heatmap(even(11, 11), names, names)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        box = label.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height


def test_with_more_tokens_than_can_be_named_some_are_and_the_picture_grows_no_more():
    figure = attention_heatmap(even(1000, 1000), labels(1000), labels(1000))
    assert len(figure.axes[0].get_xticks()) <= LABELLED
    assert max(figure.get_size_inches()) < 12


def test_labels_are_no_formulas_boxes_stand_for_unknown_letters_and_a_blank_can_be_seen():
    names = ["$5 and \\frac{$", "你好", "\ud800\0<b>", " the", " "]
    figure = attention_heatmap(even(5, 5), names, names)
    assert png_bytes(figure)
    drawn = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert drawn == ["$5 and \\frac{$", "□□", "��<b>", "the", BLANK]


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_an_empty_answer_or_source_can_be_drawn(rows, columns):
    weights = np.zeros((rows, columns))
    assert png_bytes(attention_heatmap(weights, labels(columns), labels(rows)))
    assert attention_numbers(weights, labels(columns), labels(rows))[0] == [
        [name, *([0.0] * columns)] for name in labels(rows)
    ]


def test_weights_the_other_way_round_are_refused():
    with pytest.raises(ShapeError, match=r"weights are \[3, 2\], expected \[2, 3\].*other way round"):
        attention_heatmap(WEIGHTS.T, SOURCE, TARGET)


def test_the_numbers_name_each_row_and_column_as_they_are():
    rows, header = attention_numbers(np.array([[0.25, 0.75]]), [" a", "<end>"], ["b "])
    assert (rows, header) == ([["b ", 0.25, 0.75]], ["answer \\ source", " a", "<end>"])


def test_the_picture_is_kept_with_its_numbers_and_says_where_boxes_are(tmp_path):
    picture = attention_picture(tmp_path, "looked", "=a title", WEIGHTS, ["=1", "你", "<end>"], TARGET)
    assert (tmp_path / "plots" / "looked.png").read_bytes() == picture.png
    written = (tmp_path / "plots" / "looked.csv").read_text().splitlines()
    assert written[0] == "answer \\ source,'=1,你,<end>"
    assert [float(cell) for cell in written[1].split(",")[1:]] == WEIGHTS[0].astype(float).tolist()
    assert picture.title == "=a title" and picture.alt == "Attention of 2 tokens over 3"
    assert "looked.csv has them" in picture.caption
    plain = attention_picture(tmp_path, "plain", "a", WEIGHTS, SOURCE, TARGET)
    assert "Boxes" not in plain.caption
