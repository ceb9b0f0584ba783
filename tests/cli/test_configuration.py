"""`recurra config TASK`, and trainings that start from a settings file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.errors import DataError, InputError, SettingsError
from recurra.settings.names import TASKS
from recurra.settings.options import SETTINGS, groups, options
from recurra.settings.schema import json_schema
from recurra.settings.structure import from_keywords
from recurra.settings.toml import from_toml, to_toml

from .conftest import Call
from .test_commands import api

__all__ = ["api"]

AWKWARD: dict[str, Any] = {
    "data": ("a b.csv", "c,d.csv"), "valid": "0.25", "test": "t.csv", "input": "text", "delimiter": "\t",
    "header": False, "unit": "char", "lowercase": False, "cell": "gru", "num_layers": 2, "dropout": 0.1,
    "bidirectional": True, "lr": 1e-05, "seed": 2**62, "pooling": "mean+max",
}  # fmt: skip


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Forty rows of two words."""
    rows = [f"{word} thing {i},{word}" for i in range(20) for word in ("good", "bad")]
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


@pytest.mark.parametrize("task", TASKS)
def test_the_printed_file_is_the_defaults_and_is_valid_by_its_schema(call: Call, task: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    text = call("config", task).out
    assert from_toml(text, "c.toml")[:2] == (task, SETTINGS[task]())
    schema = json.loads(call("config", task, "--schema").out)
    assert schema == json_schema(task)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(tomllib.loads(text))
    for group in groups(task):
        assert not validator.is_valid({"task": task, group: {"hiden_size": 3}})
    assert not validator.is_valid({"task": "another"})
    assert not validator.is_valid({"task": task, "modle": {}})


def test_the_schema_says_types_names_defaults_and_documentation_of_every_option() -> None:
    tables = json_schema("classify")["properties"]
    found = {name: table for group in groups("classify") for name, table in tables[group]["properties"].items()}
    assert list(found) == list(options("classify"))
    assert all(found[name]["description"] == option.documentation for name, option in options("classify").items())
    assert found["hidden_size"] | {"description": ""} == {"type": "integer", "default": 128, "description": ""}
    assert found["lr"]["type"] == "number"
    assert found["bidirectional"]["type"] == "boolean"
    assert found["unit"]["enum"] == ["word", "char", "bpe"]
    for cells, fits in (("lstm", True), ("gru,transformer, lstm", True), ("lstn", False), ("lstm,", False)):
        assert bool(re.search(found["cell"]["pattern"], cells)) == fits
    assert "default" not in found["cell"]
    assert found["data"]["anyOf"] == [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]


def test_a_file_s_settings_arrive_whole(call: Call, api: dict[str, Any], tmp_path: Path) -> None:
    settings = from_keywords("classify", **AWKWARD)
    (tmp_path / "c.toml").write_text(to_toml("classify", settings))
    for arguments in (("train", "--config"), ("train", "classify", "--config")):
        assert call(*arguments, tmp_path / "c.toml").status == 0
        assert api["settings"] == settings
        assert api["config"] == tmp_path / "c.toml"


def test_an_option_on_the_command_line_overrides_the_file_even_with_its_default(
    call: Call, api: dict[str, Any], tmp_path: Path
) -> None:
    settings = from_keywords("classify", **AWKWARD)
    (tmp_path / "c.toml").write_text(to_toml("classify", settings))
    options = ("--lr", "0.001", "--no-bidirectional", "--data", "e.csv", "--out", "runs/x", "--progress", "lines")
    for front in (("train",), ("train", "classify")):
        assert call(*front, *options, f"--config={tmp_path / 'c.toml'}").status == 0
        expected = replace(
            settings,
            data=replace(settings.data, data=("e.csv",)),
            model=replace(settings.model, bidirectional=False),
            training=replace(settings.training, lr=0.001),
        )
        assert api["settings"] == expected
        assert (api["out"], api["progress"]) == (Path("runs/x"), "lines")


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, "train --config FILE", "FILE: does not exist"),
        ('task = "classify"\n[model]\nhiden_size = 3', "train --config FILE", "did you mean 'hidden_size'?"),
        ('task = "sentiment"', "train --config FILE", "'sentiment' is the task classify here"),
        ('task = "classify"', "train --config FILE --hiden-size 3", "Did you mean --hidden-size?"),
        ('task = "classify"', "train --config FILE", "no data"),
        ('task = "classify"', "train --config", "no file follows"),
        ("\xff", "train classify --config FILE", "FILE: is not UTF-8"),
        ("[model]", "train classify --config FILE", "FILE: there is no task"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(
    call: Call, tmp_path: Path, content: str | None, arguments: str, words: str
) -> None:
    file = tmp_path / "c.toml"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    status, out, err = call(*arguments.replace("FILE", str(file)).split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words.replace("FILE", str(file)) in err


def test_a_run_s_own_file_repeats_the_run(reviews: Path, tmp_path: Path) -> None:
    first = recurra.train("classify", data=reviews, epochs=1, hidden_size=8, threads=1, out=tmp_path / "a")
    config = tmp_path / "a" / "config.toml"
    again = recurra.train("classify", config=config, out=tmp_path / "b")
    assert again.settings == first.settings
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    other = recurra.train("classify", config=config, hidden_size=4, lr=0.5, out=tmp_path / "c")
    assert (other.settings.model.hidden_size, other.settings.training.lr) == (4, 0.5)
    assert other.settings.training.epochs == 1

    reviews.write_text(reviews.read_text() + "good more,good\n")
    with pytest.raises(DataError, match=r"reviews\.csv: has changed since the run of .*config\.toml; put the old"):
        recurra.train("classify", config=config, out=tmp_path / "d")
    new = tmp_path / "new.csv"
    reviews.rename(new)
    with pytest.raises(DataError, match=r"reviews\.csv: made the run of .*config\.toml and is no longer there"):
        recurra.train("classify", config=config, out=tmp_path / "d")
    assert not (tmp_path / "d").exists()
    assert recurra.train("classify", config=config, data=new, out=tmp_path / "d").result["train_examples"] > 0


def test_a_run_on_objects_says_so_and_is_repeated_with_them(tmp_path: Path) -> None:
    data = {"text": ["good", "bad"] * 20, "label": ["g", "b"] * 20}
    recurra.train("classify", data=data, epochs=1, hidden_size=8, out=tmp_path / "a")
    config = tmp_path / "a" / "config.toml"
    with pytest.raises(InputError, match=r"config\.toml: the data of this run came as Python objects"):
        recurra.train("classify", config=config, out=tmp_path / "b")
    again = recurra.train("classify", config=config, data=data, out=tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (again.path / "model.safetensors").read_bytes()


def test_a_file_of_another_task_and_a_strange_record_are_refused(tmp_path: Path, reviews: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'task = "classify"\n[data]\ndata = "{reviews}"\n[record]\nfiles = [3]')
    with pytest.raises(InputError, match=r"the table \[record\] is not as a run writes it"):
        recurra.train("classify", config=file, out=tmp_path / "a")
    from recurra.configuration import read_configuration

    with pytest.raises(SettingsError, match="is of the task classify, and model is asked for"):
        read_configuration(file, "model")


def test_config_loads_no_torch() -> None:
    program = (
        "import sys; from recurra.cli.main import main; status = main(['config', 'classify', '--schema']);"
        "sys.exit(status or 'torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0
