"""A task named by another word is answered by ours, in a sentence that says whether this version has it."""

from __future__ import annotations

import pytest

import recurra
from recurra.errors import SettingsError
from recurra.settings import names
from recurra.settings.names import OTHER_WORDS, TASKS, TASKS_TO_COME, check_task
from recurra.settings.toml import from_toml
from tests.cli.conftest import Call, call

__all__ = ["call"]


@pytest.mark.parametrize("word", ["sentiment", "Sentiment", "text-classification", "text_classification"])
def test_another_word_for_a_task_we_have_is_answered_by_ours(word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_task(word)
    assert str(caught.value) == f"task: {word!r} is the task classify here; give classify in its place"


@pytest.mark.parametrize(
    ("word", "task"),
    [
        ("lm", "model"), ("seq2seq", "translate"), ("summarize", "translate"), ("chat", "translate"), ("pos", "tag"),
        ("ner", "tag"), ("asr", "transcribe"), ("timeseries", "forecast"), ("time-series", "forecast"),
    ],
)  # fmt: skip
def test_a_task_to_come_is_named_with_those_that_are_here(
    monkeypatch: pytest.MonkeyPatch, word: str, task: str
) -> None:
    monkeypatch.setattr(names, "TASKS", ("classify",))
    monkeypatch.setattr(names, "TASKS_TO_COME", ("tag", "model", "translate", *TASKS_TO_COME))
    with pytest.raises(SettingsError) as caught:
        check_task(word)
    expected = f"task: {word!r} is the task {task} here, which this version has not yet; it has: classify"
    assert str(caught.value) == expected
    with pytest.raises(SettingsError, match=f"task: '{task}' is a task that this version has not yet; it has: class"):
        check_task(task)


def test_every_other_word_leads_to_a_task_and_is_none_itself() -> None:
    assert set(OTHER_WORDS.values()) <= {*TASKS, *TASKS_TO_COME}
    assert not set(OTHER_WORDS) & {*TASKS, *TASKS_TO_COME}


def test_the_command_line_python_and_a_file_answer_alike(call: Call) -> None:
    sentence = "task: 'sentiment' is the task classify here; give classify in its place"
    for arguments in ("train sentiment", "train sentiment --data a.csv --lr 3"):
        assert call(*arguments.split()) == (2, "", f"recurra: {sentence}\n")
    with pytest.raises(SettingsError, match=sentence):
        recurra.train("sentiment", data="a.csv")
    with pytest.raises(SettingsError, match=f"c.toml: {sentence}"):
        from_toml('task = "sentiment"', "c.toml")
