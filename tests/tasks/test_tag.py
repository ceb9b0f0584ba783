"""tag through its Python calls: words and spans learned, answers, metrics by hand, laws of its batches, refusals."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra.certification.sessions import answers_in_pieces, expected_of_rest
from recurra.data.partition import Given
from recurra.data.token_features import TokenValues
from recurra.errors import DataError, InputError, NotStreamable, RunError, SettingsError
from recurra.run import TagRun

QUICK: dict[str, Any] = {
    "epochs": 6, "batch_size": 8, "hidden_size": 16, "embedding_size": 16, "char_hidden_size": 8,
    "char_embedding_size": 8,
    "embedding_dropout": 0.1, "dropout": 0.1, "output_dropout": 0.1, "lr": 0.02, "average": 0.9, "threads": 1,
    "patience": 0,
}  # fmt: skip
NOUNS, VERBS = ["cat", "dog", "house", "river"], ["sees", "walks", "sings"]


def sentences(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Words of three kinds; `can` is a noun after `the` and an auxiliary before a verb: only the context tells."""
    draw = random.Random(seed)
    tokens, tags = [], []
    for _ in range(rows):
        parts = [("the", "DET"), (draw.choice([*NOUNS, "can"]), "NOUN")]
        if draw.random() < 0.5:
            parts.append(("can", "AUX"))
        parts += [(draw.choice(VERBS), "VERB")]
        if draw.random() < 0.5:
            parts += [("the", "DET"), (draw.choice([*NOUNS, "can"]), "NOUN")]
        tokens.append([token for token, _ in parts])
        tags.append([tag for _, tag in parts])
    return {"tokens": tokens, "tags": tags}


