"""How results are printed."""

from __future__ import annotations

import json

import pytest

from recurra.cli.show import facts, print_json, table


def test_a_table_aligns_texts_left_and_numbers_right() -> None:
    assert table(("name", "value"), [("accuracy", 0.5), ("steps", 120)]) == (
        "name       value\naccuracy  0.5000\nsteps        120"
    )


def test_what_is_missing_is_an_empty_cell_among_numbers() -> None:
    assert table(("a", "b"), [("x", 1.0), ("y", None)]) == "a       b\nx  1.0000\ny"


def test_a_table_without_rows_is_its_header() -> None:
    assert table(("a", "b"), []) == "a  b"


def test_facts_show_nested_objects() -> None:
    assert facts({"a": None, "b": {"c": True}, "d": [], "e": [{"x": 1}, {"y": "z"}]}) == (
        "a: none\nb:\n  c: yes\nd: none\ne:\n  x  y\n  1\n     z"
    )


def test_a_file_s_text_cannot_command_the_terminal() -> None:
    assert "\x1b" not in facts({"classes": ["\x1b[2Jx"]})
    assert "\n" not in table(("a",), [("x\ny",)]).splitlines()[1]


@pytest.mark.parametrize("value", ["é", "\ud800", "a\u2028b", "\x00\n"])
def test_json_is_one_line_that_reads_back(capsys: pytest.CaptureFixture[str], value: str) -> None:
    print_json({"label": value})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"label": value}
