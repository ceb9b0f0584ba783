"""Language models scored, resumed, predicted, generated from and streamed, on texts that can be computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra.data.corpus import read_corpus, read_text
from recurra.data.partition import Given
from recurra.errors import DataError, RunError, SettingsError, StateError
from recurra.run import LanguageRun
from recurra.settings.structure import from_keywords
from recurra.tasks import Model, TaskTraining
from recurra.tasks import model as module
from recurra.tasks.model import ModelTraining
from recurra.training.loop import fit
from recurra.training.progress import Silent

LINES = ["the cat sat on the mat", "a dog ate the cat's hat", "été at the 3 cats: sat, ate."]
TEXT = "\n".join(LINES * 30) + "\n"
QUICK: dict[str, Any] = {"hidden_size": 12, "bptt_length": 16, "batch_size": 4, "epochs": 1, "cell": "gru"}


def made(text: str = TEXT, **settings: Any) -> Model:
    chosen = from_keywords("model", **{**QUICK, **settings})
    parts = Model.read(chosen, Given(text))
    task = Model.fit_features(chosen, parts.train)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in task.model.parameters():  # wide enough that every symbol shows
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    task.model.eval()
    return task


def trainings(**settings: Any) -> TaskTraining:
    chosen = from_keywords("model", **{**QUICK, **settings})
    parts = Model.read(chosen, Given(TEXT))
    return Model.fit_features(chosen, parts.train).training(parts)


def nats_of(task: Model, ids: list[int]) -> float:
    """The cost of a text from a fresh state, one symbol at a time."""
    state, token, total = task.model.initial_state(1), task.symbols.begin_id, 0.0
    with torch.no_grad():
        for symbol in ids:
            logits, state = task.model.step(torch.tensor([token]), state)
            total -= float(logits[0].double().log_softmax(0)[symbol])
            token = symbol
    return total


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LanguageRun:
    folder = tmp_path_factory.mktemp("language")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    found = recurra.train("model", data=folder / "text.txt", out=folder / "run", **QUICK)
    assert isinstance(found, LanguageRun)
    return found


def test_a_score_is_the_cost_of_the_whole_text_with_its_state_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    task = made()
    text = read_text([], task.symbols, given=TEXT[:700])
    nats = nats_of(task, text.ids.tolist())
    found = task.score(text).metrics
    assert found["loss"] == pytest.approx(nats / 700, abs=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(nats / 700), rel=1e-4)
    assert found["bits_per_character"] == pytest.approx(nats / 700 / math.log(2), abs=1e-5)
    monkeypatch.setattr(module, "WINDOW", 97)  # however it is cut
    assert task.score(text).metrics["loss"] == pytest.approx(found["loss"], abs=1e-6)


def test_rows_side_by_side_are_warmed_so_that_they_score_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    task = made()
    text = read_text([], task.symbols, given=TEXT * 2)
    monkeypatch.setattr(module, "EVALUATION_ROWS", 1)
    one = task.score(text).metrics["loss"]
    monkeypatch.setattr(module, "EVALUATION_ROWS", 4)
    assert len(text) > 4 * module.SHORTEST_ROW
    assert task.score(text).metrics["loss"] == pytest.approx(one, abs=1e-5)
    monkeypatch.setattr(module, "WARM_UP", 1)
    assert abs(task.score(text).metrics["loss"] - one) > 1e-5  # the warming is what makes it so


def test_bits_per_character_count_characters_whatever_the_unit() -> None:
    task = made(unit="byte")
    text = read_text([], task.symbols, given="été" * 50)
    assert len(text) == 250
    nats = task.score(text).metrics["loss"] * 250
    assert task.score(text).metrics["bits_per_character"] == pytest.approx(nats / math.log(2) / 150)


@pytest.mark.parametrize("length", [1, 5, 40])
def test_a_continuation_is_what_the_model_says_of_the_text(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 7)
    task = made()
    ids = task.symbols.encode(TEXT[:length]).tolist()
    found = task.continuation(TEXT[:length])
    assert found.loss == pytest.approx(nats_of(task, ids) / length, abs=1e-5)
    with torch.no_grad():
        logits = task.model(torch.tensor([[task.symbols.begin_id, *ids]]))[0][0, -1].double()
    logits[list(task.symbols.silent_ids)] = -math.inf
    values, order = logits.softmax(0).topk(5)
    assert list(found.next) == [task.symbols.names[i] for i in order.tolist()]
    assert list(found.next.values()) == pytest.approx(values.tolist(), abs=1e-6)


def test_an_empty_text_has_a_continuation_and_no_loss(run: LanguageRun) -> None:
    (found,) = run.predict([""])
    assert math.isnan(found.loss) and sum(found.next.values()) <= 1
    (row,) = run.predict_rows([""])
    assert row["loss"] is None and row["perplexity"] is None


def test_what_is_no_text_gets_an_error_in_its_place(run: LanguageRun) -> None:
    first, second, third = run.predict_rows([3, "ß", DataError("lost")])
    assert first == {"error": "a text is expected, not int"}
    assert second["unseen"] == ["ß"]
    assert third == {"error": "lost"}


@pytest.mark.parametrize("stop", [1, 7, 11])
def test_a_training_stopped_between_windows_goes_on_bit_equal(stop: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "epochs": 2, "checkpoint_every": 0.0, "cell": "lstm", "num_layers": 2, "output_dropout": 0.2, "average": 0.9,
    }  # fmt: skip
    whole = trainings(**options)
    settings = whole.task.settings.training
    fit(whole, settings, tmp_path / "whole", Silent())
    broken = trainings(**options)
    steps, loss = 0, broken.loss

    def failing(batch: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps > stop:
            raise RuntimeError("power cut")
        return loss(batch)

    broken.loss = failing  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="power cut"):
        fit(broken, settings, tmp_path / "cut", Silent())
    again = trainings(**options)
    fit(again, settings, tmp_path / "cut", Silent(), resume=True)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
    assert again.carried().keys() == {"encoder.layers.0.hidden", "encoder.layers.0.cell"} | {
        "encoder.layers.1.hidden",
        "encoder.layers.1.cell",
    }


def test_the_state_is_carried_from_window_to_window_and_not_into_the_next_epoch() -> None:
    training = trainings(batch_size=1)
    training.model.eval()
    ids = training.corpus.train.ids.tolist()  # type: ignore[attr-defined]
    total = 0.0
    for epoch in (0, 1):
        total = sum(float(training.loss(training.batch(window, 0))[0].detach()) for window in training.plan(epoch))
    assert total == pytest.approx(nats_of(training.task, ids), rel=1e-5)
    other = trainings(batch_size=1)
    with pytest.raises(ValueError, match="not one of this model"):
        other.carry({"encoder.layers.0.hidden": torch.zeros(1, 13)})


def test_a_loss_that_is_not_finite_leaves_no_state_behind() -> None:
    training = trainings()
    training.loss(training.batch([0, 8], 0))
    assert training.carried()
    with torch.no_grad():
        next(training.model.parameters()).fill_(math.nan)
    training.loss(training.batch([8, 8], 0))
    assert not training.carried()


def gradients(**settings: Any) -> dict[str, torch.Tensor]:
    training = trainings(batch_size=2, **settings)
    assert isinstance(training, ModelTraining)
    training.model.double().eval()
    for window in training.plan(0):
        training.loss(training.batch(window, 0))[0].backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in training.model.named_parameters() if p.grad is not None}


def test_back_propagation_through_a_whole_row_is_the_same_within_less_memory() -> None:
    plain, bounded = gradients(bptt_length=0), gradients(bptt_length=0, bptt_memory=0.6)
    cut = gradients(bptt_length=16)
    training = trainings(batch_size=2, bptt_length=0, bptt_memory=0.6)
    assert isinstance(training, ModelTraining) and 0 < training._segment < training.rows.steps
    assert [length for _, length in training.plan(0)] == [training.rows.steps]
    for name, value in plain.items():
        assert torch.allclose(bounded[name], value, rtol=1e-9, atol=1e-9), name
    assert not all(torch.allclose(cut[name], value, rtol=1e-3) for name, value in plain.items())


@pytest.mark.parametrize("unit", ["char", "byte", "bpe", "word"])
def test_a_text_streamed_in_pieces_is_answered_as_the_whole(unit: str, tmp_path: Path) -> None:
    task = made(unit=unit, vocabulary_size=280)
    session = module_session(task)
    text = "the cat's été at 3"
    content = text.encode()
    cuts = [0, 1, 6, 9, 11, 12, len(content)]  # inside words, and inside é
    for start, stop in pairwise(cuts):
        answer = session.push(content[start:stop])
    whole = task.continuation(text).next
    assert list(answer.next) == list(whole)
    assert list(answer.next.values()) == pytest.approx(list(whole.values()), abs=1e-5)
    session.save(tmp_path / "state.safetensors")
    restored = module_session(task, tmp_path / "state.safetensors")
    for _ in range(12):  # draws, and all that they depend on
        assert session.answer() == restored.answer()
        answer = session.step(session.answer().drawn)
        assert restored.step(restored.answer().drawn) == answer


def module_session(task: Model, state: Any = None, **options: Any) -> Any:
    from recurra.tasks.language_stream import language_session

    return language_session(task, state, **options)


def test_draws_depend_on_the_seed_and_what_was_read_not_on_how_it_was_cut() -> None:
    task = made()
    whole = module_session(task, seed=5)
    pieces = module_session(task, seed=5)
    answer = whole.push("the cat")
    for character in "the cat":
        other = pieces.step(character)
    assert other.drawn == answer.drawn
    drawn = {module_session(task, seed=seed).push("the cat").drawn for seed in range(30)}
    assert len(drawn) > 3
    greedy = {module_session(task, seed=seed, temperature=0.0).push("the cat").drawn for seed in range(5)}
    assert greedy == {next(iter(answer.next))}


def test_a_state_of_another_model_or_a_cut_file_is_refused(run: LanguageRun, tmp_path: Path) -> None:
    session = run.stream()
    session.push("the c")
    path = tmp_path / "state.safetensors"
    session.save(path)
    other = recurra.train("model", data=TEXT_FILE(tmp_path), out=tmp_path / "other", **{**QUICK, "seed": 1})
    with pytest.raises(StateError, match="holds a state of the weights"):
        other.stream(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StateError, match="damaged"):
        run.stream(path)


def TEXT_FILE(folder: Path) -> Path:  # noqa: N802  it stands where a constant would
    path = folder / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_generation_repeats_with_its_seed_and_a_text_is_the_same_however_many_there_are(run: LanguageRun) -> None:
    three = run.generate("the ", length=30, seed=2, count=3)
    assert run.generate("the ", length=30, seed=2, count=2) == three[:2]
    assert len(set(three)) == 3 and all(len(text) == 30 for text in three)
    assert "".join(run.pieces("the ", length=30, seed=2, row=1)) == three[1]
    assert run.generate("the ", length=30, seed=3) != three[:1]


def test_temperature_0_takes_the_likeliest_symbol_each_time(run: LanguageRun) -> None:
    text = "the "
    for _ in range(6):
        text += next(iter(run.predict([text])[0].next))
    assert run.generate("the ", length=6, temperature=0.0, seed=9) == [text[4:]]


def test_generation_needs_no_prompt_and_makes_only_what_a_text_is_made_of(run: LanguageRun) -> None:
    (text,) = run.generate(length=300, temperature=3.0)
    assert len(text) == 300 and set(text) <= set(TEXT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature: -0.1 is not a number of 0 or more"),
        ({"top_p": 0.0}, r"top_p: 0.0 is not in \(0, 1\]"),
        ({"top_p": 1.5}, r"top_p: 1.5 is not in \(0, 1\]"),
        ({"top_k": -1}, "top_k: -1 is below 0"),
        ({"length": -1}, "length: -1 is below 0"),
        ({"count": 0}, "count: 0 is below 1"),
    ],
)
def test_what_is_no_way_to_sample_is_refused(run: LanguageRun, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        run.generate("the", **options)


def test_words_generated_are_joined_to_the_prompt(tmp_path: Path) -> None:
    found = recurra.train("model", data=TEXT_FILE(tmp_path), out=tmp_path / "run", unit="word", **QUICK)
    (text,) = found.generate("the cat", length=4, temperature=0.0)
    assert text.startswith(" ") or text.startswith("\n")


def test_evaluation_of_the_run_s_own_text_is_its_result(run: LanguageRun, tmp_path: Path) -> None:
    found = run.evaluate()
    assert found["loss"] == pytest.approx(run.result["loss"], abs=1e-6)
    assert found["baseline_ngram_loss"] == pytest.approx(run.result["baseline_ngram_loss"], abs=1e-6)
    assert found["symbols"] == run.result["test_examples"]
    (tmp_path / "other.txt").write_text("the cat\n", encoding="utf-8")
    task = run.parts
    expected = nats_of(task, task.symbols.encode("the cat\n").tolist()) / 8
    assert run.evaluate(tmp_path / "other.txt")["loss"] == pytest.approx(expected, abs=1e-5)
    assert run.evaluate({"text": "the cat\n"})["loss"] == pytest.approx(expected, abs=1e-5)


def test_the_plain_methods_are_n_grams_and_are_stored(run: LanguageRun) -> None:
    again = recurra.load(run.path)
    assert again.evaluate()["baseline_ngram_loss"] == pytest.approx(run.result["baseline_ngram_loss"])
    assert run.result["baseline_bigram_loss"] > run.result["baseline_ngram_loss"] > 0


def test_an_earlier_language_model_can_be_started_from(run: LanguageRun, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("a hat sat on a cat\n" * 60, encoding="utf-8")
    options = {"bptt_length": 16, "batch_size": 4, "max_steps": 1, "lr": 1e-9}
    found = recurra.train("model", data=tmp_path / "new.txt", init=run.path, out=tmp_path / "new", **options)
    assert found.parts.symbols.names == run.parts.symbols.names
    assert torch.allclose(found.model.embedding.weight, run.model.embedding.weight, atol=1e-6)
    with pytest.raises(SettingsError, match="hidden_size: it is 99, and the run to start from has 12"):
        recurra.train("model", data=tmp_path / "new.txt", init=run.path, out=tmp_path / "x", hidden_size=99)


def test_a_run_of_another_task_cannot_be_started_from(run: LanguageRun, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a model run, and classify cannot start there"):
        recurra.train(
            "classify", data={"text": ["a", "b"] * 9, "label": ["x", "y"] * 9}, init=run.path, out=tmp_path / "c"
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": "auto"}, "batch_size: a language model carries a state"),
        ({"batch_tokens": 100}, "batch_tokens: a language model reads batch_size rows"),
        ({"refit": True}, "refit: language models have none"),
        ({"bptt_length": 0, "bptt_varied": True}, "bptt_varied: the windows vary about bptt_length"),
        ({"unit": "byte", "lowercase": True}, "lowercase: bytes have no case"),
        ({"recompute": 8}, "recompute: a language model has bptt_memory for it"),
        ({"bptt_memory": 1e-4}, "bptt_memory: 0.0001 MB are too little"),
    ],
)
def test_options_without_an_effect_are_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        recurra.train("model", data=TEXT_FILE(tmp_path), out=tmp_path / "run", **{**QUICK, **settings})
    assert not (tmp_path / "run").exists()


def test_a_text_of_one_character_is_refused(tmp_path: Path) -> None:
    for text in ("a", "a" * 500):
        (tmp_path / "a.txt").write_text(text)
        with pytest.raises(DataError, match=r"a\.txt: .*(nothing to predict|too few)"):
            recurra.train("model", data=tmp_path / "a.txt", out=tmp_path / "run", **QUICK)


def test_bytes_that_are_no_text_are_named_and_unit_byte_reads_them(tmp_path: Path) -> None:
    content = TEXT.encode()[:900] + b"\nab\xff\xfe\n" + TEXT.encode()[:900]
    (tmp_path / "b.txt").write_bytes(content)
    line = content[: content.index(b"\xff")].count(b"\n") + 1
    with pytest.raises(DataError, match=rf"b\.txt, line {line}: .*byte.*--unit byte"):
        recurra.train("model", data=tmp_path / "b.txt", out=tmp_path / "run", **QUICK)
    found = recurra.train("model", data=tmp_path / "b.txt", out=tmp_path / "run", unit="byte", **QUICK)
    assert found.describe()["unit"] == "byte"


def test_a_damaged_vocabulary_is_refused(run: LanguageRun, tmp_path: Path) -> None:
    import json
    import shutil

    shutil.copytree(run.path, tmp_path / "copy")
    path = tmp_path / "copy" / "features.json"
    content = json.loads(path.read_text())
    tokens = content["symbols"]["vocabulary"]
    tokens[3], tokens[4] = tokens[4], tokens[3]
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"features\.json is damaged"):
        recurra.load(tmp_path / "copy")


def test_training_lowers_the_loss_below_the_unigram_s(tmp_path: Path) -> None:
    text = "abcabd" * 300 + "\n"
    given = Given(text, text, text)
    chosen = from_keywords("model", **{**QUICK, "epochs": 12, "lr": 0.02})
    parts = Model.read(chosen, given)
    training = Model.fit_features(chosen, parts.train).training(parts)
    fit(training, replace(training.task.settings.training), tmp_path, Silent())
    counts = np.bincount(parts.corpus.train.ids)
    share = counts[counts > 0] / counts.sum()
    assert training.evaluate()["loss"] < 0.05 < -(share * np.log(share)).sum()


def test_texts_come_from_python_in_a_mapping_as_evaluate_takes_them(tmp_path: Path) -> None:
    whole = recurra.train("model", data={"text": TEXT}, out=tmp_path / "a", **QUICK)
    pieces = recurra.train(
        "model", data={"text": [TEXT[:700], TEXT[700:]]}, test={"text": "the cat\n"}, out=tmp_path / "b", **QUICK
    )
    assert sum(whole.result[f"{part}_examples"] for part in ("train", "valid", "test")) == len(TEXT)
    assert pieces.result["test_examples"] == pieces.evaluate({"text": "the cat\n"})["symbols"] == 8
    assert pieces.result["loss"] == pytest.approx(pieces.evaluate({"text": "the cat\n"})["loss"])
    with pytest.raises(DataError, match=r"the given data: there is no 'text' in the mapping"):
        recurra.train("model", data={"words": TEXT}, out=tmp_path / "c", **QUICK)


def test_a_text_where_a_file_is_expected_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file has so long a name.*\{'text': …\}"):
        recurra.train("model", data=TEXT, out=tmp_path / "run", **QUICK)


def test_a_training_begins_at_the_frequencies_of_the_symbols_and_so_does_one_begun_again() -> None:
    corpus = read_corpus([], "char", given=Given("aaab\n" * 100, "a\n", "a\n"))
    settings = from_keywords("model", hidden_size=4, embedding_size=4)
    task = Model.fit_features(settings, corpus)
    symbols = corpus.symbols.encode("ab\n").tolist()
    frequencies = task.model.decoder_bias.detach().softmax(0)[symbols]
    assert frequencies.tolist() == pytest.approx([301 / 505, 101 / 505, 101 / 505])  # one is added to each of 5 symbols
    again = Model(settings, corpus.symbols)
    assert not again.model.decoder_bias.any()
    again.begin_again(corpus)
    assert torch.equal(again.model.decoder_bias, task.model.decoder_bias)
