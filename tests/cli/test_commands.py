"""What each command hands to the Python API, and how it prints what comes back."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import recurra
from recurra.engines.native import LEVELS
from recurra.errors import DataError
from recurra.settings.tasks import ClassifySettings

from .conftest import Call


class FakeRun:
    """A run that answers without a trained model: the label is the text."""

    path = Path("runs/a")
    settings = ClassifySettings()
    reads_text = True
    needs_whole_input = False

    def input_of(self, value: Any, source: str, line: int) -> Any:
        return next(iter(value.values())) if isinstance(value, dict) else value

    def __init__(self) -> None:
        self.result = {
            "accuracy": 0.5, "valid_accuracy": 0.25, "parameters": 12, "versions": {"torch": "2"}, "metric": "accuracy",
            "training_seconds": 9.0, "baseline_linear_accuracy": 0.375, "baseline_linear_seconds": 0.5,
        }  # fmt: skip

    def evaluate(self, data: Path | None = None) -> dict[str, float]:
        scores = {"accuracy": 0.25 if data is None else 0.75, "examples": 8}
        return {**scores, "baseline_linear_accuracy": 0.5, "baseline_linear_seconds": 0.5}

    def inputs_of(self, file: Path, format: str | None = None) -> list[str]:
        return [f"{format} {line}" for line in file.read_text().splitlines()]

    def predict_rows(self, rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
        for row in rows:
            yield {"error": str(row)} if isinstance(row, DataError) else {"label": row}

    def describe(self) -> dict[str, Any]:
        return {"task": "classify", "labels": ["a", "b"], "data": [{"path": "a.csv", "rows": 3}], "model": {"size": 2}}


class VectorRun(FakeRun):
    """A run that reads numbers."""

    reads_text = False


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A Python API that notes what it was asked."""
    asked: dict[str, Any] = {}

    def train_settings(task: str, settings: ClassifySettings, **keywords: Any) -> FakeRun:
        asked.update(task=task, settings=settings, **keywords)
        return FakeRun()

    def resume(folder: Path, progress: str) -> FakeRun:
        asked.update(folder=folder, progress=progress)
        return FakeRun()

    def load(folder: Path) -> FakeRun:
        return VectorRun() if folder.name == "vectors" else FakeRun()

    fake = SimpleNamespace(train_settings=train_settings, resume=resume, load=load)
    monkeypatch.setitem(sys.modules, "recurra.api", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(recurra, "api", fake, raising=False)
    return asked


def test_the_options_of_train_become_settings(call: Call, api: dict[str, Any]) -> None:
    options = (
        "--data a.csv --data b.csv --valid 0.2 --input text --cell gru --bidirectional --no-lowercase "
        "--lr 0.01 --class-weights balanced --out runs/x --overwrite --progress lines"
    )
    status, out, err = call("train", "classify", *options.split())
    assert (status, err) == (0, "")
    settings = api["settings"]
    assert settings.data.data == ("a.csv", "b.csv")
    assert (settings.data.valid, settings.data.input) == ("0.2", ("text",))
    assert (settings.model.cell, settings.model.bidirectional) == ("gru", True)
    assert (settings.text.lowercase, settings.training.lr) == (False, 0.01)
    assert settings.classify.class_weights == "balanced"
    assert (api["task"], api["out"], api["overwrite"], api["progress"]) == ("classify", Path("runs/x"), True, "lines")
    assert out == "metric     valid    test  linear, test\naccuracy  0.2500  0.5000        0.3750\n\nruns/a\n"


def test_without_options_the_settings_are_the_defaults(call: Call, api: dict[str, Any]) -> None:
    assert call("train", "classify", "--data", "a.csv").status == 0
    defaults = ClassifySettings()
    assert api["settings"].model == defaults.model
    assert api["settings"].training == defaults.training
    assert (api["out"], api["overwrite"], api["progress"]) == (None, False, "auto")


def test_resume_needs_the_run_alone(call: Call, api: dict[str, Any]) -> None:
    status, out, _ = call("train", "--resume", "runs/a")
    assert status == 0
    assert (api["folder"], api["progress"]) == (Path("runs/a"), "auto")
    assert out.splitlines()[-1] == "runs/a"


@pytest.mark.usefixtures("api")
def test_evaluate_prints_a_table_or_one_object(call: Call) -> None:
    assert call("evaluate", "runs/a").out == (
        "metric               model  linear\n"
        "accuracy            0.2500  0.5000\n"
        "seconds of fitting  9.0000  0.5000\n"
        "8 examples\n"
        "The model (0.2500) does not beat linear (0.5000) in accuracy.\n"
    )
    assert "does not beat" not in call("evaluate", "runs/a", "--data", "b.csv").out
    assert json.loads(call("evaluate", "runs/a", "--data", "b.csv", "--json").out)["accuracy"] == 0.75


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Set what standard input holds."""

    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]

    return give


def answers(out: str) -> list[Any]:
    """The label, or the error, of each line."""
    lines = [json.loads(line) for line in out.removesuffix("\n").split("\n")]
    return [line.get("label", line.get("error")) for line in lines]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("file", [(), ("-",)])
def test_predict_answers_each_line_of_standard_input(
    call: Call, standard_input: Callable[[bytes], None], file: tuple[str, ...]
) -> None:
    standard_input("é\r\n\u2028\n\n\x0b\x85\n".encode() + b"\xff\n\0\nlast")
    status, out, err = call("predict", "runs/a", *file)
    assert answers(out) == ["é", "\u2028", "", "\x0b\x85", "\udcff", "\0", "last"]
    assert (status, err) == (0, "")


@pytest.mark.usefixtures("api")
def test_a_line_longer_than_a_pipe_is_one_line(call: Call, standard_input: Callable[[bytes], None]) -> None:
    standard_input(b"a" * 200_000 + b"\nb\n" + b"c" * 100_000)
    assert answers(call("predict", "runs/a").out) == ["a" * 200_000, "b", "c" * 100_000]


@pytest.mark.usefixtures("api")
def test_no_input_gets_no_answer(call: Call, standard_input: Callable[[bytes], None]) -> None:
    standard_input(b"")
    assert call("predict", "runs/a") == (0, "", "")


@pytest.mark.usefixtures("api")
def test_a_faulty_row_has_its_error_in_its_place_and_status_1(
    call: Call, standard_input: Callable[[bytes], None]
) -> None:
    standard_input(b'[1, 2]\n[NaN]\n\n{"x": [3]}\n')
    status, out, err = call("predict", "runs/vectors")
    first, nan, blank, last = answers(out)
    assert (first, last) == ([1, 2], [3])
    assert nan.startswith("standard input, line 2: is not JSON")
    assert blank.startswith("standard input, line 3: is not JSON")
    assert status == 1
    assert err == "recurra: 2 of 4 rows have an error in place of an answer\n"


@pytest.mark.usefixtures("api")
def test_predict_takes_a_file_s_format_from_its_name_or_the_option(call: Call, tmp_path: Path) -> None:
    for name in ("a.txt", "a.csv", "a.jsonl"):
        (tmp_path / name).write_text('"x"\n"y"\n')
    assert answers(call("predict", "runs/a", tmp_path / "a.txt").out) == ['"x"', '"y"']
    assert answers(call("predict", "runs/a", tmp_path / "a.jsonl").out) == ["x", "y"]
    assert answers(call("predict", "runs/a", tmp_path / "a.csv").out) == ['None "x"', 'None "y"']
    assert answers(call("predict", "runs/a", tmp_path / "a.csv", "--from", "jsonl").out) == ["x", "y"]


@pytest.mark.usefixtures("api")
def test_a_table_may_come_through_standard_input(call: Call, standard_input: Callable[[bytes], None]) -> None:
    standard_input(b"x\ny\n")
    assert answers(call("predict", "runs/a", "--from", "csv").out) == ["csv x", "csv y"]


@pytest.mark.usefixtures("api")
def test_lines_of_text_are_refused_by_a_run_that_reads_numbers(
    call: Call, standard_input: Callable[[bytes], None]
) -> None:
    standard_input(b"x\n")
    status, out, err = call("predict", "runs/vectors", "--from", "text")
    assert (status, out) == (2, "")
    assert "give one JSON value a line" in err


@pytest.mark.usefixtures("api")
def test_info_shows_what_is_in_a_run(call: Call, tmp_path: Path) -> None:
    status, out, _ = call("info", tmp_path)
    assert status == 0
    assert out == "task: classify\nlabels: a, b\ndata:\n  path   rows\n  a.csv     3\nmodel:\n  size: 2\n"
    assert json.loads(call("info", tmp_path, "--json").out) == FakeRun().describe()


def test_doctor_tells_versions_devices_and_engines(call: Call) -> None:
    content = json.loads(call("doctor", "--json").out)
    assert content["versions"]["recurra"] == recurra.__version__
    assert content["devices"][0]["device"] == "cpu"
    engines = {row["cell"]: row for row in content["engines"]}
    native = content["native engine"]
    assert (native["usable"] == "yes" and native["instructions"] in LEVELS) or "C++17 compiler" in native["why not"]
    also = ", native" if native["usable"] == "yes" else ""
    assert engines["lstm"]["usable"] == f"loop, fused{also}"
    assert engines["mingru"]["usable"] == f"loop, scan{also}"
    assert engines["feedforward"]["why not"].startswith("fused: torch has no fused kernel")
    assert all("recurra[" in one["add it with"] for one in content["missing"])  # extras at most
    shown = call("doctor").out
    assert "versions:" in shown
    assert "  recurra: " in shown


def test_demo_shows_tables_samples_and_the_report_last(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run(*arguments: Any) -> SimpleNamespace:
        asked.extend(arguments)
        shown = SimpleNamespace(title="Cells", header=("cell", "accuracy"), rows=[("lstm", 0.5)])
        return SimpleNamespace(tables=[shown], samples=["7 is taken for 7"], report=Path("runs/d/report.html"))

    monkeypatch.setattr("recurra.demos.run", run, raising=False)
    status, out, _ = call("demo", "digits", "--out", "runs/d", "--progress", "none")
    assert status == 0
    assert asked == ["digits", Path("runs/d"), "none"]
    assert out == "Cells\ncell  accuracy\nlstm    0.5000\n\n7 is taken for 7\n\nruns/d/report.html\n"
