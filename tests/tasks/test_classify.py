"""classify through its Python calls: kinds of input, several labels, determinism, answers."""

from __future__ import annotations

import random
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra.data.partition import Given, partition
from recurra.errors import DataError, InputError, SettingsError
from recurra.settings.structure import from_keywords
from recurra.tasks import Classify, ManyToOneTraining

QUICK: dict[str, Any] = {"epochs": 8, "hidden_size": 16, "lr": 0.02, "threads": 1, "patience": 0}


def texts(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Texts whose label is the word that comes first of two: order matters."""
    draw = random.Random(seed)
    found: dict[str, list[Any]] = {"text": [], "label": []}
    for _ in range(rows):
        words = [draw.choice("abcdefgh") for _ in range(draw.randint(0, 5))]
        first, second = draw.sample(["good", "bad"], 2)
        words.insert(draw.randint(0, len(words)), second)
        words.insert(draw.randint(0, words.index(second)), first)
        found["text"].append(" ".join(words))
        found["label"].append(first)
    return found


def waves(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Series of two features, slow or fast, of unequal length."""
    draw = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {"input": [], "target": []}
    for row in range(rows):
        steps, speed = int(draw.integers(8, 20)), (0.3, 1.2)[row % 2]
        phase = draw.uniform(0, 6)
        t = np.arange(steps) * speed + phase
        found["input"].append(np.stack([np.sin(t), np.cos(t)], 1) + 0.05 * draw.normal(size=(steps, 2)))
        found["target"].append(("slow", "fast")[row % 2])
    return found


def test_order_is_learned_from_texts(tmp_path: Path) -> None:
    run = recurra.train("classify", data=texts(400), out=tmp_path / "run", embedding_size=16, **QUICK)
    assert run.evaluate(texts(100, seed=1))["accuracy"] > 0.9
    answer = run.predict(["a good b bad", "bad good"])
    assert [one.label for one in answer] == ["good", "bad"]
    assert sum(answer[0].probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("unit", ["char", "bpe"])
def test_characters_and_subwords_are_units_too(unit: str, tmp_path: Path) -> None:
    run = recurra.train(
        "classify", data=texts(400), out=tmp_path / "run", unit=unit, vocabulary_size=300, pooling="max", **QUICK
    )
    assert run.evaluate(texts(100, seed=1))["accuracy"] > 0.8
    again = recurra.load(run.path)
    assert again.predict(["bad good"]) == run.predict(["bad good"])


def test_series_of_vectors_are_classified_and_scaled_by_the_run(tmp_path: Path) -> None:
    run = recurra.train("classify", data=waves(200), out=tmp_path / "run", **QUICK)
    assert run.evaluate(waves(60, seed=1))["accuracy"] > 0.95


def test_single_vectors_take_a_model_without_recurrence(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=200), draw.normal(size=200)
    data = {"a": a, "b": b, "label": ["up" if x * y > 0 else "down" for x, y in zip(a, b, strict=True)]}
    run = recurra.train("classify", data=data, input=["a", "b"], out=tmp_path / "run", **(QUICK | {"epochs": 30}))
    assert run.settings.model.cell == "feedforward"
    assert run.evaluate(data)["accuracy"] > 0.9
    assert run.predict({"a": [1.0, 1.0], "b": [1.0, -1.0]})[1].label == "down"


def test_several_labels_a_row(tmp_path: Path) -> None:
    draw = random.Random(0)
    marks = [[word for word in ("red", "blue", "green") if draw.random() < 0.5] for _ in range(300)]
    data = {"text": [" ".join(["x", *own, "y"]) for own in marks], "label": marks}
    run = recurra.train("classify", data=data, out=tmp_path / "run", pooling="max", **(QUICK | {"epochs": 20}))
    metrics = run.evaluate({"text": ["x red blue y", "x y"], "label": [["red", "blue"], []]})
    assert metrics["accuracy"] == 1.0 and metrics["hamming_accuracy"] == 1.0
    answer = run.predict(["x green y"])[0]
    assert answer.label == ("green",) and len(answer.probabilities) == 3
    assert not (run.path / "plots" / "confusion.png").exists()


def test_a_row_is_answered_alike_alone_and_among_others(tmp_path: Path) -> None:
    data = texts(60)
    run = recurra.train(
        "classify", data=data, out=tmp_path / "run", bidirectional=True, pooling="mean+last", **(QUICK | {"epochs": 1})
    )
    together = run.predict([*data["text"], ""])
    for row in (0, 7, 60):
        alone = run.predict([[*data["text"], ""][row]])[0]
        assert alone.label == together[row].label
        for name, value in alone.probabilities.items():
            assert value == pytest.approx(together[row].probabilities[name], abs=1e-5)


def test_the_same_seed_gives_the_same_weights_and_the_callers_generator_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    options = QUICK | {"epochs": 2, "word_dropout": 0.2, "char_noise": 0.1}
    runs = [recurra.train("classify", data=texts(80), out=tmp_path / name, **options) for name in ("one", "other")]
    one, other = (run.model.state_dict() for run in runs)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(before, torch.random.get_rng_state())
    different = recurra.train("classify", data=texts(80), out=tmp_path / "third", seed=1, **options).model.state_dict()
    assert not all(torch.equal(one[name], different[name]) for name in one)


def test_balanced_weights_and_averages_train_too(tmp_path: Path) -> None:
    data = texts(300)
    run = recurra.train(
        "classify",
        data=data,
        out=tmp_path / "run",
        class_weights="balanced",
        average=0.9,
        label_smoothing=0.1,
        accumulate=2,
        batch_tokens=200,
        char_ngrams=True,
        ngram_buckets=500,
        num_layers=2,
        residual=True,
        **(QUICK | {"lr": 0.03}),
    )
    assert run.result["valid_accuracy"] > 0.8


def test_logit_adjustment_finds_more_of_a_rare_class(tmp_path: Path) -> None:
    draw = random.Random(0)
    rare = [draw.random() < 0.1 for _ in range(400)]
    data = {
        "x": [draw.gauss(1.0 if one else 0.0, 1.0) for one in rare],
        "y": [draw.gauss(0.0, 1.0) for _ in rare],
        "label": ["rare" if one else "common" for one in rare],
    }
    found = []
    for strength in (0.0, 1.0):
        run = recurra.train(
            "classify", data=data, input=["x", "y"], out=tmp_path / str(strength), logit_adjustment=strength, **QUICK
        )
        found.append(sum(answer.label == "rare" for answer in run.predict({"x": data["x"], "y": data["y"]})))
    assert found[0] < 0.05 * len(rare) and 0.15 * len(rare) < found[1] < 0.5 * len(rare)


@pytest.mark.parametrize("label", ["one", "several"])
def test_two_passes_without_dropout_agree_and_with_it_their_disagreement_is_added(label: str, tmp_path: Path) -> None:
    data = texts(40)
    if label == "several":
        data["label"] = [[one] for one in data["label"]]
    losses = {}
    for rdrop, dropout in ((0.0, 0.0), (4.0, 0.0), (0.0, 0.5), (4.0, 0.5), (8.0, 0.5)):
        settings = from_keywords("classify", rdrop=rdrop, output_dropout=dropout, embedding_dropout=dropout)
        parts = partition(settings.data, 0, Given(data=data))
        task = Classify.fit_features(settings, parts.train)
        training = ManyToOneTraining(task, task.examples(parts.train), task.examples(parts.valid))
        task.model.train()
        torch.manual_seed(3)
        total, count = training.loss(training.batch([0, 1, 2, 3, 4], 0))
        losses[rdrop, dropout] = (total / count).item()
    assert losses[4.0, 0.0] == pytest.approx(losses[0.0, 0.0], abs=1e-6)
    added = losses[8.0, 0.5] - losses[4.0, 0.5]
    assert added > 1e-4
    assert losses[4.0, 0.5] - added == pytest.approx(losses[0.0, 0.5], abs=0.1)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"target": "lable"}, DataError, "did you mean 'label'"),
        ({"input": "txt"}, DataError, "did you mean 'text'"),
        ({"hiden_size": 3}, SettingsError, "did you mean 'hidden_size'"),
        ({"cell": "ltsm"}, SettingsError, "lstm"),
        ({"dropout": 0.5}, SettingsError, "acts between layers"),
        ({"metric": "bleu"}, SettingsError, "'bleu' is not measured here"),
        ({"metric": "micro_f1"}, SettingsError, "'micro_f1' is not measured here"),
        ({"data": None}, InputError, "no data is given"),
        ({"input_kind": "series"}, DataError, "inputs are texts"),
        ({"valid": {"text": ["x"], "label": ["awful"]}}, DataError, "'awful' was never seen in training"),
        ({"data": {"text": ["x", "y"] * 9, "label": ["a"] * 18}}, DataError, "has the label 'a'|have the label 'a'"),
        ({"data": {"text": ["x", "", "y", "z"] * 9, "label": ["a", "b"] * 18}}, DataError, "the input is empty"),
        ({"data": {"text": ["x"], "label": ["a"]}}, DataError, "too few"),
        ({"device": "cuda:99"}, SettingsError, "cuda"),
        (
            {"data": {"text": ["x", "y"] * 9, "label": [["a"], ["b"]] * 9}, "label_smoothing": 0.1},
            SettingsError,
            "several",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_folder(
    change: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"data": texts(40), "out": tmp_path / "run", **QUICK} | change
    with pytest.raises(error, match=sentence) as caught:
        recurra.train("classify", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_task_by_another_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'classify'"):
        recurra.train("clasify", data=texts(10))


def test_fractions_are_cut_by_the_seed_and_every_row_has_one_place() -> None:
    settings = from_keywords("classify", valid=0.2, test=0.2).data
    parts = [partition(settings, 3, Given(texts(50))) for _ in range(2)]
    lines = [sorted(part.lines) for part in (parts[0].train, parts[0].valid, parts[0].test)]
    assert [len(part) for part in lines] == [32, 8, 10]
    assert sorted(chain(*lines)) == list(range(1, 51))
    assert parts[0].test.lines == parts[1].test.lines
    assert parts[0].test.lines != partition(settings, 4, Given(texts(50))).test.lines


def test_a_training_batch_is_a_pure_function_of_rows_and_seed() -> None:
    settings = from_keywords("classify", word_dropout=0.5, char_noise=0.3)
    parts = partition(settings.data, 0, Given(texts(50)))
    task = Classify.fit_features(settings, parts.train)
    training = ManyToOneTraining(task, task.examples(parts.train), task.examples(parts.valid))
    one, same, other = (training.batch([0, 1, 2], seed).inputs.values for seed in (1, 1, 2))
    assert torch.equal(one, same) and not (one.shape == other.shape and torch.equal(one, other))


def test_a_faulty_cell_of_a_vector_is_an_error_in_its_row_alone(tmp_path: Path) -> None:
    draw = random.Random(0)
    data = {"a": [draw.random() for _ in range(40)], "b": [draw.random() for _ in range(40)], "label": ["u", "d"] * 20}
    run = recurra.train("classify", data=data, input=["a", "b"], out=tmp_path / "run", **(QUICK | {"epochs": 1}))
    file = tmp_path / "new.csv"
    file.write_text("a,b\n0.5,0.5\n0.5,high\n0.25,0.75\n")
    first, fault, last = run.predict_rows(run.inputs_of(file))
    assert "label" in first and "label" in last
    assert "line 3, column 'b': is 'high'; a finite number is expected" in fault["error"]
    with pytest.raises(DataError, match="row 2, column 'b'"):
        run.predict({"a": [0.5, 0.5], "b": [0.5, "high"]})