def names(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Names of one or two words in BIO; `Jan` begins a person and ends a place."""
    draw = random.Random(seed)
    tokens, tags = [], []
    for _ in range(rows):
        own: list[tuple[str, str]] = []
        for _ in range(draw.randint(1, 4)):
            own += draw.choice(
                [
                    [("saw", "O")],
                    [("Jan", "B-PER"), ("Smit", "I-PER")],
                    [("San", "B-LOC"), ("Jan", "I-LOC")],
                    [("Smit", "B-PER")],
                ]
            )
        tokens.append([token for token, _ in own])
        tags.append([tag for _, tag in own])
    return {"tokens": tokens, "tags": tags}


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> TagRun:
    run = recurra.train("tag", data=sentences(150), out=tmp_path_factory.mktemp("runs") / "run", **QUICK)
    assert isinstance(run, TagRun)
    return run


def test_tags_are_learned_from_words_and_their_context(tagged: TagRun) -> None:
    metrics = tagged.evaluate(sentences(60, seed=1))
    assert metrics["accuracy"] > 0.98 > metrics["baseline_frequent_accuracy"]
    assert metrics["examples"] == 60 and metrics["tokens"] > 180 and metrics["unknown_accuracy"] == 0.0
    answers = tagged.predict([["the", "can", "can", "sing"], "the dog walks", []])
    assert [answer.tags for answer in answers] == [("DET", "NOUN", "AUX", "VERB"), ("DET", "NOUN", "VERB"), ()]
    assert tagged.labels == ("AUX", "DET", "NOUN", "VERB")
    report = (tagged.path / "report.html").read_text()
    assert "Errors by tag" in report and "Known and unknown words" in report
    card = (tagged.path / "README.md").read_text()
    assert "token-classification" in card and "cannot stream" in card


def test_a_loaded_run_gives_the_same_answers(tagged: TagRun) -> None:
    again = recurra.load(tagged.path)
    inputs = [["the", "can", "walks"], ["never", "Seen-1"], []]
    assert again.predict(inputs) == tagged.predict(inputs)
    assert again.evaluate(sentences(20, seed=3)) == tagged.evaluate(sentences(20, seed=3))
    assert again.describe()["labels"] == ["AUX", "DET", "NOUN", "VERB"]
    rows = list(again.predict_rows([["the"], None, "the can"]))
    assert rows[0] == {"tags": ["DET"]} and "the input is missing" in rows[1]["error"] and len(rows[2]["tags"]) == 2


def test_a_sentence_is_tagged_alike_alone_in_a_batch_and_in_any_order(tagged: TagRun) -> None:
    data = sentences(40, seed=2)["tokens"]
    together = tagged.predict(data)
    assert [tagged.predict([one])[0] for one in data] == together
    assert tagged.predict(data[::-1])[::-1] == together


def test_padding_says_nothing(tagged: TagRun) -> None:
    features, model = tagged.parts.features, tagged.model
    encoded = [features.encode(["the", "can", "can", "sings"]), features.encode(["the", "dog"])]
    batch, alone = features.collate(encoded), features.collate(encoded[1:])
    with torch.no_grad():
        torch.testing.assert_close(model(batch)[0][1, :2], model(alone)[0][0], rtol=1e-5, atol=1e-5)


def test_metrics_are_those_of_all_tokens_whatever_the_batches(tagged: TagRun) -> None:
    data = {"tokens": [["the", "dog"], ["xyzzy", "can", "walks"]], "tags": [["DET", "VERB"], ["NEW", "AUX", "VERB"]]}
    found = tagged.evaluate(data)
    predicted = [answer.tags for answer in tagged.predict(data["tokens"])]
    right = [
        a == b for tags, truth in zip(predicted, data["tags"], strict=True) for a, b in zip(tags, truth, strict=True)
    ]
    assert found["accuracy"] == sum(right) / 5
    assert found["unknown_accuracy"] == float(right[2])
    assert found["known_accuracy"] == (sum(right) - right[2]) / 4
    examples = tagged.parts.examples(tagged.table_of(data))
    assert examples.unseen == 1  # NEW is in no training sentence, so no answer is right
    counted = tagged.parts.confusion(tagged.parts.predicted(examples.encoded), examples).confusion
    assert counted.sum() == 5 and counted[-1].sum() == 1


def test_a_list_longer_than_max_length_is_read_in_pieces_and_every_token_is_tagged(tmp_path: Path) -> None:
    data = sentences(60)
    run = recurra.train("tag", data=data, out=tmp_path / "run", max_length=3, **QUICK | {"epochs": 1})
    long = data["tokens"][0] + data["tokens"][1] + data["tokens"][2]
    whole = run.predict([long])[0].tags
    parts = [run.predict([long[at : at + 3]])[0].tags for at in range(0, len(long), 3)]
    assert whole == tuple(tag for part in parts for tag in part) and len(whole) == len(long)
    assert (
        run.result["train_tokens"]
        == sum(map(len, data["tokens"])) - run.result["valid_tokens"] - run.result["test_tokens"]
    )


@pytest.mark.parametrize("crf", [False, True])
def test_spans_are_learned_and_only_whole_ones_are_answered(tmp_path: Path, crf: bool) -> None:
    run = recurra.train("tag", data=names(150), out=tmp_path / "run", crf=crf, **QUICK | {"epochs": 12})
    metrics = run.evaluate(names(60, seed=1))
    assert run.result["metric"] == "span_f1"
    assert metrics["span_f1"] > 0.95 > metrics["baseline_frequent_span_f1"]
    assert "Spans" in (run.path / "report.html").read_text()
    draw = random.Random(0)
    words = [[draw.choice(["Jan", "San", "Smit", "saw", "new"]) for _ in range(6)] for _ in range(50)]
    for answer in run.predict(words):
        before = "O"
        for tag in answer.tags:
            assert not tag.startswith("I-") or before[2:] == tag[2:]
            before = tag
    again = recurra.load(run.path)
    assert again.predict(words) == run.predict(words)


def test_tags_that_keep_no_rule_of_spans_are_answered_freely(tmp_path: Path) -> None:
    data = names(40)
    data["tags"] = [[tag.replace("B-", "I-") for tag in tags] for tags in data["tags"]]  # IOB1
    run = recurra.train("tag", data=data, out=tmp_path / "run", **QUICK | {"epochs": 1})
    assert not run.parts.constrained and "span_f1" in run.result


def test_what_is_learned_beside_the_target_shares_all_but_the_head(tmp_path: Path) -> None:
    data = sentences(40)
    data["coarse"] = [["N" if tag in ("DET", "NOUN") else "V" for tag in tags] for tags in data["tags"]]
    run = recurra.train("tag", data=data, out=tmp_path / "run", also="coarse", **QUICK | {"epochs": 1})
    assert run.model.sizes == (4, 2)
    del data["coarse"]
    assert "accuracy" in run.evaluate(data)  # not needed where the target is scored
    with pytest.raises(DataError, match="there is no column 'fine'"):
        recurra.train("tag", data=data, out=tmp_path / "b", also="fine", **QUICK)


def test_a_tagger_of_one_direction_steps_to_the_same_scores(tmp_path: Path) -> None:
    options = QUICK | {"epochs": 1, "bidirectional": False, "recompute": 2}
    run = recurra.train("tag", data=sentences(40), out=tmp_path / "run", **options)
    assert run.model.encoder.recompute == 2
    features, model = run.parts.features, run.model
    batch = features.collate([features.encode(["the", "can", "can", "sings"])])
    with torch.no_grad():
        whole, _ = model(batch)
        state = model.initial_state(1)
        for at in range(4):
            logits, state = model.step(TokenValues(*(part[:, at] for part in batch.values)), state)
            torch.testing.assert_close(logits, whole[:, at], rtol=1e-5, atol=1e-5)
        first, rest = batch.split(2)
        before, state = model(first)
        after, _ = model(rest, state)
        torch.testing.assert_close(torch.cat([before, after], 1), whole, rtol=1e-5, atol=1e-5)


def test_a_bidirectional_tagger_is_refused_a_stream_by_name(tagged: TagRun) -> None:
    batch = tagged.parts.features.collate([tagged.parts.features.encode(["the"])])
    with pytest.raises(NotStreamable, match="bidirectional=False to stream"):
        tagged.model.step(TokenValues(*(part[:, 0] for part in batch.values)))
    with pytest.raises(NotStreamable):
        tagged.model(batch, tagged.model.initial_state(1))


def test_rare_words_are_read_as_unknown_as_often_as_their_count_says(tmp_path: Path) -> None:
    run = recurra.train("tag", data=sentences(60), out=tmp_path / "run", word_dropout=2.0, **QUICK | {"epochs": 1})
    task = run.parts
    training = task.training(task.read(run.settings, Given(data=sentences(60))))
    rarity = training._rarity
    count = sum(token == "cat" for tokens in training.train.inputs for token in tokens)
    assert float(rarity[task.features.words.ids["cat"]]) == pytest.approx(2 / (count + 2))
    assert not rarity[:2].any()
    indices = list(range(len(training.lengths)))
    batch = training.batch(indices, step_seed=5)
    again = training.batch(indices, step_seed=5)
    assert torch.equal(batch.inputs.values.token, again.inputs.values.token)
    token, plain = batch.inputs.values.token, task.features.collate(training._pieces).values.token
    dropped = (token == 1) & (plain > 1)
    expected = float(rarity[plain].sum())
    assert abs(int(dropped.sum()) - expected) < 4 * np.sqrt(expected)
    assert torch.equal(token[~dropped], plain[~dropped])


def test_a_run_starts_from_another_ones_weights_and_words(tagged: TagRun, tmp_path: Path) -> None:
    run = recurra.train(
        "tag", data=sentences(30, seed=5), init=tagged.path, out=tmp_path / "a", **QUICK | {"epochs": 1}
    )
    assert run.parts.features == tagged.parts.features and run.evaluate(sentences(40, seed=6))["accuracy"] > 0.98
    with pytest.raises(SettingsError, match="hidden_size: it is 8, and the run to start from has 16"):
        recurra.train("tag", data=sentences(30), init=tagged.path, out=tmp_path / "b", **QUICK | {"hidden_size": 8})


def test_refit_trains_on_validation_sentences_too(tmp_path: Path) -> None:
    run = recurra.train("tag", data=sentences(40), out=tmp_path / "run", refit=True, **QUICK)
    assert run.evaluate(sentences(20, seed=1))["accuracy"] > 0.5


def test_columns_may_come_as_a_frame_and_answers_go_back_as_one(tagged: TagRun) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"tokens": [["the", "dog"], ["the"]]}, index=[7, 9])
    found = tagged.predict(frame)
    assert found["tags"].tolist() == [["DET", "NOUN"], ["DET"]] and found.index.tolist() == [7, 9]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "macro_f1"}, "metric: 'macro_f1' is not measured here; choose from accuracy"),
        ({"metric": "span_f1"}, "not measured"),
        ({"crf": True, "label_smoothing": 0.1}, "label_smoothing: a conditional random field has none"),
        ({"input": ["tokens", "tags"]}, "input: 2 columns are named, and tag reads one"),
        ({"char_hidden_size": -1}, "char_hidden_size: -1 is below 0"),
        ({"also_weight": 0}, "also_weight: 0.0 is not a number above 0"),
        ({"input_kind": "text"}, "input_kind: no such setting"),
        ({"pooling": "max"}, "pooling: no such setting"),
    ],
)
def test_an_option_without_effect_is_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        recurra.train("tag", data=sentences(30), out=tmp_path / "run", **QUICK | options)
    assert not (tmp_path / "run").exists()


def test_sentences_that_cannot_be_learned_from_are_refused_with_their_row(tmp_path: Path) -> None:
    data = sentences(30)
    data["tokens"][4], data["tags"][4] = [], []
    with pytest.raises(DataError, match="the input is empty"):
        recurra.train("tag", data=data, valid=0.03, test=0.03, out=tmp_path / "run", **QUICK)
    data = sentences(30)
    data["tags"][4] = data["tags"][4][:-1]
    with pytest.raises(DataError, match=r"row|line 5.*tags stand beside"):
        recurra.train("tag", data=data, out=tmp_path / "run", **QUICK)


def test_a_damaged_list_of_tags_is_refused(tagged: TagRun, tmp_path: Path) -> None:
    saved = tagged.parts.to_json()
    saved["constrained"] = "yes"
    with pytest.raises(RunError, match="constrained"):
        type(tagged.parts).from_json(saved, None)
    with pytest.raises(InputError, match="came as Python objects"):
        recurra.load(tagged.path).evaluate()


def test_a_session_tags_each_token_as_it_comes_as_predict_does(tmp_path: Path) -> None:
    run = recurra.train("tag", data=sentences(60), out=tmp_path / "run", bidirectional=False, **QUICK | {"epochs": 3})
    tokens = ["the", "can", "walks", "the", "dog", "never-seen"]
    expected = list(run.predict([tokens])[0].tags)
    session = run.stream()
    assert [session.step(token) for token in tokens] == expected
    session.reset()
    assert session.push(tokens[:2]) + session.push([]) + session.push("walks the") == expected[:4]
    session.save(tmp_path / "state.safetensors")
    assert recurra.load(run.path).stream(tmp_path / "state.safetensors").push(tokens[4:]) == expected[4:]
    with pytest.raises(DataError, match="step takes one token"):
        session.step(["a"])
    with pytest.raises(DataError, match="token 1 is empty"):
        session.push([""])
    assert session.push(tokens[4:]) == expected[4:]  # what was refused left the state as it was
    numbers = [run.labels.index(tag) for tag in expected]
    assert all(
        answer == numbers for answer in answers_in_pieces(run, tokens, run.stream())
    )  # as a certificate reads it
    assert expected_of_rest(run, tokens) == numbers[3:]


def test_a_tagger_that_needs_whole_sentences_has_no_session(tagged: TagRun, tmp_path: Path) -> None:
    with pytest.raises(NotStreamable, match="train with bidirectional=False"):
        tagged.stream()
    options = QUICK | {"epochs": 1, "bidirectional": False}
    for data, crf in ((names(40), False), (sentences(40), True)):
        run = recurra.train("tag", data=data, out=tmp_path / f"{crf}", crf=crf, **options)
        with pytest.raises(NotStreamable, match="chooses the tags of a sentence together"):
            run.stream()
