"""The run folder: what is saved loads, and what is damaged is refused by name."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

import recurra
from recurra.errors import DataError, InputError, RunError

OPTIONS = {"epochs": 2, "hidden_size": 4, "embedding_size": 4, "threads": 1}
ROWS = [("a fine film", "good"), ("a bad film", "bad"), ("so fine", "good"), ("so bad", "bad")] * 6


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    return path


@pytest.fixture(scope="module")
def trained(csv: Path) -> Path:
    return recurra.train("classify", data=csv, out=csv.parent / "run", **OPTIONS).path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_loaded_run_answers_as_the_trained_one(trained: Path) -> None:
    one, other = recurra.load(trained), recurra.load(trained)
    assert one.predict(["a fine day", ""]) == other.predict(["a fine day", ""])
    assert one.evaluate()["accuracy"] == one.result["accuracy"]
    assert one.describe()["labels"] == ["bad", "good"]
    assert "accuracy=" in repr(one)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (name, damage)
        for name in ("model.safetensors", "features.json", "config.toml", "manifest.json", "result.json")
        for damage in ("cut", "empty", "missing")
        if (name, damage) != ("manifest.json", "missing")  # that is a training that has not ended
    ],
)
def test_a_damaged_file_is_refused_by_name(name: str, damage: str, run: Path) -> None:
    path = run / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        recurra.load(run)


@pytest.mark.parametrize("name", ["model.safetensors", "features.json", "config.toml", "manifest.json"])
@pytest.mark.parametrize("place", [0.05, 0.5, 0.95])
def test_a_flipped_byte_is_refused_or_changes_no_answer(name: str, place: float, run: Path) -> None:
    before = recurra.load(run).predict(["a fine film", "so bad"])
    content = bytearray((run / name).read_bytes())
    content[int(place * len(content))] ^= 0x01
    (run / name).write_bytes(content)
    with contextlib.suppress(RunError):
        assert recurra.load(run).predict(["a fine film", "so bad"]) == before


def test_two_ids_exchanged_in_the_vocabulary_are_refused(run: Path) -> None:
    path = run / "features.json"
    content = json.loads(path.read_text())
    vocabulary = content["features"]["vocabulary"]
    vocabulary[-1], vocabulary[-2] = vocabulary[-2], vocabulary[-1]
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"features\.json is damaged"):
        recurra.load(run)


def test_files_of_another_run_are_refused(run: Path, csv: Path, tmp_path: Path) -> None:
    other = recurra.train("classify", data=csv, out=tmp_path / "other", seed=5, **OPTIONS).path
    shutil.copy(other / "model.safetensors", run / "model.safetensors")
    with pytest.raises(RunError, match=r"model\.safetensors is damaged, or of another run"):
        recurra.load(run)


def test_a_comment_in_the_configuration_changes_nothing(run: Path) -> None:
    path = run / "config.toml"
    path.write_text("# mine\n" + path.read_text())
    recurra.load(run)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such folder"):
        recurra.load(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"no manifest\.json"):
        recurra.load(tmp_path)


def test_a_run_is_never_overwritten_silently(run: Path, csv: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds a run already"):
        recurra.train("classify", data=csv, out=run, **OPTIONS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="other things in it"):
            recurra.train("classify", data=csv, out=tmp_path / "mine", overwrite=overwrite, **OPTIONS)
    again = recurra.train("classify", data=csv, out=run, overwrite=True, seed=9, **OPTIONS)
    assert recurra.load(run).settings.training.seed == 9 and again.path == run


def test_a_training_that_has_not_ended_says_how_to_go_on_and_does(trained: Path, run: Path) -> None:
    (run / "manifest.json").unlink()
    with pytest.raises(RunError, match="recurra train --resume"):
        recurra.load(run)
    weights = recurra.resume(run).model.state_dict()
    assert all(value.equal(weights[name]) for name, value in recurra.load(trained).model.state_dict().items())


def test_data_that_changed_since_are_refused(csv: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    shutil.copy(csv, mine)
    run = recurra.train("classify", data=mine, out=tmp_path / "run", **OPTIONS)
    mine.write_text(mine.read_text() + "more,good\n")
    with pytest.raises(DataError, match="has changed since"):
        run.evaluate()
    mine.unlink()
    with pytest.raises(DataError, match="no longer there"):
        run.evaluate()


def test_python_objects_are_not_remembered(tmp_path: Path) -> None:
    data = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
    run = recurra.train("classify", data=data, out=tmp_path / "run", **OPTIONS)
    with pytest.raises(InputError, match="came as Python objects"):
        recurra.load(run.path).evaluate()
    assert 0 <= run.evaluate(data)["accuracy"] <= 1


def test_nothing_in_a_run_is_a_pickle(trained: Path) -> None:
    for path in trained.rglob("*"):
        if path.is_file():
            head = path.read_bytes()[:2]
            assert head not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"), path
