"""Spans of tags as conlleval reads them: by hand, and against its rules written out as it has them."""

from __future__ import annotations

import random

import pytest

from recurra.data.spans import Span, all_legal, are_span_tags, legal_tags, spans_of
from recurra.metrics import SpanMetrics


def spans(text: str) -> list[tuple[str, int, int]]:
    return [tuple(one) for one in spans_of(text.split())]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-A I-A O B-A", [("A", 0, 2), ("A", 3, 4)]),
        ("B-A B-A", [("A", 0, 1), ("A", 1, 2)]),
        ("I-A I-A O", [("A", 0, 2)]),  # IOB1, or an answer that begins with I
        ("I-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        ("B-A I-B I-B", [("A", 0, 1), ("B", 1, 3)]),
        ("S-A B-A I-A E-A S-B", [("A", 0, 1), ("A", 1, 4), ("B", 4, 5)]),
        ("B-A E-A E-A", [("A", 0, 2), ("A", 2, 3)]),
        ("U-A B-A L-A", [("A", 0, 1), ("A", 1, 3)]),
        ("B-date-of-birth I-date-of-birth", [("date-of-birth", 0, 2)]),
    ],
)
def test_spans_by_hand(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert spans(tags) == expected


def conlleval(tags: list[str]) -> set[tuple[str, int, int]]:
    """The two questions of conlleval.pl, startOfChunk and endOfChunk, as its lines ask them."""
    found, start = set(), 0
    parts = [("O", "")] + [(t[0], t[2:]) if t != "O" else ("O", "") for t in tags] + [("O", "")]
    for at in range(1, len(parts)):
        (was, was_kind), (tag, kind) = parts[at - 1], parts[at]
        ends = (
            (was == "B" and tag in "BSO")
            or (was == "I" and tag in "BSO")
            or was in "ES"
            or (was != "O" and was_kind != kind)
        )
        if was != "O" and ends:
            found.add((was_kind, start, at - 1))
        begins = tag in "BS" or (was in "ESO" and tag in "EI") or (tag != "O" and was_kind != kind)
        if tag != "O" and begins:
            start = at - 1
    return found


def test_random_tags_are_read_as_conlleval_reads_them() -> None:
    draw = random.Random(0)
    names = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in "AB")]
    for _ in range(2000):
        tags = [draw.choice(names) for _ in range(draw.randint(0, 8))]
        assert set(map(tuple, spans_of(tags))) == conlleval(tags), tags


def test_tags_that_write_spans_are_told_from_others() -> None:
    assert are_span_tags(["O", "B-A", "I-A"]) and are_span_tags(["B-A", "I-A"])
    assert not are_span_tags(["O"]) and not are_span_tags(["NOUN", "VERB"]) and not are_span_tags(["O", "B"])


def test_the_rules_of_bio_and_bioes() -> None:
    names = ["O", "B-A", "I-A", "I-B"]
    first, following, last = legal_tags(names)
    assert first.tolist() == [True, True, False, False] and last.all()
    assert following.tolist() == [
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, False],
        [True, True, False, True],
    ]
    names = ["O", "B-A", "I-A", "E-A", "S-A"]
    first, following, last = legal_tags(names)
    assert first.tolist() == [True, True, False, False, True] and last.tolist() == [True, False, False, True, True]
    assert following[1].tolist() == [False, False, True, True, False]
    assert following[3].tolist() == [True, True, False, False, True]
    assert all_legal([["B-A", "I-A"], []], names[:3]) and not all_legal([["I-A", "I-A"]], names[:3])


def test_span_scores_by_hand() -> None:
    metrics = SpanMetrics()
    metrics.update(spans_of(["B-A", "I-A", "O", "B-B"]), spans_of(["B-A", "I-A", "O", "B-A"]))
    metrics.update(spans_of(["B-A", "O"]), spans_of(["B-A", "I-A"]))
    metrics.update([], [])
    assert metrics.compute() == {"span_f1": 1 / 3, "span_precision": 1 / 3, "span_recall": 1 / 3}
    assert metrics.per_kind() == {
        "A": {"precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5, "support": 3},
        "B": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
    }
    assert SpanMetrics().compute() == {"span_f1": 0.0, "span_precision": 0.0, "span_recall": 0.0}
    assert Span("A", 0, 2) == ("A", 0, 2)
