"""Which runs may be compared, and what their rows are called."""

from __future__ import annotations

import pytest

from recurra.comparison.existing import check_comparable, grouped
from recurra.errors import SettingsError
from tests.comparison.trainings import training


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([training()], "one run is named, and two or more are compared"),
        ([training(), training()], "runs/lstm-0 is named twice; name each run once"),
        ([training(), training("lstm", 1), training(path="runs/../runs/lstm-0")], "is named twice"),
        (
            [training(), training(task="regress", path="b")],
            "runs/lstm-0 is a classify run and b a regress run; name runs of one task",
        ),
        (
            [training(data="a.csv"), training(path="b", data="b.csv", files=(("train", "b" * 64),))],
            "a.csv (aaaaaaaaaaaa) and b.csv (bbbbbbbbbbbb) have other fingerprints",
        ),
        ([training(), training(path="b", target="other")], "target is none and other"),
        ([training(), training(path="b", test=0.2)], "test is 0.1 and 0.2"),
        ([training(), training(path="b", test="t.csv")], "test is 0.1 and t.csv"),
        ([training(), training(path="b", files=())], "those of b came as Python objects, and the others from files"),
        (
            [
                training(files=(), result={"train_examples": 80}),
                training(path="b", files=(), result={"train_examples": 90}),
            ],
            "train_examples is 80 and 90",
        ),
    ],
)
def test_runs_that_say_nothing_of_each_other_are_refused_by_the_difference(runs: list, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(SettingsError) as caught:
        check_comparable(runs)
    assert words in str(caught.value)


def test_the_same_files_elsewhere_are_the_same_data() -> None:
    files = (("train", "a" * 64), ("test", "c" * 64))
    here = training(data="a.csv", test="c.csv", files=files)
    there = training(path="b", data="/x/a.csv", test="/x/c.csv", files=files[::-1])
    check_comparable([here, there])


def test_seeds_of_equal_settings_are_one_row_in_their_order() -> None:
    groups = grouped([training("lstm", 2), training("gru", 0), training("lstm", 0), training("lstm", 1)])
    assert {name: [run.seed for run in group] for name, group in groups.items()} == {"lstm": [0, 1, 2], "gru": [0]}


def test_a_row_is_named_by_its_cell_and_what_differs() -> None:
    runs = [
        training(path="a", hidden_size=64),
        training(path="b", hidden_size=32, pooling="mean"),
        training("gru", path="c", hidden_size=32, pooling="mean", threads=2, checkpoint_every=1),
    ]
    assert list(grouped(runs)) == [
        "lstm hidden_size=64 pooling=last",
        "lstm hidden_size=32 pooling=mean",
        "gru hidden_size=32 pooling=mean",
    ]


def test_one_training_made_twice_is_two_rows_told_apart_by_their_folders() -> None:
    assert list(grouped([training(path="a"), training(path="b")])) == ["lstm (a)", "lstm (b)"]
