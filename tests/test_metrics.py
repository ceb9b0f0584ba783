"""Metrics fed batch by batch equal scikit-learn's over all rows at once."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    hamming_loss,
    mean_absolute_error,
    precision_recall_fscore_support,
    r2_score,
    root_mean_squared_error,
)

from recurra.errors import ShapeError
from recurra.metrics import ClassificationMetrics, MultilabelMetrics, RegressionMetrics

pytestmark = pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn, of a legal case

EXACT = {"rel": 0, "abs": 1e-12}


@st.composite
def labelled_rows(draw):
    classes = draw(st.integers(1, 6))
    label = st.integers(0, classes - 1)
    rows = draw(st.lists(st.tuples(label, label), min_size=1, max_size=40))
    cuts = draw(st.lists(st.integers(0, len(rows)), max_size=4))
    return classes, np.array(rows), sorted(cuts)


@st.composite
def labelled_cells(draw):
    labels = draw(st.integers(2, 4))
    cells = st.lists(st.booleans(), min_size=2 * labels, max_size=2 * labels)
    rows = draw(st.lists(cells, min_size=1, max_size=20))
    cuts = draw(st.lists(st.integers(0, len(rows)), max_size=3))
    return np.array(rows).reshape(len(rows), 2, labels), sorted(cuts)


@given(labelled_rows())
def test_classification_in_any_batches_equals_scikit_learn_on_all_rows(case):
    classes, rows, cuts = case
    metrics = ClassificationMetrics(classes)
    for batch in np.split(rows, cuts):  # repeated cuts give batches of no rows
        metrics.update(torch.from_numpy(batch[:, 1]), torch.from_numpy(batch[:, 0]))
    truth, predicted = rows[:, 0], rows[:, 1]
    labels = range(classes)
    assert metrics.confusion.tolist() == confusion_matrix(truth, predicted, labels=labels).tolist()
    assert metrics.compute() == {
        "accuracy": pytest.approx(accuracy_score(truth, predicted), **EXACT),
        "macro_f1": pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0), **EXACT),
    }
    expected = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    for row, *values in zip(metrics.per_class(), *expected, strict=True):
        assert list(row) == ["precision", "recall", "f1", "support"]
        assert list(row.values()) == pytest.approx(values, **EXACT)


@given(labelled_cells())
def test_several_labels_in_any_batches_equal_scikit_learn_on_all_rows(case):
    rows, cuts = case
    metrics = MultilabelMetrics(rows.shape[2])
    for batch in np.split(rows, cuts):
        metrics.update(torch.from_numpy(batch[:, 1]), torch.from_numpy(batch[:, 0]))
    truth, predicted = rows[:, 0], rows[:, 1]
    assert metrics.compute() == {
        "accuracy": pytest.approx(accuracy_score(truth, predicted), **EXACT),
        "macro_f1": pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0), **EXACT),
        "micro_f1": pytest.approx(f1_score(truth, predicted, average="micro", zero_division=0), **EXACT),
        "hamming_accuracy": pytest.approx(1 - hamming_loss(truth, predicted), **EXACT),
    }
    expected = precision_recall_fscore_support(truth, predicted, zero_division=0)
    for row, *values in zip(metrics.per_class(), *expected, strict=True):
        assert list(row.values()) == pytest.approx(values, **EXACT)


def test_a_class_that_occurs_nowhere_is_no_part_of_macro_f1():
    metrics = ClassificationMetrics(3)
    metrics.update(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]))
    assert metrics.compute()["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2, **EXACT)
    assert metrics.per_class()[2] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_nothing_seen_is_zero_and_never_nan():
    single, several = ClassificationMetrics(3), MultilabelMetrics(2)
    single.update(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    several.update(torch.zeros(0, 2, dtype=torch.bool), torch.zeros(0, 2, dtype=torch.bool))
    assert single.compute() == {"accuracy": 0.0, "macro_f1": 0.0}
    assert several.compute() == {"accuracy": 0.0, "macro_f1": 0.0, "micro_f1": 0.0, "hamming_accuracy": 0.0}


@pytest.mark.parametrize(
    ("predicted", "target", "words"),
    [
        (torch.tensor([0, 3]), torch.tensor([0, 1]), "predictions lie between 0 and 3, expected 0 to 2"),
        (torch.tensor([0, 1]), torch.tensor([0, -1]), "targets lie between -1 and 0, expected 0 to 2"),
        (torch.tensor([0, 1]), torch.tensor([0]), r"shape \[2\] and targets \[1\]"),
        (torch.tensor([0.5, 1]), torch.tensor([0, 1]), r"predictions are torch.float32, .*argmax"),
    ],
)
def test_labels_that_do_not_fit_are_refused(predicted, target, words):
    metrics = ClassificationMetrics(3)
    with pytest.raises(ShapeError, match=words):
        metrics.update(predicted, target)
    assert not metrics.confusion.any()


@pytest.mark.parametrize(
    ("predicted", "target", "words"),
    [
        (torch.ones(2, 2), torch.ones(2, 2) > 0, r"predictions are torch.float32 of shape \[2, 2\]"),
        (torch.ones(2, 2) > 0, torch.ones(2, 3) > 0, r"targets are torch.bool of shape \[2, 3\], .*\[N, 2\]"),
        (torch.ones(1, 2) > 0, torch.ones(2, 2) > 0, "1 rows of predictions, expected 2"),
    ],
)
def test_several_labels_that_do_not_fit_are_refused(predicted, target, words):
    with pytest.raises(ShapeError, match=words):
        MultilabelMetrics(2).update(predicted, target)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=30), st.integers(1, 7))
def test_numbers_in_batches_equal_scikit_learn_over_all_rows(rows, size):
    predicted, target = (torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True))
    metrics = RegressionMetrics()
    for start in range(0, len(rows), size):
        metrics.update(predicted[start : start + size], target[start : start + size])
    found = metrics.compute()
    assert found["mae"] == pytest.approx(mean_absolute_error(target, predicted), rel=1e-9)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(target, predicted), rel=1e-9)
    if np.ptp(target.numpy()) > 1e-3:
        assert found["r2"] == pytest.approx(r2_score(target, predicted), rel=1e-6, abs=1e-9)


def test_numbers_that_do_not_fit_are_refused_and_none_at_all_are_zeros():
    metrics = RegressionMetrics()
    with pytest.raises(ShapeError, match=r"shape \[2, 1\] and targets \[2\]"):
        metrics.update(torch.ones(2, 1), torch.ones(2))
    assert metrics.compute() == {"mae": 0.0, "rmse": 0.0, "r2": 0.0}
    metrics.update(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 3.0]))
    assert metrics.compute()["r2"] == 0.0
