"""Groups that never straddle a split: laws of the cut, and the refusals around it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.cli.main import main
from recurra.data.partition import Given, Parts, partition
from recurra.data.splits import cut_groups
from recurra.errors import DataError
from recurra.settings.groups import DataSettings

GROUPS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=0, max_size=150)


def people(count: int, rows: int) -> dict[str, list[Any]]:
    """Texts by people who each write some of the rows, of both labels."""
    draw = random.Random(0)
    found: dict[str, list[Any]] = {"text": [], "label": [], "author": []}
    for number in range(count * rows):
        found["text"].append(f"{draw.choice(['so', 'it', 'goes'])} {number}")
        found["label"].append(draw.choice(["good", "bad"]))
        found["author"].append(f"p{number % count}")
    return found


def authors(parts: Parts) -> list[set[str]]:
    return [set(table.column("author")) for table in (parts.train, parts.valid, parts.test)]


@given(GROUPS, st.floats(0.01, 0.99), st.integers(0, 2**64), st.booleans())
def test_every_group_is_wholly_on_one_side(
    rows: list[tuple[int, str]], fraction: float, seed: int, stratified: bool
) -> None:
    groups = [group for group, _ in rows]
    rest, part = cut_groups(groups, fraction, seed, [label for _, label in rows] if stratified else None)
    assert sorted(rest + part) == list(range(len(rows)))
    assert rest == sorted(rest) and part == sorted(part)
    assert not {groups[row] for row in rest} & {groups[row] for row in part}
    assert bool(part) == (len(set(groups)) > 1)
    assert rest or not rows


@given(st.permutations(list(range(60))), st.integers(0, 9))
def test_the_order_of_rows_says_nothing(order: list[int], seed: int) -> None:
    groups = [f"g{row % 20}" for row in range(60)]
    labels = ["a" if row % 3 else "b" for row in range(60)]
    chosen = {groups[row] for row in cut_groups(groups, 0.2, seed, labels)[1]}
    shuffled = cut_groups([groups[row] for row in order], 0.2, seed, [labels[row] for row in order])[1]
    assert {groups[order[place]] for place in shuffled} == chosen


def test_parts_and_labels_come_near_their_shares() -> None:
    draw = random.Random(1)
    groups, labels = [], []
    for group in range(200):
        common = draw.random()
        for _ in range(draw.randint(1, 12)):
            groups.append(group)
            labels.append("a" if draw.random() < common else draw.choice("bc"))
    total = Counter(labels)
    for seed in range(10):
        part = Counter(labels[row] for row in cut_groups(groups, 0.1, seed, labels)[1])
        assert abs(part.total() - 0.1 * total.total()) <= 3
        assert all(abs(part[label] - 0.1 * count) <= 12 for label, count in total.items())


def test_groups_of_one_row_are_cut_as_rows_are() -> None:
    labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 10
    part = cut_groups(list(range(160)), 0.1, 0, labels)[1]
    assert Counter(labels[row] for row in part) == {"a": 10, "b": 5, "c": 1}
    many = [f"l{row // 5}" for row in range(500)]  # half a row of each label is wanted: half the labels give one
    assert len(cut_groups(list(range(500)), 0.1, 0, many)[1]) == 50


def test_a_label_of_one_group_stays_in_the_rest() -> None:
    groups = [row // 4 for row in range(80)]
    labels = ["rare" if group == 7 else "common" for group in groups]
    for seed in range(30):
        assert 28 in cut_groups(groups, 0.5, seed, labels)[0]


def test_every_group_has_its_turn() -> None:
    chosen = Counter(row for seed in range(1000) for row in cut_groups(list(range(10)), 0.2, seed)[1])
    assert all(abs(chosen[row] - 200) < 60 for row in range(10))


def test_a_cut_of_groups_is_fixed_by_its_seed_for_all_time() -> None:
    groups = [row % 12 for row in range(60)]
    assert {groups[row] for row in cut_groups(groups, 0.25, 0)[1]} == {4, 6, 10}


def test_one_group_cannot_be_cut() -> None:
    assert cut_groups(["a", "a"], 0.5, 0) == ([0, 1], [])


def test_no_author_is_in_two_parts_and_the_group_is_no_input() -> None:
    parts = partition(DataSettings(group="author"), 0, Given(people(40, 5)))
    train, valid, test = authors(parts)
    assert len(train) + len(valid) + len(test) == 40
    assert not (train & valid or train & test or valid & test)
    assert abs(len(parts.test) - 20) <= 5
    assert partition(DataSettings(), 0, Given({**people(9, 9), "n": [1] * 81})).settings == DataSettings()


def test_sequences_of_one_patient_stay_together() -> None:
    rows = [(f"s{i}", t, float(i + t), "ill" if i % 2 else "well", f"p{i // 4}") for i in range(60) for t in range(3)]
    data = dict(zip(("id", "t", "x", "label", "author"), map(list, zip(*rows, strict=True)), strict=True))
    parts = partition(DataSettings(id="id", time="t", group="author"), 0, Given(data))
    train, valid, test = authors(parts)
    assert len(parts.train) + len(parts.valid) + len(parts.test) == 60
    assert not (train & valid or train & test or valid & test)
    assert parts.settings.input == ("x",)
    same = partition(DataSettings(id="id", time="t", group="id"), 0, Given(data))
    assert len(same.train) + len(same.valid) + len(same.test) == 60


def test_a_missing_group_is_named_by_its_row() -> None:
    data = people(10, 3)
    data["author"][4] = None
    with pytest.raises(DataError, match="line 5, column 'author': is missing; every row needs one"):
        partition(DataSettings(group="author"), 0, Given(data))


def test_too_few_groups_are_said() -> None:
    with pytest.raises(DataError, match=r"1 group\(s\) of the column 'author' are too few to set 0.1 of them aside"):
        partition(DataSettings(group="author"), 0, Given(people(1, 30)))
    with pytest.raises(DataError, match=r"1 group\(s\) .* for valid; give more, or a file with --valid"):
        partition(DataSettings(group="author"), 0, Given(people(2, 30)))


def test_a_group_in_two_files_is_refused_with_both_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def put(name: str, rows: list[str]) -> str:
        (tmp_path / name).write_text("\n".join(["text,label,author", *rows]) + "\n")
        return str(tmp_path / name)

    train = put("train.csv", [f"so {n},{'good' if n % 2 else 'bad'},p{n % 10}" for n in range(40)])
    held = put("held.csv", ["it,good,q1", "goes,bad,p3"])
    other = put("other.csv", ["it,good,q1", "goes,bad,q2"])
    out = tmp_path / "run"
    command = f"train classify --data {train} --group author --out {out}"
    for option, name in (("--valid", "validation"), ("--test", "test")):
        assert main(f"{command} {option} {held}".split()) == 2
        error = capsys.readouterr().err
        assert f"held.csv, line 3, column 'author': the group 'p3' is in the {name} data here" in error
        assert "train.csv, line 5; keep it on one side" in error and error.count("\n") == 1
        assert not out.exists()
    assert main(f"{command} --valid {held} --test {other}".split()) == 2
    assert "the group" in capsys.readouterr().err
    assert main(f"{command} --valid {other} --epochs 1 --hidden-size 4 --progress none".split()) == 0
