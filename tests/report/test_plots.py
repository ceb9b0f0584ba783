"""The pictures show the numbers that they were given."""

import matplotlib as mpl
import numpy as np
import pytest

from recurra.report.plots import (
    best_evaluation,
    confusion,
    confusion_numbers,
    curves,
    curves_numbers,
    image_numbers,
    images,
    length_histogram,
    length_numbers,
    scatter,
    scatter_numbers,
)
from recurra.report.saving import png_bytes

HISTORY = [
    {"step": 10, "epoch": 1, "train_loss": 0.9, "valid_loss": 0.8, "valid_accuracy": 0.5},
    {"step": 20, "epoch": 2, "train_loss": 0.5, "valid_loss": 0.7, "valid_accuracy": 0.7},
    {"step": 30, "epoch": 3, "train_loss": 0.3, "valid_loss": 0.9, "valid_accuracy": 0.7},
]

pytestmark = pytest.mark.filterwarnings("error::UserWarning")  # matplotlib warns of glyphs that it lacks


def test_the_curves_are_the_losses_and_the_metric_with_the_first_best_evaluation_marked():
    losses, scores = curves(HISTORY, "accuracy").axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in losses.lines[:2]}
    assert drawn == {
        "training": [[10, 0.9], [20, 0.5], [30, 0.3]],
        "validation": [[10, 0.8], [20, 0.7], [30, 0.9]],
    }
    assert scores.lines[0].get_xydata().tolist() == [[10, 0.5], [20, 0.7], [30, 0.7]]
    assert scores.lines[-1].get_xydata().tolist() == [[20, 0.7]]
    assert scores.get_title(loc="left") == "accuracy: best 0.7 at step 20"


def test_where_the_loss_is_the_metric_there_is_one_picture_with_its_best_marked():
    (losses,) = curves(HISTORY, "loss", higher_is_better=False).axes
    assert [line.get_label() for line in losses.lines[:2]] == ["training", "validation"]
    assert losses.lines[-1].get_xydata().tolist() == [[20, 0.7]]
    assert losses.get_title(loc="left") == "loss: best 0.7 at step 20"
    assert curves_numbers(HISTORY[:1], "loss") == ([[10, 0.9, 0.8]], ["step", "train_loss", "valid_loss"])


def test_the_best_evaluation_follows_the_direction_of_the_metric_and_skips_what_is_no_number():
    assert best_evaluation(HISTORY, "loss", higher_is_better=False) == 1
    assert best_evaluation(HISTORY, "loss") == 2
    assert best_evaluation([{"valid_loss": float("nan")}, {}, {"valid_loss": 2.0}], "loss") == 2
    assert best_evaluation([{"step": 1}], "loss") is None


@pytest.mark.parametrize("history", [[], [{"step": 1}], HISTORY[:1], [{"step": 1, "train_loss": None}]])
def test_a_history_with_little_in_it_can_be_drawn(history):
    assert png_bytes(curves(history, "accuracy"))


def test_the_numbers_of_the_curves_are_the_drawn_columns():
    rows, header = curves_numbers([*HISTORY[:1], {"step": 20}], "accuracy")
    assert header == ["step", "train_loss", "valid_loss", "valid_accuracy"]
    assert rows == [[10, 0.9, 0.8, 0.5], [20, None, None, None]]


def test_the_colours_of_a_confusion_are_shares_of_the_true_class_and_the_texts_are_its_counts():
    matrix = np.array([[6, 2, 0], [0, 0, 0], [1, 0, 3]])
    axes = confusion(matrix, ["a", "b", "c"]).axes[0]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25, 0], [0, 0, 0], [0.25, 0, 0.75]]
    texts = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "6", (1, 0): "2", (0, 2): "1", (2, 2): "3"}  # (prediction, truth)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize(("classes", "counted", "labelled"), [(2, 2, 2), (20, 20, 20), (21, 0, 21), (300, 0, 100)])
def test_counts_are_written_up_to_twenty_classes_and_labels_thinned_beyond_what_fits(classes, counted, labelled):
    axes = confusion(np.eye(classes, dtype=np.int64), [f"class {index}" for index in range(classes)]).axes[0]
    assert len(axes.texts) == counted
    assert len(axes.get_yticks()) == labelled


def test_labels_are_never_read_as_formulas_and_letters_that_the_font_lacks_are_boxes():
    names = ["$5 and \\frac{$", "你好 🎬", "\ud800\0<b>", "x" * 10_000]
    figure = confusion(np.eye(4, dtype=np.int64), names)
    assert png_bytes(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["$5 and \\frac{$", "□□ □", "��<b>"]
    assert len(labels[3]) == 30


def test_the_numbers_of_a_confusion_name_the_true_class_of_each_row():
    rows, header = confusion_numbers(np.array([[6, 2], [0, 1]]), ["a", "b"])
    assert (rows, header) == ([["a", 6, 2], ["b", 0, 1]], ["true \\ predicted", "a", "b"])


@pytest.mark.parametrize("lengths", [[0], [1, 2, 2, 4], [5, 400, 17, 93] * 3, list(range(41)), [1, 100_000]])
def test_every_sequence_is_in_one_bar_of_at_most_forty(lengths):
    rows, header = length_numbers(lengths)
    assert header == ["from", "to", "sequences"]
    assert len(rows) <= 40
    assert sum(count for _, _, count in rows) == len(lengths)
    for first, last, count in rows:
        assert count == sum(first <= length <= last for length in lengths)
    heights = [bar.get_height() for bar in length_histogram(lengths).axes[0].patches]
    assert heights == [count for _, _, count in rows]


def test_no_lengths_give_an_empty_picture():
    assert length_numbers([]) == ([], ["from", "to", "sequences"])
    assert png_bytes(length_histogram([]))


def test_images_stand_in_a_grid_with_their_captions():
    pictures = [np.full((8, 8), value, dtype=np.float32) for value in (0, 0.5, 1)]
    figure = images(pictures, ["0", "5, read as $3", "1"], columns=2)
    assert png_bytes(figure)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.images[0].get_array().mean() for axes in shown] == [0, 0.5, 1]
    assert [axes.get_xlabel() for axes in shown] == ["0", "5, read as $3", "1"]
    rows, header = image_numbers(pictures, ["a", "b", "c"])
    assert [row[:2] for row in rows] == [["a", 0.0], ["b", 0.5], ["c", 1.0]]
    assert (len(header), header[-1]) == (65, "pixel 63")


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(mpl.rcParams)
    png_bytes(curves(HISTORY, "accuracy"))
    png_bytes(confusion(np.eye(3, dtype=np.int64), ["a", "b", "c"]))
    assert dict(mpl.rcParams) == before


def test_a_scatter_has_a_point_a_row_and_the_line_of_equal_numbers():
    truths, values = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    line, points = scatter(truths, values).axes[0].lines
    assert points.get_xydata().tolist() == [[1.0, 1.5], [2.0, 2.0], [4.0, 3.0]]
    assert line.get_xydata().tolist() == [[1.0, 1.0], [4.0, 4.0]]
    assert scatter_numbers(truths, values)[0] == points.get_xydata().tolist()
    assert png_bytes(scatter(truths[:0], values[:0]))
