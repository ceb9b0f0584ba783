"""Settings: flat keywords and TOML, every problem in one report, nothing lost on the way."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import SettingsError
from recurra.settings.names import CELLS, TASKS, CellName, Unit
from recurra.settings.options import groups, options
from recurra.settings.structure import from_keywords
from recurra.settings.tasks import ClassifySettings
from recurra.settings.toml import LARGEST_FILE, from_toml, to_toml

TEXT = st.text(max_size=12)
FILE_OR_FRACTION = st.one_of(st.sampled_from(["0.1", "0.10", "1e-1", ".5"]), TEXT.map(lambda name: f"./{name}"))


@st.composite
def settings(draw: st.DrawFn) -> ClassifySettings:
    """Legal settings with awkward texts and numbers in them."""
    default = ClassifySettings()
    return ClassifySettings(
        data=replace(
            default.data,
            data=tuple(draw(st.lists(TEXT, max_size=3))),
            input=tuple(draw(st.lists(TEXT, max_size=3))),
            valid=draw(FILE_OR_FRACTION),
            delimiter=draw(st.text(max_size=1)),
        ),
        text=replace(default.text, unit=draw(st.sampled_from(get_args(Unit)))),
        model=replace(
            default.model,
            cell=draw(st.none() | st.sampled_from(get_args(CellName))),
            num_layers=2,
            dropout=draw(st.none() | st.floats(0, 0.99)),
        ),
        training=replace(default.training, lr=draw(st.floats(1e-12, 1e12)), seed=draw(st.integers(0, 2**63 - 1))),
    )


@given(settings())
def test_settings_come_back_from_toml_as_they_were(given_settings: ClassifySettings) -> None:
    text = to_toml("classify", given_settings, {"files": [{"path": 'a "b"\n', "rows": 3, "split": None}]})
    task, back, record = from_toml(text, "config.toml")
    assert (task, back) == ("classify", given_settings)
    assert record == {"files": [{"path": 'a "b"\n', "rows": 3}]}


def test_the_toml_says_every_setting_with_its_documentation() -> None:
    text = to_toml("classify", ClassifySettings())
    document = tomllib.loads(text)
    assert list(document) == ["task", *groups("classify")]
    for name, option in options("classify").items():
        assert option.documentation, name
        assert f"# {option.documentation}\n" in text
        if option.default is None:
            assert name not in document[option.group]
            assert f"# {name} = " in text
        else:
            assert name in document[option.group]


def test_an_empty_file_of_a_task_gives_the_defaults() -> None:
    assert from_toml('task = "classify"', "c.toml") == ("classify", ClassifySettings(), {})


def test_flat_keywords_reach_their_groups() -> None:
    found = from_keywords(
        "classify", data=Path("a.csv"), input="text", hidden_size=7, lr=1, valid=0.2, test=Path("t.csv"), unit="char"
    )
    assert found.data.data == ("a.csv",)
    assert found.data.input == ("text",)
    assert (found.data.valid, found.data.test) == ("0.2", "t.csv")
    assert (found.model.hidden_size, found.text.unit) == (7, "char")
    assert (found.training.lr, type(found.training.lr)) == (1.0, float)
    assert from_keywords("classify", data=["a.csv", Path("b.csv")]).data.data == ("a.csv", "b.csv")
    assert from_keywords("classify", dropout=None) == ClassifySettings()


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"hiden_size": 3}, "hiden_size: no such setting; did you mean 'hidden_size'?"),
        ({"hidden_size": "3"}, "hidden_size: '3' is not a whole number"),
        ({"hidden_size": 3.0}, "hidden_size: 3.0 is not a whole number"),
        ({"hidden_size": True}, "hidden_size: True is not a whole number"),
        ({"seed": 2**63}, f"seed: {2**63} is not a whole number"),
        ({"lr": "0.1"}, "lr: '0.1' is not a number"),
        ({"bidirectional": 1}, "bidirectional: 1 is not true or false"),
        ({"valid": True}, "valid: True is not a text"),
        ({"data": [1]}, "data: [1] is not a text or a list of texts"),
        ({"cell": "lstn"}, "cell: 'lstn' is not known; did you mean 'lstm'?"),
        ({"unit": 3}, "unit: 3 is none of word, char, bpe"),
        ({"epochs": 0}, "epochs: 0 is below 1"),
        ({"average_checkpoints": -1}, "average_checkpoints: -1 is below 0"),
        ({"average_checkpoints": 5, "average": 0.9}, "average_checkpoints: 5 and average 0.9 exclude each other"),
        ({"average_checkpoints": 5, "refit": True}, "refit: it makes no evaluations whose weights"),
        ({"recompute": -1}, "recompute: -1 is below 0"),
        ({"dropout": 0.5}, "dropout: 0.5 acts between layers and there is one layer"),
    ],
)
def test_a_wrong_keyword_is_refused_in_a_sentence(keywords: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        from_keywords("classify", **keywords)


@pytest.mark.parametrize("task", TASKS)
def test_the_help_names_every_cell(task: str) -> None:
    line = options(task)["cell"].documentation
    assert set(CELLS) <= set(re.split(r"[,. ]+", line.partition(": ")[2]))


def test_all_problems_stand_in_one_report() -> None:
    with pytest.raises(SettingsError) as caught:
        from_keywords("classify", hiden_size=3, lr="x", epochs=0, cell=3, zoneout=2.0)
    for name in ("hiden_size", "lr", "epochs", "cell", "zoneout"):
        assert f"{name}: " in str(caught.value)


def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="task: 'clasify' is not known; did you mean 'classify'"):
        from_keywords("clasify")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("[model]\nhiden_size = 3", "model.hiden_size: no such setting; did you mean 'hidden_size'?"),
        ("[model]\nlr = 0.1", "model.lr: no such setting; it belongs under [training]"),
        ("lr = 0.1", "lr: no such setting outside the tables; it belongs under [training]"),
        ("[modle]\n", "modle: no such table; did you mean 'model'?"),
        ("model = 3", "model: is a value, and a table is expected"),
        ('[model]\nhidden_size = "3"', "hidden_size: '3' is not a whole number"),
        ("[data]\nvalid = 2", "valid: a fraction lies between 0 and 1, not 2"),
        ("record = 3", "record: is a value, and a table is expected"),
        ("[model", "is not TOML"),
        ("[training]\nseed = " + "9" * 5000, "is not TOML"),
        ("a = " + "[" * 100_000, "is nested too deep"),
        ("# " + "x" * LARGEST_FILE, "longer than"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence_that_names_it(body: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)) as caught:
        from_toml(f'task = "classify"\n{body}\n', "config.toml")
    assert str(caught.value).startswith("config.toml: ")


def test_a_file_without_a_known_task_is_refused() -> None:
    with pytest.raises(SettingsError, match="there is no task"):
        from_toml("[model]\nhidden_size = 3", "c.toml")
    with pytest.raises(SettingsError, match="did you mean 'classify'"):
        from_toml('task = "clasify"', "c.toml")


def test_no_setting_is_named_twice_and_each_field_is_an_option() -> None:
    names = [field.name for kind in groups("classify").values() for field in fields(kind)]
    assert sorted(names) == sorted(options("classify"))
