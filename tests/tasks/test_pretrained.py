"""A training that starts from pretrained word vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import workflow
from recurra.data.partition import Given
from recurra.errors import DataError, RecurraError, SettingsError
from recurra.run import Run
from recurra.settings.structure import from_keywords
from recurra.training.progress import ProgressDisplay

STILL: dict[str, Any] = {"epochs": 1, "hidden_size": 4, "lr": 1e-12, "weight_decay": 0.0, "threads": 1}
LEARNING = STILL | {"lr": 0.01, "epochs": 2}
ROWS = {"text": ["a fine film", "a bad film", "so fine", "so bad"] * 8, "label": ["good", "bad"] * 16}
NUMBERS = {"text": ROWS["text"], "target": [1.0, -1.0] * 16}
VECTORS = {"fine": [1.0, 2.0, 3.0], "bad": [-1.0, -2.0, -3.0], "elsewhere": [9.0, 9.0, 9.0]}


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text("".join(f"{word} {' '.join(map(str, numbers))}\n" for word, numbers in VECTORS.items()))
    return path


def table(run: Run) -> dict[str, list[float]]:
    """Token → its row of the token table."""
    weights = run.model.state_dict()["frontend.token.weight"]
    return dict(zip(run.parts.features.vocabulary.tokens, weights.tolist(), strict=True))  # type: ignore[union-attr]


def unfinish(run: Run) -> None:
    """Back to the moment before the first checkpoint."""
    for path in run.path.rglob("*"):
        if path.name in ("manifest.json", "model.safetensors", "metrics.jsonl") or path.parent.name == "checkpoints":
            path.unlink()


class Notes(ProgressDisplay):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def evaluation(self, record: dict[str, Any]) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_words_of_the_file_start_with_its_vectors_and_the_others_with_fresh_ones(
    task: str, vectors: Path, tmp_path: Path
) -> None:
    data = ROWS if task == "classify" else NUMBERS
    run = recurra.train(task, data=data, embeddings=vectors, out=tmp_path / "run", **STILL)
    fresh = recurra.train(task, data=data, embedding_size=3, out=tmp_path / "fresh", **STILL)
    assert run.settings.text.embedding_size == 3
    for token, numbers in table(run).items():
        expected = VECTORS.get(token, table(fresh)[token])
        np.testing.assert_allclose(numbers, expected, rtol=1e-6, atol=1e-7, err_msg=token)
    for name, tensor in fresh.model.state_dict().items():
        if name != "frontend.token.weight":
            torch.testing.assert_close(run.model.state_dict()[name], tensor, rtol=1e-6, atol=1e-7)
    assert run.result["embeddings_found"] == 0.4  # 2 of a, bad, film, fine, so
    assert "embeddings_found" not in fresh.result


def test_the_share_of_words_found_is_noted(vectors: Path, tmp_path: Path) -> None:
    display = Notes()
    settings = from_keywords("classify", embeddings=vectors, **STILL)
    workflow.train("classify", settings, given=Given(ROWS), out=tmp_path / "run", overwrite=False, progress=display)
    assert display.notes == ["embeddings: 2 of 5 tokens have a vector in vectors.txt (40.0%)"]


def test_a_finished_run_does_without_the_file(vectors: Path, tmp_path: Path) -> None:
    run = recurra.train("classify", data=ROWS, embeddings=vectors, out=tmp_path / "run", **LEARNING)
    vectors.unlink()
    loaded = recurra.load(run.path)
    assert loaded.predict(["a fine film", ""]) == run.predict(["a fine film", ""])
    assert loaded.evaluate(ROWS) == run.evaluate(ROWS)
    assert json.loads((run.path / "features.json").read_text())["embeddings"]["found"] == 2


@pytest.mark.parametrize("refit", [False, True])
def test_a_training_stopped_before_its_first_checkpoint_starts_from_the_vectors_again(
    refit: bool, vectors: Path, tmp_path: Path
) -> None:
    whole, cut = (
        recurra.train("classify", data=ROWS, embeddings=vectors, refit=refit, out=tmp_path / name, **LEARNING)
        for name in ("whole", "cut")
    )
    assert VECTORS["fine"] != table(whole)["fine"] and table(whole)["fine"][2] > 2.5  # learned, from there
    unfinish(cut)
    resumed = recurra.resume(cut.path, data=ROWS)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name
    assert resumed.result["embeddings_found"] == 0.4


def test_a_resume_needs_the_same_file_until_the_first_checkpoint_only(vectors: Path, tmp_path: Path) -> None:
    run = recurra.train("classify", data=ROWS, embeddings=vectors, out=tmp_path / "run", **LEARNING)
    content = vectors.read_text()
    (run.path / "manifest.json").unlink()
    vectors.unlink()
    recurra.resume(run.path, data=ROWS)  # it has a checkpoint
    unfinish(run)
    with pytest.raises(DataError, match=r"vectors\.txt: was part of this run and is no longer there"):
        recurra.resume(run.path, data=ROWS)
    vectors.write_text(content.replace("1.0", "1.5"))
    with pytest.raises(DataError, match=r"vectors\.txt: has changed since this run began"):
        recurra.resume(run.path, data=ROWS)
    vectors.write_text(content)
    recurra.resume(run.path, data=ROWS)


def test_the_path_is_recorded_whole(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = recurra.train("classify", data=ROWS, embeddings="vectors.txt", out=tmp_path / "run", **STILL)
    assert run.settings.text.embeddings == str(vectors)
    assert f'embeddings = "{vectors}"' in (run.path / "config.toml").read_text()


@pytest.mark.parametrize("unit", ["char", "bpe"])
def test_other_units_take_the_vectors_of_their_tokens(unit: str, vectors: Path, tmp_path: Path) -> None:
    vectors.write_text("f 7 8\n")
    run = recurra.train(
        "classify", data=ROWS, embeddings=vectors, unit=unit, vocabulary_size=300, out=tmp_path / "run", **STILL
    )
    assert table(run)["f"] == [7.0, 8.0]


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"embedding_size": 4}, SettingsError, r"embedding_size: it is 4, and the vectors of .* have 3 numbers; leave"),
        ({"data": {"input": [[1.0], [2.0]] * 9, "label": [1, 2] * 9}}, SettingsError, "embeddings: they are for texts"),
        ({"lowercase": False, "data": {"text": ["A B", "C"] * 9, "label": [1, 2] * 9}}, DataError, "none of the 3 tok"),
        ({"embeddings": "nowhere.txt"}, DataError, r"nowhere\.txt: cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: dict[str, Any], error: type[RecurraError], sentence: str, vectors: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"data": ROWS, "embeddings": vectors, "out": tmp_path / "run"} | STILL | change
    with pytest.raises(error, match=sentence):
        recurra.train("classify", **options)
    assert not (tmp_path / "run").exists()


def test_vectors_and_a_run_to_start_from_are_refused_together(vectors: Path, tmp_path: Path) -> None:
    run = recurra.train("classify", data=ROWS, embeddings=vectors, out=tmp_path / "run", **STILL)
    with pytest.raises(SettingsError, match="embeddings: the vectors come from the run to start from; leave it out"):
        recurra.train("classify", data=ROWS, embeddings=vectors, init=run.path, out=tmp_path / "next", **STILL)
    again = recurra.train("classify", data=ROWS, init=run.path, out=tmp_path / "next", **STILL)
    np.testing.assert_allclose(table(again)["fine"], VECTORS["fine"], rtol=1e-6)
