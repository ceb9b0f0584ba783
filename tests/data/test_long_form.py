"""A table with one row a time step as sequences, and its faults by their lines."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recurra
from recurra.cli.main import main
from recurra.data.long_form import Keyed, check_one_row_each, keyed_sequences, sequences, with_inputs
from recurra.data.table import Table, concatenate
from recurra.errors import DataError, SettingsError
from recurra.settings.groups import DataSettings

QUICK: dict[str, Any] = {"epochs": 4, "hidden_size": 8, "lr": 0.02, "threads": 1}
QUICK_OPTIONS = "--epochs 2 --hidden-size 8 --threads 1 --progress none"


def table(source: str = "a.csv", **columns: list[Any]) -> Table:
    rows = len(next(iter(columns.values())))
    return Table(source, dict(columns), list(range(2, rows + 2)))


def settings(**values: Any) -> DataSettings:
    return DataSettings(**({"id": "id", "time": "t", "input": ("x", "y")} | values))


def walks(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Walks up and down, their steps shuffled: the label is the direction, drift the sum of the steps."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        sign, steps = (1 if number % 2 else -1), draw.randint(4, 9)
        moves = [sign * draw.random() for _ in range(steps)]
        for t, move in enumerate(moves):
            rows.append((f"w{number}", t, move, draw.random(), "up" if sign > 0 else "down", sum(moves)))
    draw.shuffle(rows)
    return dict(zip(("id", "t", "x", "y", "label", "drift"), map(list, zip(*rows, strict=True)), strict=True))


def test_rows_of_an_id_become_a_sequence_ordered_by_time_with_the_line_of_the_first() -> None:
    found = sequences(
        table(
            id=["b", "a", "b", "a", "b"],
            t=[3, 1, 1, 0, 2],
            x=["1", "2", "3", "4", "5.5"],
            y=[10, 20, 30, 40, 50],
            label=["p", "q", "p", "q", "p"],
        ),
        settings(),
    )
    assert found.column("id") == ["b", "a"]
    assert found.column("label") == ["p", "q"]
    assert found.lines == [2, 3]
    first, second = found.column("(sequence)")
    assert first.tolist() == [[3, 30], [5.5, 50], [1, 10]]
    assert second.tolist() == [[4, 40], [2, 20]]


def test_without_a_time_the_order_of_the_file_holds() -> None:
    found = sequences(table(id=["b", "a", "b"], x=[1, 2, 3]), settings(time="", input=("x",)), labelled=False)
    assert [value.tolist() for value in found.column("(sequence)")] == [[[1], [3]], [[2]]]


def test_a_table_without_an_id_stays_as_it_is() -> None:
    given = table(x=[1])
    assert sequences(given, DataSettings()) is given


@given(st.permutations(list(range(12))), st.integers(0, 3))
def test_with_a_time_the_order_of_rows_says_nothing(order: list[int], kind: int) -> None:
    moment = [
        lambda n: n - 5,
        lambda n: f"2024-02-{20 + n:02d}" if n < 10 else f"2024-03-{n - 9:02d}",
        lambda n: datetime(2024, 1, 1, n, tzinfo=UTC),
        lambda n: date(2020 + n, 1, 1),
    ][kind]
    rows = [(f"s{n % 3}", moment(n), float(n), -float(n)) for n in range(12)]
    columns = zip(*[rows[place] for place in order], strict=True)
    given = table(**dict(zip(("id", "t", "x", "y"), map(list, columns), strict=True)))
    found = sequences(given, settings(), labelled=False)
    by_id = dict(zip(found.column("id"), found.column("(sequence)"), strict=True))
    for own in range(3):
        assert by_id[f"s{own}"].tolist() == [[n, -n] for n in range(own, 12, 3)]


def test_times_as_text_are_ordered_as_numbers_and_dates_not_as_text() -> None:
    given = table(id=[1, 1, 1], t=["10", "9", "1.5e1"], x=[1, 2, 3], y=[0, 0, 0])
    assert sequences(given, settings(), labelled=False).column("(sequence)")[0][:, 0].tolist() == [2, 1, 3]
    zones = ["2024-05-01T12:00+02:00", "2024-05-01T11:00+00:00", "2024-05-01T09:00Z"]
    given = table(id=[1, 1, 1], t=zones, x=[1, 2, 3], y=[0, 0, 0])
    assert sequences(given, settings(), labelled=False).column("(sequence)")[0][:, 0].tolist() == [3, 1, 2]


def test_whole_numbers_beyond_floats_still_order() -> None:
    big = 2**60
    given = table(id=["a"] * 2, t=[f"{big + 1}", f"{big}"], x=[1, 2], y=[0, 0])
    assert sequences(given, settings(), labelled=False).column("(sequence)")[0][:, 0].tolist() == [2, 1]


def test_ids_that_are_one_number_in_other_types_are_one() -> None:
    given = table(id=[1, 1.0, np.int64(1), 2], x=[1, 2, 3, 4])
    assert sequences(given, settings(time="", input=("x",)), labelled=False).column("id") == [1, 2]


def test_inputs_are_all_other_columns_of_numbers_where_none_is_named() -> None:
    given = table(
        id=["a"], t=[0], who=["x"], speed=["1.5"], label=["p"], note=[None], on=[True], ward=[3], height=[np.float32(2)]
    )
    chosen = with_inputs(given, DataSettings(id="id", time="t", group="ward"))
    assert chosen.input == ("speed", "height")
    assert with_inputs(given, DataSettings(id="id", input=("speed",))).input == ("speed",)
    assert with_inputs(given, DataSettings()).input == ()
    with pytest.raises(DataError, match="no other column holds numbers"):
        with_inputs(table(id=["a"], word=["x"], label=["p"]), DataSettings(id="id"))


def test_a_column_that_counts_the_rows_is_no_input_unless_it_is_named() -> None:
    counted = {"": ["0", "1", "2", "3"], "id": list("aabb"), "x": ["0", "1", "3", "2"], "label": list("ppqq")}
    found = table(**counted)
    assert with_inputs(found, settings(time="", input=())).input == ("x",)
    assert with_inputs(found, settings(time="", input=("", "x"))).input == ("", "x")


def test_an_id_that_is_no_column_is_said_before_anything_else() -> None:
    with pytest.raises(DataError, match="there is no column 'patent'; did you mean 'patient'"):
        with_inputs(table(patient=["a"], note=["x"]), settings(id="patent", time="", input=()))


def test_a_faulty_cell_does_not_take_its_column_away() -> None:
    given = table(id=["a"] * 3, x=["1", "n/a", "3"], label=["p"] * 3)
    chosen = with_inputs(given, DataSettings(id="id"))
    assert chosen.input == ("x",)
    with pytest.raises(DataError, match=r"a\.csv, line 3, column 'x': is 'n/a'; with --id an input is numbers"):
        sequences(given, chosen)


LONG: dict[str, list[Any]] = {
    "id": ["a", "b", "a", "b"],
    "t": [0, 0, 1, 1],
    "x": [1, 2, 3, 4],
    "y": [5, 6, 7, 8],
    "label": ["p", "q", "p", "q"],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t": [0, 0, 0, 1]}, r"line 4, column 't': is 0 as in line 2 of the same id; two steps need two times"),
        ({"t": [0, 0, "0.0", 1]}, r"line 4, column 't': is '0\.0' as in line 2"),
        ({"t": [0, 0, None, 1]}, r"line 4, column 't': is missing; a time is a number, or a date"),
        ({"t": [0, 0, float("nan"), 1]}, r"line 4, column 't': is nan; a time is"),
        ({"t": [0, 0, "soon", 1]}, r"line 4, column 't': is 'soon'; a time is"),
        ({"t": [0, 0, "9" * 5000, 1]}, r"line 4, column 't': is no finite number"),
        ({"t": [0, 0, True, 1]}, r"line 4, column 't': is bool"),
        ({"t": [0, 0, "2024-05-01", 1]}, r"line 4, .*is a date without a time zone, and line 2 .*has a number"),
        (
            {"t": ["2024-05-01T10:00Z", 0, "2024-05-01", 1]},
            r"line 4, .*is a date without a time zone, and line 2 .* has a date with a time zone",
        ),
        ({"x": [1, 2, None, 4]}, r"line 4, column 'x': is missing; a finite number"),
        ({"x": [1, 2, float("inf"), 4]}, r"line 4, column 'x': is inf; a finite number"),
        ({"x": [1, 2, True, 4]}, r"line 4, column 'x': is bool"),
        ({"x": [1, 2, [3], 4]}, r"line 4, column 'x': is list"),
        ({"id": ["a", "b", " ", "b"]}, r"line 4, column 'id': is missing; every row needs one"),
        ({"id": ["a", "b", ["a"], "b"]}, r"line 4, column 'id': is list; a text or a number"),
        (
            {"label": ["p", "q", "r", "q"]},
            r"line 4, column 'label': the target of the id 'a' is 'r' here and 'p' in line 2; every row of an id",
        ),
        ({"label": [["p"], ["q"], ["p", "r"], ["q"]]}, r"line 4, column 'label': the target of the id"),
        ({"ward": [1, 2, 3, 2]}, r"line 4, column 'ward': the group of the id 'a' is 3 here and 1 in line 2"),
    ],
)
def test_a_fault_is_named_by_its_line(change: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        sequences(table(**(LONG | change)), settings(group="ward"))


def test_a_target_that_is_no_column_is_answered_with_the_columns_of_the_table() -> None:
    found = table(id=["a", "b"], t=[0, 0], x=[1, 2], y=[3, 4], outcome=["p", "q"])
    with pytest.raises(DataError, match="no column 'outcom'; did you mean 'outcome'"):
        sequences(found, settings(target=("outcom",)))
    with pytest.raises(DataError, match="give --target with one of: 'id', 't', 'x', 'y', 'outcome'"):
        sequences(found, settings())


def test_lists_and_arrays_as_targets_agree_by_value() -> None:
    changed = LONG | {"label": [np.array([1, 2]), ["q"], np.array([1, 2]), ["q"]]}
    assert len(sequences(table(**changed), settings())) == 2


def test_an_id_in_two_files_needs_a_time_and_is_then_one_sequence() -> None:
    whole = concatenate([table("a.csv", id=["a", "b"], t=[1, 0], x=[1, 2]), table("b.csv", id=["a"], t=[0], x=[3])])
    found = sequences(whole, settings(input=("x",)), labelled=False)
    assert [value.tolist() for value in found.column("(sequence)")] == [[[3], [1]], [[2]]]
    assert found.place(0).source == "a.csv"
    with pytest.raises(DataError, match=r"b\.csv, line 2, column 'id': this id is in a\.csv too, and without --time"):
        sequences(whole, settings(time="", input=("x",)), labelled=False)


def test_for_prediction_a_faulty_sequence_is_an_error_in_its_place() -> None:
    first, second = keyed_sequences(table(id=["a", "b", "a"], t=[1, 0, 0], x=[1, "?", 2], y=[0, 0, 0]), settings())
    assert first.id == "a" and first.value.tolist() == [[2, 0], [1, 0]]
    assert second.id == "b" and isinstance(second.value, DataError) and second.value.line == 3


@pytest.mark.parametrize("name", ["unique_id", "Patient", "series_id"])
@pytest.mark.parametrize("time", [[0, 1, 0, 1], ["2024-01-01", "2024-01-02"] * 2])
def test_a_table_in_long_form_without_an_id_is_noticed(name: str, time: list[Any]) -> None:
    given = table(**{name: ["a", "a", "b", "b"], "t": time, "x": ["1", "2", "3", "4"], "label": ["p", "p", "q", "q"]})
    with pytest.raises(DataError, match=rf"4 rows seem to be time steps of 2 sequences.*give --id {name}.*--input"):
        check_one_row_each(given, DataSettings())
    check_one_row_each(given, DataSettings(input=("x",)))
    check_one_row_each(given, DataSettings(id=name))


@pytest.mark.parametrize(
    "columns",
    [
        {"id": [1, 2, 3, 4], "text": ["1", "2", "3", "4"], "label": ["p", "p", "q", "q"]},
        {"user": [1, 1, 2, 2], "input": [1, 2, 3, 4], "label": ["p", "p", "q", "q"]},
        {"id": [1, 1, 2, 2], "text": ["so", "it", "goes", "on"], "label": ["p", "p", "q", "q"]},
        {"id": [1, 1, 2, 2], "text": ["so", "it", "goes", "on"], "n": [1, 2, 3, 4], "label": ["p", "p", "q", "q"]},
        {"id": [1, 1, 2, 2], "input": [[1, 2], [3, 4], [5, 6], [7, 8]], "label": ["p", "p", "q", "q"]},
        {"id": [1, 1, 2, 2], "input": [1, 2, 3, 4], "label": ["p", "q", "q", "q"]},
        {"id": [1, 1, 2, 2], "input": [1, 1, 3, 3], "label": ["p", "p", "q", "q"]},
        {"id": [1, 1, 2, 3], "input": [1, 2, 3, 4], "label": ["p", "p", "q", "q"]},
        {"id": [1, 1, 1, 1], "input": [1, 2, 3, 4], "label": ["p", "p", "p", "p"]},
        {"id": [1, 1, None, 2], "input": [1, 2, 3, 4], "label": ["p", "p", "p", "p"]},
        {"subject": ["a", "a", "b", "b"], "input": [1, 2, 3, 4], "grade": [1, 1, 2, 2]},
    ],
)
def test_an_honest_table_is_let_through(columns: dict[str, list[Any]]) -> None:
    check_one_row_each(table(**columns), DataSettings())


def test_an_id_that_is_the_target_or_the_group_is_no_sign() -> None:
    given = table(subject=["a", "a", "b", "b"], input=[1, 2, 3, 4], label=["p", "p", "q", "q"])
    check_one_row_each(given, DataSettings(target=("subject",)))
    check_one_row_each(given, DataSettings(group="subject"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"time": "t"}, "time: it orders the rows of an id; give --id too"),
        ({"id": "a", "input_kind": "vector"}, "input_kind: with --id every input is a series, not a vector"),
        ({"id": "a", "time": "a"}, "time: the column 'a' is id already"),
        ({"id": "a", "target": ("a",)}, "target: the column 'a' is id already"),
        ({"group": "a", "target": ("a",)}, "target: the column 'a' is group already"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(values: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in DataSettings(**values).problems())


def test_an_id_may_be_the_group_and_a_time_an_input() -> None:
    assert DataSettings(id="a", group="a", time="t", input=("t", "x")).problems() == []


def test_a_run_from_python_learns_sequences_and_answers_one_an_id(tmp_path: Path) -> None:
    options = {"id": "id", "time": "t", "input": ["x", "y"], "target": "label", "out": tmp_path / "run"}
    run = recurra.train("classify", data=walks(60), **options, **QUICK)
    assert run.result["train_examples"] + run.result["valid_examples"] + run.result["test_examples"] == 60
    data = walks(20, seed=1)
    assert run.evaluate(data)["examples"] == 20
    answers = run.predict({name: data[name] for name in ("t", "y", "x", "id")})
    assert len(answers) == 20
    ready = sequences(table(**data), run.settings.data).column("(sequence)")
    assert [one.label for one in run.predict(ready)] == [one.label for one in answers]
    truth = dict(zip(data["id"], data["label"], strict=True))
    hits = [answer.label == truth[key] for answer, key in zip(answers, dict.fromkeys(data["id"]), strict=True)]
    assert np.mean(hits) == run.evaluate(data)["accuracy"] > 0.9


def test_a_regression_of_sequences_too_whose_inputs_are_kept_in_the_run(tmp_path: Path) -> None:
    data = walks(60)
    del data["label"]
    options = {"id": "id", "time": "t", "target": "drift", "out": tmp_path / "run"}
    run = recurra.train("regress", data=data, **options, **(QUICK | {"epochs": 20}))
    assert run.settings.data.input == ("x", "y")
    more = walks(20, seed=1)  # with a column of numbers more: the run asks for its own
    assert run.evaluate(more | {"age": more["t"]})["r2"] > 0.5


def test_the_command_line_trains_evaluates_and_names_each_answer_by_its_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(name: str, data: dict[str, list[Any]]) -> str:
        rows = [",".join(map(str, row)) for row in zip(*data.values(), strict=True)]
        (tmp_path / name).write_text("\n".join([",".join(data), *rows]) + "\n")
        return str(tmp_path / name)

    data, more, out = walks(60), walks(5, seed=1), str(tmp_path / "run")
    del data["drift"]
    file = put("walks.csv", data)
    assert main(f"train classify --data {file} --id id --time t --out {out} {QUICK_OPTIONS}".split()) == 0
    capsys.readouterr()
    assert main(["evaluate", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 6

    more["x"][more["id"].index("w3")] = "?"
    asked = put("more.csv", {name: more[name] for name in ("t", "id", "x", "y")})
    assert main(["predict", out, asked]) == 1
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["id"] for answer in answers] == list(dict.fromkeys(more["id"]))
    faulty = [answer for answer in answers if "error" in answer]
    assert [answer["id"] for answer in faulty] == ["w3"] and "column 'x': is '?'" in faulty[0]["error"]

    lines = [json.dumps({name: more[name][row] for name in ("id", "t", "x", "y")}) for row in range(len(more["t"]))]
    (tmp_path / "more.jsonl").write_text("\n".join(lines))
    assert main(["predict", out, str(tmp_path / "more.jsonl")]) == 1
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == list(dict.fromkeys(more["id"]))
    (tmp_path / "ready.jsonl").write_text("[[1, 0], [2, 0]]\n[]\n")
    assert main(["predict", out, str(tmp_path / "ready.jsonl")]) == 0
    assert ["id" in json.loads(line) for line in capsys.readouterr().out.splitlines()] == [False, False]

    assert main(["info", file, "--id", "id", "--time", "t", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sequences"], found["inputs"], found["kind"]) == (60, ["x", "y"], "series")
    assert found["lengths"]["unit"] == "steps" and found["classes"] == {"down": 30, "up": 30}
    assert found["problems"] == []
    assert main(["info", file, "--time", "t"]) == 2
    assert "give --id too" in capsys.readouterr().err


def test_a_run_with_an_id_is_refused_other_kinds_of_input(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="with --id every input is a series"):
        recurra.train("classify", data=walks(10), id="id", input_kind="text", out=tmp_path / "run")


def test_answers_of_bare_sequences_have_no_id(tmp_path: Path) -> None:
    options = {"id": "id", "time": "t", "input": ["x"], "target": "label", "out": tmp_path / "run"}
    run = recurra.train("classify", data=walks(20), **options, **(QUICK | {"epochs": 1}))
    rows = run.predict_rows([Keyed(7, [[1.0], [2.0]]), [[1.0], [2.0]], Keyed("z", DataError("is odd"))])
    first, second, third = rows
    steps = {"id": ["a", "a", "b"], "t": [0, 1, 0], "x": [1.0, 2.0, 1e300]}
    with pytest.raises(DataError, match=r"(line|row) 3: step 1, feature 1: 1e\+300 is too far from the training data"):
        run.predict(steps)
    assert first == {"id": 7} | second
    assert third == {"id": "z", "error": "is odd"}
