"""translate: learning, answers that know no neighbours, the search's options, resuming, starting from another run."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra.data.partition import Given
from recurra.errors import DataError, InputError, NotStreamable, RunError, SettingsError
from recurra.run import TranslateRun
from recurra.settings.options import flat
from recurra.settings.structure import from_keywords
from recurra.settings.translation import TranslateTrainingSettings
from recurra.tasks import Translate, TranslateTraining
from recurra.tasks.teacher_forcing import forcing_ratio
from recurra.tasks.translate_search import Reach
from recurra.tasks.translate_training import with_steps
from recurra.training.loop import fit
from recurra.training.progress import Silent
from tests.training.tiny import without_times

TENS = {"twenty": "vingt", "thirty": "trente", "forty": "quarante", "fifty": "cinquante"}
ONES = {"two": "deux", "three": "trois", "four": "quatre", "five": "cinq", "six": "six"}
PAIRS = [(f"{a} {b}", f"{x} {y}") for a, x in TENS.items() for b, y in ONES.items()]
QUICK: dict[str, Any] = {
    "hidden_size": 32, "unit": "word", "min_count": 1, "batch_size": 5, "lr": 0.02, "warmup_steps": 0, "epochs": 20,
    "patience": 0, "evaluate_every": 40, "threads": 1, "embedding_dropout": 0.0, "output_dropout": 0.0,
    "device": "cpu",
}  # fmt: skip


def train(out: Path | None, pairs: list[tuple[str, str]] = PAIRS, **changes: Any) -> TranslateRun:
    run = recurra.train("translate", data=pairs, valid=pairs, test=pairs, out=out, **{**QUICK, **changes})
    assert isinstance(run, TranslateRun)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TranslateRun:
    return train(tmp_path_factory.mktemp("translate") / "run")


def test_pairs_are_learned_and_score_above_plain_methods(run: TranslateRun) -> None:
    found = run.evaluate(PAIRS)
    assert found["exact_match"] == found["token_accuracy"] == 1.0 and found["chrf"] == pytest.approx(100)
    assert found["baseline_copy_exact_match"] == 0.0 and found["baseline_words_exact_match"] == 1.0
    assert found["examples"] == 20 and found["loss"] < 1 and found["bleu_signature"].startswith("nrefs:1|case:mixed")
    assert run.result["metric"] == "chrf"  # two words a target: of them BLEU says nothing
    assert {f"valid_{name}" for name in ("bleu", "chrf", "exact_match", "loss")} <= run.result.keys()


def test_an_answer_has_its_score_and_its_alignment(run: TranslateRun) -> None:
    (plain,) = run.predict("forty two")
    (answer,) = run.predict(["forty two"], attention=True)
    assert answer.text == plain.text == "quarante deux" and plain.attention is None and plain.source_labels == ()
    assert answer.source_labels == ("forty", "two", "<end>") and answer.target_labels == ("quarante", "deux", "<end>")
    assert answer.attention is not None and answer.attention.dtype == np.float32
    assert answer.attention.shape == (3, 3) and answer.attention.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
    nats = run.score([("forty two", "quarante deux"), ("forty two", "vingt six")])
    assert run.predict(["forty two"], length_penalty=0.0)[0].score == pytest.approx(nats[0], abs=1e-4)
    assert nats[1] < nats[0] <= 0


def test_an_answer_knows_nothing_of_its_neighbours(run: TranslateRun) -> None:
    texts = [source for source, _ in PAIRS] + ["", "six", "twenty " * 30, "日本語"]
    together = list(run.predict_rows(texts, attention=True))
    backwards = list(run.predict_rows(texts[::-1], attention=True))[::-1]
    alone = [answer for text in texts for answer in run.predict_rows([text], attention=True)]
    for one, other, third in zip(together, backwards, alone, strict=True):
        assert one["text"] == other["text"] == third["text"]
        assert one["score"] == pytest.approx(third["score"], abs=1e-4)
        assert np.allclose(one["attention"], third["attention"], atol=2e-4)


def test_a_loaded_run_gives_the_same_answers(run: TranslateRun) -> None:
    again = recurra.load(run.path)
    assert isinstance(again, TranslateRun) and flat(again.settings) == flat(run.settings)
    texts = ["fifty six", "", "two twenty", "a word never seen"]
    assert list(again.predict_rows(texts)) == list(run.predict_rows(texts))
    facts = again.describe()
    assert facts["attention"] == "general" and facts["exact_match"] == 1.0 and facts["unit"] == ["word", "word"]


STRANGE = [
    "", " ", "\t", "forty\ttwo", "forty two\n", "\ud800", "a\0b", "\u202e", "日本", "🙂" * 50, "x" * 3000,
    "forty " * 300, "<unk> <end> <pad>", "\r\n", "e\u0301",
]  # fmt: skip


def test_any_text_has_an_answer_of_one_line_of_json(run: TranslateRun) -> None:
    answers = list(run.predict_rows(STRANGE))
    assert len(answers) == len(STRANGE)
    for answer in answers:
        assert answer.keys() == {"text", "score"} and np.isfinite(answer["score"]), answer
        assert "\n" not in json.dumps(answer)
    faulty = list(run.predict_rows(["two", 3, None, ["two"]]))
    assert [("error" in one) for one in faulty] == [False, True, True, True]
    assert faulty[1]["error"] == "is int; a text is expected"
    with pytest.raises(DataError, match=r"row 2, column 'input': is int; a text is expected"):
        run.predict(["two", 3])


def test_the_search_can_be_asked_anew(run: TranslateRun) -> None:
    assert len(run.predict("forty two", min_target_length=5, no_repeat_ngram=0)[0].text.split()) >= 5
    assert run.predict("forty two", max_target_length=1)[0].text == "quarante"
    greedy, wide = (run.predict("forty two", beam=beam, length_penalty=0.0)[0] for beam in (1, 9))
    assert wide.score >= greedy.score - 1e-5 and greedy.text == wide.text
    for name, value, words in (
        ("beam", 0, "beam: 0 is not in 1 to 1024; 1 searches greedily"),
        ("beam", True, "beam: True is not a whole number"),
        ("length_penalty", "x", "length_penalty: 'x' is not a number"),
        ("teacher_forcing", 0.5, "teacher_forcing: it is no option of a search"),
        ("beems", 2, "beems: it is no option of a search; did you mean 'beam'?"),
    ):
        with pytest.raises(SettingsError) as error:
            run.predict("forty two", **{name: value})
        assert str(error.value).startswith(words)


def test_several_answers_are_those_of_falling_score(run: TranslateRun) -> None:
    (answer,) = run.predict("forty two", n_best=3)
    (row,) = run.predict_rows(["forty two"], n_best=3)
    assert [one["text"] for one in row["alternatives"]] == [text for text, _ in answer.alternatives]
    scores = [answer.score, *(score for _, score in answer.alternatives)]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert answer.text == "quarante deux" and len({answer.text, *(text for text, _ in answer.alternatives)}) == 3
    for n_best in (0, 6):
        with pytest.raises(SettingsError, match=f"n_best: {n_best} is not in 1 to 5, the beam"):
            run.predict("forty two", n_best=n_best)


def test_answers_are_drawn_as_often_as_they_are_likely(run: TranslateRun) -> None:
    source = "six two"  # of no such pair: the model is not sure
    drawn = run.generate(source, count=600, temperature=1.0)
    assert run.generate(source, count=5) == drawn[:5] and run.generate(source, count=5, seed=1) != drawn[:5]
    counted = Counter(drawn)
    for text, times in counted.most_common(3):
        assert times / 600 == pytest.approx(math.exp(run.score([(source, text)])[0]), abs=0.07)
    (greedy,) = run.predict(source, beam=1)
    assert set(run.generate(source, count=3, temperature=0.0)) == {greedy.text}
    assert all(len(text.split()) <= 1 for text in run.generate(source, count=9, length=1))
    assert run.generate("", count=2) and not run.model.training
    for name, value in (("count", 0), ("temperature", -1.0), ("top_p", 0.0), ("top_k", -1), ("length", -1)):
        with pytest.raises(SettingsError):
            run.generate(source, **{name: value})


def test_drawn_answers_are_no_longer_than_the_run_allows(tmp_path: Path) -> None:
    bound = train(tmp_path / "run", epochs=1, max_target_length=1)
    called = [sys.executable, "-m", "recurra", "generate", str(bound.path), "--prompt", "forty two", "--count", "9"]
    done = subprocess.run(called, capture_output=True, text=True, check=True)
    answers = [*bound.generate("forty two", count=9), *done.stdout.split("\n")]
    assert len(answers) == 9 + 10 and all(len(answer.split()) <= 1 for answer in answers)


def test_what_is_longer_than_can_be_read_is_counted(run: TranslateRun) -> None:
    short, long = run.predict_rows(["forty two", "forty " * 5000], beam=1, max_target_length=3)
    assert "cut" not in short and long["cut"] == 5000 - 4096


def test_unknown_words_are_copied_where_that_is_asked_for(tmp_path: Path) -> None:
    names = [f"name{number}" for number in range(40)]
    pairs = [(f"hello {name}", f"bonjour {name}") for name in names]
    run = train(tmp_path / "run", pairs, min_count=3, epochs=6, lr=0.03)
    (answer,) = run.predict("hello Anna", attention=True)
    assert answer.attention is not None and answer.target_labels == ("bonjour", "<unk>", "<end>")
    looked_at = ["hello", "Anna"][int(answer.attention[1, :2].argmax())]
    assert answer.text == f"bonjour {looked_at}"
    assert "<unk>" not in run.predict("hello Anna", copy_unknown=False)[0].text  # a word is said in its place


@pytest.mark.parametrize(
    "model",
    [
        {"cell": "transformer", "bidirectional": True},
        {"cell": "transformer", "decoder_cell": "lstm", "attention": "additive"},
        {"cell": "gru", "bidirectional": False, "attention": "none"},
        {"cell": "lstm", "attention": "dot", "num_layers": 2, "residual": True, "tied": False, "joint": False},
        {"cell": "rnn", "input_feeding": True, "attention": "concat", "zoneout": 0.1, "encoder_size": 5},
        {"cell": "lstm,transformer", "unit": "bpe", "vocabulary_size": 300, "bpe_dropout": 0.2, "target_unit": "char",
         "joint": False},
    ],
    ids=lambda model: f"{model['cell']}-{model.get('attention', 'default')}",
)  # fmt: skip
def test_every_model_trains_is_kept_and_searches(model: dict[str, Any], tmp_path: Path) -> None:
    run = train(tmp_path / "run", hidden_size=8, epochs=1, teacher_forcing=0.5, **model)
    again = recurra.load(run.path)
    texts = ["twenty two", "", "six"]
    answers = list(again.predict_rows(texts, attention=True))
    assert answers == list(run.predict_rows(texts, attention=True))
    assert ("attention" in answers[0]) == (model.get("attention") != "none")


def test_an_option_without_effect_is_refused(tmp_path: Path) -> None:
    for changes, words in (
        ({"dilation": "1,2", "num_layers": 2}, "dilation: it is 1,2, and translate has none"),
        ({"cell": "transformer", "zoneout": 0.1}, "zoneout"),
        ({"attention": "none", "coverage_penalty": 0.1}, "coverage_penalty"),
        ({"attention": "additive", "input_feeding": True}, "input_feeding: attention additive has nothing to feed"),
    ):
        with pytest.raises(SettingsError, match=words):
            train(tmp_path / "run", **changes)
        assert not (tmp_path / "run").exists()


def make(seed: int = 0, **changes: Any) -> TranslateTraining:
    forced = {
        "teacher_forcing": 0.3, "forcing_schedule": "linear", "embedding_dropout": 0.2, "unit": "bpe", "epochs": 3,
        "vocabulary_size": 280, "bpe_dropout": 0.2, "word_dropout": 0.1, "hidden_size": 8,
    }  # fmt: skip
    settings = from_keywords("translate", **{**QUICK, **forced, "evaluate_every": 3, "seed": seed, **changes})
    parts = Translate.read(settings, Given(PAIRS, PAIRS[:4], PAIRS[:4]))
    training = Translate.fit_features(settings, parts.train).training(parts)
    assert isinstance(training, TranslateTraining)
    return training


@pytest.mark.parametrize("unit", ["token", "sequence"])
def test_a_training_that_crashed_goes_on_to_the_same_weights(unit: str, tmp_path: Path) -> None:
    whole = make(forcing_unit=unit)
    ratios: list[float] = []
    told = whole.begin_step

    def noted(step: int, total_steps: int) -> None:
        told(step, total_steps)
        ratios.append(whole.teacher_forcing)

    whole.begin_step = noted  # type: ignore[method-assign]
    expected = fit(whole, whole.task.settings.training, tmp_path / "whole", Silent())
    assert ratios == [forcing_ratio("linear", step, 12, 0.3) for step in range(12)]
    broken = make(forcing_unit=unit)
    real, steps = broken.loss, []

    def crashing(batch: Any) -> Any:
        steps.append(batch)
        if len(steps) == 8:
            raise KeyboardInterrupt
        return real(batch)

    broken.loss = crashing  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        fit(broken, broken.task.settings.training, tmp_path / "broken", Silent())
    again = make(forcing_unit=unit)
    found = fit(again, again.task.settings.training, tmp_path / "broken", Silent(), resume=True)
    assert without_times(found.history) == without_times(expected.history)
    for one, other in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_starts_from_another_ones_weights_and_tokens(run: TranslateRun, tmp_path: Path) -> None:
    others = [(f"{a} seven", f"{x} sept") for a, x in TENS.items()] * 2
    begun = {name: value for name, value in QUICK.items() if name not in ("hidden_size", "unit")}
    again = recurra.train(
        "translate", data=others, valid=others, test=others, out=tmp_path / "run", init=str(run.path),
        **{**begun, "max_steps": 1, "lr": 1e-9},
    )  # fmt: skip
    assert again.settings.model.hidden_size == 32 and again.settings.text.unit == "word"
    assert again.evaluate(PAIRS)["exact_match"] == 1.0
    with pytest.raises(SettingsError, match="hidden_size: it is 16, and the run to start from has 32"):
        train(tmp_path / "no", init=str(run.path), **{"hidden_size": 16})


def test_refit_trains_on_validation_pairs_too(tmp_path: Path) -> None:
    run = train(tmp_path / "run", refit=True, epochs=2, evaluate_every=0)
    assert run.result["best_step"] in (4, 8) and np.isfinite(run.result["loss"])


def test_frames_are_answered_by_frames_and_objects_are_evaluated(run: TranslateRun) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"source": ["forty two", "fifty six"], "target": ["quarante deux", "cinquante six"]})
    answers = run.predict(frame)
    assert list(answers["text"]) == ["quarante deux", "cinquante six"] and list(answers.columns) == ["text", "score"]
    assert run.evaluate(frame)["exact_match"] == 1.0
    assert run.predict([]) == []
    with pytest.raises(InputError, match="came as Python objects"):
        run.evaluate()


def test_a_translator_has_no_live_session_and_says_why(run: TranslateRun) -> None:
    with pytest.raises(NotStreamable, match="reads a text to its end before it answers"):
        run.stream()


def test_a_damaged_reach_is_refused(run: TranslateRun) -> None:
    for reach in ({}, {"slope": 1.0}, {"slope": -1.0, "beyond": 3}, {"slope": 1.0, "beyond": 10**9}, [1]):
        with pytest.raises(RunError, match="the run is damaged"):
            Reach.from_json(reach)


def test_batches_and_warm_up_fit_the_data() -> None:
    few, many = [(10, 10)] * 600, [(20, 25)] * 100_000
    small = with_steps(TranslateTrainingSettings(), few)
    assert small.batch_tokens == 128 and small.warmup_steps == 30 * 50 // 10  # 12 pairs a batch
    large = with_steps(TranslateTrainingSettings(), many)
    assert large.batch_tokens == 2500 and large.warmup_steps == 400
    assert with_steps(large, many) == large
    given = with_steps(TranslateTrainingSettings(batch_tokens=300, warmup_steps=7, max_steps=200), few)
    assert given.batch_tokens == 300 and given.warmup_steps == 7
    counted = with_steps(TranslateTrainingSettings(batch_size=60, max_steps=200), few)
    assert counted.batch_tokens == 0 and counted.warmup_steps == 20


def test_answers_may_be_as_long_as_training_has_seen() -> None:
    from recurra.data.pairs import EncodedPair

    def pair(source: int, target: int) -> EncodedPair:
        return EncodedPair(np.zeros(source + 1, np.int64), np.zeros(target + 1, np.int64), 0)

    label_to_name = Reach.fit([pair(1, 30), pair(1, 4)])
    assert label_to_name.limit(1) >= 30
    summary = Reach.fit([pair(1000, 50), pair(400, 40)])
    assert 50 <= summary.limit(1000) <= 150
    assert Reach.from_json(json.loads(json.dumps(summary.to_json()))) == summary
