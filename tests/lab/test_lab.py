"""`recurra lab`: what is written, printed and refused."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import torch

from recurra import lab
from recurra.errors import SettingsError
from recurra.lab.cost import CostSizes, measure_cost
from recurra.lab.memory import MemorySizes, measure_memory
from recurra.lab.vanishing_gradient import GradientSizes, measure_gradients
from recurra.settings.names import LabName
from tests.journeys.test_classify import recurra

TINY = {
    "vanishing-gradient": partial(
        measure_gradients,
        sizes=GradientSizes(
            12, input_size=2, hidden_size=4, batch_size=2, seeds=2, distances=(1, 11), far=11, fit_from=2
        ),
    ),
    "memory": partial(
        measure_memory,
        sizes=MemorySizes((3, 6), (3, 6, 12), hidden_size=4, batch_size=4, updates=3, seeds=2, test_rows=16),
    ),
    "cost": partial(measure_cost, sizes=CostSizes((1, 2), (2, 4), (2, 4, 8, 16), small=4, rounds=1)),
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiments in sizes that take no time."""
    for name, experiment in TINY.items():
        monkeypatch.setitem(lab.EXPERIMENTS, name, experiment)


def test_the_command_knows_every_experiment() -> None:
    assert set(get_args(LabName)) == set(lab.EXPERIMENTS) == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_an_experiment_prints_its_tables_a_sentence_and_the_command_and_writes_a_page(
    name: str, tmp_path: Path, tiny: None
) -> None:
    done = recurra("lab", name, "--seed", "3", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    lines = done.out.splitlines()
    assert lines[-1] == str(tmp_path / "out" / "report.html")
    assert lines[-3] == f"Again: recurra lab {name} --seed 3 --threads 1"
    assert lines[-4] == result["sentence"]
    assert (result["experiment"], result["seed"], result["threads"]) == (name, 3, 1)
    page = (tmp_path / "out" / "report.html").read_text()
    pictures = list((tmp_path / "out" / "plots").glob("*.png"))
    assert (
        page.count("data:image/png;base64,") == len(pictures) == len(list((tmp_path / "out" / "plots").glob("*.csv")))
    )
    assert f"recurra lab {name} --seed 3 --threads 1" in page


def test_python_gets_the_same_numbers_and_keeps_its_threads_and_generator(tmp_path: Path, tiny: None) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first = lab.run("memory", tmp_path / "a", 1)
    again = lab.run("memory", tmp_path / "b", 1)
    assert first.numbers["shares"] == again.numbers["shares"]
    assert first.numbers["shares"] != lab.run("memory", tmp_path / "c", 2).numbers["shares"]
    assert (torch.get_num_threads(), torch.get_rng_state().tolist()) == (threads, state.tolist())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lab", "vanishing-gradients"), 'Did you mean "vanishing-gradient"?'),
        (("lab", "memory", "--seed", "-1"), "seed: -1 is below 0"),
        (("lab", "memory", "--threads", "-2"), "threads: -2 is below 0"),
        (("lab",), "EXPERIMENT requires an argument"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = recurra(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused_and_stays(tmp_path: Path, tiny: None) -> None:
    (tmp_path / "note").write_text("mine")
    done = recurra("lab", "cost", "--out", tmp_path)
    assert done.status == 2
    assert f"{tmp_path} is there already; give another --out" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
    assert recurra("lab", "cost", "--out", tmp_path / "note").status == 2


def test_python_is_told_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="experiment: 'memry' is not known; did you mean 'memory'"):
        lab.run("memry", tmp_path / "out")
