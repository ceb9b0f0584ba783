"""Trackers hear of every evaluation; one that is missing is named before training, one that dies never stops it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import recurra
from recurra.errors import MissingExtra, SettingsError
from recurra.settings.structure import from_keywords
from recurra.training.progress import ProgressDisplay
from recurra.training.protocol import Interrupted
from recurra.training.trackers import Tracker, tracked
from recurra.training.trackers.tracker import TRACKERS, TensorBoard, make_trackers

DATA = {"text": ["good film", "bad film"] * 20, "label": ["g", "b"] * 20}
SMALL: dict[str, Any] = {"data": DATA, "epochs": 3, "hidden_size": 4, "embedding_size": 4, "threads": 1}


class Noting(ProgressDisplay):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.evaluations: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.closed = False

    def evaluation(self, record: dict[str, Any]) -> None:
        self.evaluations.append(record)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def close(self) -> None:
        self.closed = True


class Faulty(Tracker):
    """Fails or hangs in one of its methods."""

    def __init__(self, where: str, how: str) -> None:
        super().__init__(None)
        self.where, self.how = where, how
        self.calls: list[str] = []
        self.release = threading.Event()

    def start(self, folder: Path, settings: Mapping[str, Any], resumed: bool) -> None:
        self._meet("start")

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._meet("log")

    def finish(self, status: str) -> None:
        self._meet("finish")

    def _meet(self, place: str) -> None:
        self.calls.append(place)
        if place == self.where and self.how == "fails":
            raise OSError("no route\nto host")
        if place == self.where:
            self.release.wait(20)


def lines(run: recurra.Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_holds_the_numbers_of_every_evaluation(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    run = recurra.train("classify", **SMALL, track="tensorboard", out=tmp_path / "a")
    found: dict[str, list[tuple[int, float]]] = {}
    for path in (run.path / "tensorboard").iterdir():
        content, at = path.read_bytes(), 0
        while at < len(content):  # each record: length (8 bytes), its checksum (4), the event, its checksum (4)
            size = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    expected = lines(run)
    assert len(expected) == 3
    for name in ("train_loss", "valid_accuracy", "learning_rate", "seconds"):
        assert found[name] == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in expected]
    assert set(found) == set(expected[0]) - {"step"}


def test_trackio_holds_the_numbers_of_every_evaluation(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    program = (
        "import sys, json, recurra\n"
        "run = recurra.train('classify', track='trackio', out=sys.argv[1], **json.loads(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "runs" / "a"), json.dumps(SMALL)]
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path / "store"), "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "store" / "recurra.db")) as store:
        rows = store.execute("select run_name, step, metrics from metrics order by step").fetchall()
    expected = [json.loads(line) for line in (tmp_path / "runs" / "a" / "metrics.jsonl").read_text().splitlines()]
    assert [(name, step) for name, step, _ in rows] == [("a", line["step"]) for line in expected]
    stored = [json.loads(numbers) for _, _, numbers in rows]
    assert stored == [{name: value for name, value in line.items() if name != "step"} for line in expected]


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What fakes of wandb and mlflow were told, in order."""
    told: list[tuple[Any, ...]] = []

    def teller(name: str, answer: Any = None) -> Any:
        def tell(*arguments: Any, **keywords: Any) -> Any:
            told.append((name, *arguments, keywords))
            return answer

        return tell

    run = SimpleNamespace(log=teller("log"), finish=teller("finish"))
    wandb = SimpleNamespace(init=teller("init", run), Settings=lambda **keywords: keywords)
    names = ("set_experiment", "start_run", "log_params", "log_metrics", "end_run")
    monkeypatch.setitem(sys.modules, "wandb", wandb)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(**{name: teller(name) for name in names}))  # type: ignore[arg-type]
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return told


