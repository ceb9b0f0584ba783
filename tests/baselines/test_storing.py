"""Baselines in a run's files: the same answers to the last bit, and damage refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from recurra.baselines import Baselines, fit_baselines, from_files, to_files
from recurra.errors import RunError

TEXTS = ["a fine film", "a bad film", "so \udc80 fine", "so bad", "映画 fine", "bad bad"]
VECTORS = [[1.0, 2.0], [0.0, 1.0], [3.0, np.nan], [4.0, 1.0], [2.0, 2.0], [5.0, 0.5]]
SERIES = [np.outer(np.arange(2.0 + row), [1.0, -row]) for row in range(6)]
INPUTS: dict[str, Any] = {"text": TEXTS, "vector": VECTORS, "series": SERIES}
TARGETS: dict[str, Any] = {
    "classes": [0, 1, 0, 1, 2, 1],
    "marks": [[0, 1], [1, 1], [0, 1], [1, 0], [0, 0], [1, 0]],
    "numbers": [0.3, 1.7, -2.0, 4.0, 5.5, 0.1],
}


def fitted(kind: Any = "classes", input_kind: Any = "text") -> Baselines:
    return fit_baselines(kind, input_kind, INPUTS[input_kind], TARGETS[kind])


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("input_kind", INPUTS)
def test_loaded_baselines_answer_as_the_fitted_ones(kind: str, input_kind: str) -> None:
    one = fitted(kind, input_kind)
    files = to_files(one)
    other = from_files(files, outputs={"classes": 3, "marks": 2, "numbers": 1}[kind])
    inputs = INPUTS[input_kind]
    for name in one.names:
        np.testing.assert_array_equal(one.predict(name, inputs), other.predict(name, inputs))
    rows = one.features.transform(inputs)
    np.testing.assert_array_equal(one.linear.scores(rows), other.linear.scores(other.features.transform(inputs)))
    assert (other.seconds, other.rows, other.linear.setting) == (one.seconds, one.rows, one.linear.setting)
    assert to_files(other) == files


def words(change: Callable[[dict[str, Any]], object], files: dict[str, bytes]) -> dict[str, bytes]:
    content = json.loads(files["baselines.json"])
    change(content)
    return files | {"baselines.json": json.dumps(content).encode()}


def numbers(change: Callable[[dict[str, Any]], object], files: dict[str, bytes]) -> dict[str, bytes]:
    arrays = safetensors.numpy.load(files["baselines.safetensors"])
    change(arrays)
    return files | {"baselines.safetensors": safetensors.numpy.save(arrays)}


WORDS_DAMAGE: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "another format": ("text", lambda content: content.update(format=2)),
    "an unknown kind": ("text", lambda content: content.update(kind="cats")),
    "a kind that is a list": ("text", lambda content: content.update(kind=[])),
    "another kind of input": ("text", lambda content: content.update(input_kind="vector")),
    "no n-grams": ("text", lambda content: content.pop("ngrams")),
    "n-grams of numbers": ("text", lambda content: content["ngrams"].update(word=[1])),
    "an n-gram twice": ("text", lambda content: content["ngrams"]["word"].__setitem__(1, content["ngrams"]["word"][0])),
    "n-grams exchanged": ("text", lambda content: content["ngrams"]["char_wb"].reverse()),
    "an empty n-gram": ("text", lambda content: content["ngrams"]["word"].__setitem__(0, "")),
    "no seconds": ("text", lambda content: content.update(seconds={})),
    "seconds without end": ("text", lambda content: content["seconds"].update(linear=float("inf"))),
    "seconds of a thousand digits": ("text", lambda content: content["seconds"].update(linear=10**1000)),
    "rows below those fitted": ("text", lambda content: content.update(rows=[1, 2])),
    "rows that are true": ("text", lambda content: content.update(rows=[True, True])),
    "a setting that is a list": ("text", lambda content: content.update(setting=[1])),
    "a setting of text": ("text", lambda content: content["setting"].update(C="1; import os")),
    "no width": ("vector", lambda content: content.pop("width")),
    "a width below zero": ("vector", lambda content: content.update(width=-1)),
}
NUMBERS_DAMAGE: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "no weight": ("text", lambda arrays: arrays.pop("weight")),
    "a weight of another kind": ("text", lambda arrays: arrays.update(weight=arrays["weight"].astype(np.float64))),
    "a weight of fewer features": ("text", lambda arrays: arrays.update(weight=arrays["weight"][:, 1:].copy())),
    "a weight of one dimension": ("text", lambda arrays: arrays.update(weight=arrays["weight"].ravel())),
    "a weight that is no number": ("text", lambda arrays: arrays["weight"].fill(np.nan)),
    "a scale without end": ("text", lambda arrays: arrays["scale"].fill(np.inf)),
    "one idf too many": ("text", lambda arrays: arrays.update({"idf.word": np.ones(99, np.float32)})),
    "outputs exchanged": ("text", lambda arrays: arrays.update(outputs=arrays["outputs"][::-1].copy())),
    "outputs below zero": ("text", lambda arrays: arrays.update(outputs=arrays["outputs"] - 1)),
    "outputs beyond the classes": ("text", lambda arrays: arrays.update(outputs=arrays["outputs"] + 1)),
    "a constant beyond the classes": ("text", lambda arrays: arrays.update(constant=np.array(3))),
    "a constant below zero": ("text", lambda arrays: arrays.update(constant=np.array(-1))),
    "a spread of zero": ("vector", lambda arrays: arrays["std"].fill(0)),
    "a mean too short": ("vector", lambda arrays: arrays.update(mean=arrays["mean"][:1].copy())),
}


@pytest.mark.parametrize("damage", WORDS_DAMAGE)
def test_a_word_that_cannot_be_is_refused(damage: str) -> None:
    input_kind, change = WORDS_DAMAGE[damage]
    with pytest.raises(RunError, match=r"/runs/a/baselines\.(json|safetensors) is damaged: \w+"):
        from_files(words(change, to_files(fitted("classes", input_kind))), Path("/runs/a"), outputs=3)


@pytest.mark.parametrize("damage", NUMBERS_DAMAGE)
def test_a_number_that_cannot_be_is_refused(damage: str) -> None:
    input_kind, change = NUMBERS_DAMAGE[damage]
    with pytest.raises(RunError, match=r"/runs/a/baselines\.safetensors is damaged: [\w.]+ is expected to be"):
        from_files(numbers(change, to_files(fitted("classes", input_kind))), Path("/runs/a"), outputs=3)


def test_marks_and_numbers_have_the_outputs_of_the_run() -> None:
    with pytest.raises(RunError, match="of the 3 outputs"):
        from_files(to_files(fitted("marks")), outputs=3)
    with pytest.raises(RunError, match="one output for each label"):
        from_files(numbers(lambda arrays: arrays.update(constant=np.array([1, 0, 1])), to_files(fitted("marks"))))
    with pytest.raises(RunError, match="a class, or marks 0 and 1"):
        from_files(numbers(lambda arrays: arrays.update(constant=np.array([1, 2])), to_files(fitted("marks"))))
    with pytest.raises(RunError, match="one output for numbers"):
        from_files(numbers(lambda arrays: arrays.update(outputs=np.array([1])), to_files(fitted("numbers"))))


@pytest.mark.parametrize("name", ["baselines.json", "baselines.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "nested", "bytes"])
def test_a_file_that_is_none_is_refused_by_name(name: str, damage: str) -> None:
    files = to_files(fitted())
    content = files.pop(name)
    other = {"empty": b"", "cut": content[: len(content) // 2], "nested": b"[" * 100_000, "bytes": b"\xff" * 100}
    if damage != "missing":
        files[name] = other[damage]
    with pytest.raises(RunError, match=rf"{name} is (missing|damaged)".replace(".", r"\.")):
        from_files(files)


@pytest.fixture(scope="module")
def stored() -> dict[str, bytes]:
    return to_files(fitted())


@given(data=st.data())
def test_any_byte_changed_is_refused_or_loads_whole(stored: dict[str, bytes], data: st.DataObject) -> None:
    files = dict(stored)
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        loaded = from_files(files | {name: bytes(content)}, outputs=3)
    except RunError as error:
        assert "baselines" in str(error)  # a change of one file may show in the other
    else:
        assert set(loaded.predict("linear", TEXTS)) <= {0, 1, 2}