def test_a_fake_wandb_is_told_everything_and_stays_offline_without_a_key(
    tmp_path: Path, spoken: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recurra.train("classify", **SMALL, track=["wandb"], out=tmp_path / "a")
    assert [one[0] for one in spoken] == ["init", "log", "log", "log", "finish"]
    begun = spoken[0][1]
    assert (begun["mode"], begun["name"], begun["dir"]) == ("offline", "a", str(tmp_path / "a"))
    assert (begun["config"]["hidden_size"], begun["config"]["track"]) == (4, "wandb")
    assert begun["settings"] == {"silent": True, "console": "off"}
    for (_, numbers, keywords), line in zip(spoken[1:4], lines(run), strict=True):
        assert keywords == {"step": line["step"]}
        assert numbers == {name: value for name, value in line.items() if name != "step"}
    assert spoken[4] == ("finish", {"exit_code": 0})
    spoken.clear()
    monkeypatch.setenv("WANDB_API_KEY", "k")
    recurra.train("classify", **SMALL, track=["wandb"], out=tmp_path / "b")
    assert spoken[0][1]["mode"] == "online"


def test_a_fake_mlflow_is_told_everything(tmp_path: Path, spoken: list[tuple[Any, ...]]) -> None:
    run = recurra.train("classify", **SMALL, track="mlflow", out=tmp_path / "a")
    calls = ["set_experiment", "start_run", "log_params", "log_metrics", "log_metrics", "log_metrics", "end_run"]
    assert [one[0] for one in spoken] == calls
    assert spoken[1] == ("start_run", {"run_name": "a"})
    assert spoken[3][1]["valid_accuracy"] == lines(run)[0]["valid_accuracy"]
    assert spoken[3][2] == {"step": lines(run)[0]["step"]}
    assert spoken[-1] == ("end_run", "FINISHED", {})


def test_the_status_says_how_training_ended(tmp_path: Path, spoken: list[tuple[Any, ...]]) -> None:
    for error, status in ((ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")):
        with pytest.raises(error), tracked(Noting(), make_trackers(["mlflow"]), tmp_path, {}):
            raise error
        assert spoken[-1] == ("end_run", status, {})


def test_a_training_that_is_stopped_and_resumed_is_told_so(
    tmp_path: Path, spoken: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    start, log = TRACKERS["mlflow"].start, TRACKERS["mlflow"].log

    def note_start(self: Tracker, folder: Path, settings: Mapping[str, Any], resumed: bool) -> None:
        begun.append(resumed)
        start(self, folder, settings, resumed)

    def log_and_stop(self: Tracker, step: int, numbers: Mapping[str, float]) -> None:
        log(self, step, numbers)
        if begun == [False]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TRACKERS["mlflow"], "start", note_start)
    monkeypatch.setattr(TRACKERS["mlflow"], "log", log_and_stop)
    with pytest.raises(Interrupted):
        recurra.train("classify", **SMALL | {"epochs": 100, "patience": 0}, track="mlflow", out=tmp_path / "a")
    assert spoken[-1] == ("end_run", "KILLED", {})
    config = tmp_path / "a" / "config.toml"
    config.write_text(config.read_text().replace('track = ["mlflow"]', 'track = ["mlflow", "wandb"]'))
    spoken.clear()
    resumed = recurra.resume(tmp_path / "a", data=DATA)
    assert begun == [False, True]
    assert {"init", "start_run"} <= {one[0] for one in spoken}
    assert spoken[-1][0] in ("end_run", "finish")
    steps = [line["step"] for line in lines(resumed)]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_library_is_one_sentence_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = TRACKERS[name].module  # type: ignore[index]
    package = module if name in ("wandb", "mlflow") else r"recurra\[track\]"
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(MissingExtra, match=rf"{module} cannot be imported .*pip install '{package}'"):
        recurra.train("classify", data=tmp_path / "nowhere.csv", track=name, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("where", ["start", "log", "finish"])
def test_a_tracker_that_fails_is_named_once_and_dropped(tmp_path: Path, where: str) -> None:
    display, tracker = Noting(), Faulty(where, "fails")
    with tracked(display, {"tensorboard": tracker}, tmp_path, {}) as progress:
        for step in range(3):
            progress.evaluation({"step": step, "train_loss": 1.0})
        progress.close()
    assert len(display.evaluations) == 3
    assert display.closed
    assert display.notes == ["tracker tensorboard: OSError: no route to host; training goes on without it"]
    assert tracker.calls[-1] == where


@pytest.mark.parametrize("where", ["start", "log", "finish"])
def test_a_tracker_that_hangs_is_left_after_a_while_and_the_others_finish(tmp_path: Path, where: str) -> None:
    display, hanging, sound = Noting(), Faulty(where, "hangs"), Faulty("", "")
    with tracked(display, {"wandb": hanging, "mlflow": sound}, tmp_path, {}, finish_seconds=0.3) as progress:
        progress.evaluation({"step": 1, "train_loss": 1.0})
    hanging.release.set()
    assert display.notes == ["tracker wandb: TimeoutError: it does not come to an end; training goes on without it"]
    assert sound.calls == ["start", "log", "finish"]


def test_a_training_whose_tracker_dies_ends_as_one_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")

    def fail(*_: Any) -> None:
        raise RuntimeError("dead")

    plain = recurra.train("classify", **SMALL, out=tmp_path / "a")
    monkeypatch.setattr(TensorBoard, "log", fail)
    other = recurra.train("classify", **SMALL, track="tensorboard", out=tmp_path / "b")
    assert (plain.path / "model.safetensors").read_bytes() == (other.path / "model.safetensors").read_bytes()


def test_no_tracker_is_on_by_itself_and_a_wrong_name_is_refused() -> None:
    assert from_keywords("classify").training.track == ()
    assert from_keywords("classify", track="trackio").training.track == ("trackio",)
    with pytest.raises(SettingsError, match="track: 'tensorbord' is not known; did you mean 'tensorboard'"):
        from_keywords("classify", track=["trackio", "tensorbord"])
    with pytest.raises(SettingsError, match="track: 3 is none of tensorboard, trackio, wandb, mlflow"):
        from_keywords("classify", track=3)
    with pytest.raises(SettingsError, match="names one tracker twice"):
        from_keywords("classify", track=["trackio", "trackio"])


def test_numbers_that_are_not_finite_are_left_out(tmp_path: Path, spoken: list[tuple[Any, ...]]) -> None:
    with tracked(Noting(), make_trackers(["mlflow"]), tmp_path, {}) as progress:
        progress.evaluation({"step": 7, "valid_loss": None, "a": float("nan"), "b": 2})
    assert ("log_metrics", {"b": 2.0}, {"step": 7}) in spoken
