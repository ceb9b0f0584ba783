"""The closed lists of names, and the nearest one to a name that is not in them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, get_args

from recurra.errors import SettingsError

CellName = Literal[
    "rnn", "rnn_relu", "lstm", "gru", "feedforward",
    "lstm_layernorm", "gru_layernorm", "lstm_peephole", "lstm_projection", "lstm_coupled", "slstm",
    "indrnn", "mingru", "minlstm", "transformer",
]  # fmt: skip
EngineName = Literal["auto", "loop", "fused", "scan", "attention", "native"]
StreamWeights = Literal["exact", "int8"]
Initialization = Literal["orthogonal", "chrono", "torch"]
PoolingName = Literal["last", "mean", "max", "attention"]
AttentionName = Literal["additive", "dot", "general", "concat"]
DecoderAttention = Literal["additive", "dot", "general", "concat", "none"]
InputKind = Literal["auto", "text", "series", "vector"]
Unit = Literal["word", "char", "bpe"]
SymbolUnit = Literal["char", "byte", "bpe", "word"]
ClassWeights = Literal["none", "balanced"]
ForcingSchedule = Literal["constant", "linear", "inverse_sigmoid"]
ForcingUnit = Literal["token", "sequence"]
RegressionLoss = Literal["mse", "mae", "huber"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["constant", "cosine", "plateau"]
Precision = Literal["fp32", "bf16"]
OnNonfinite = Literal["stop", "skip"]
Progress = Literal["auto", "bar", "lines", "json", "none"]
TaskName = Literal["classify", "regress", "tag", "model", "translate"]
TrackerName = Literal["tensorboard", "trackio", "wandb", "mlflow"]
Automatic = Literal["auto"]
DemoName = Literal["numbers", "digits", "hello", "languages", "cells"]
LabName = Literal["vanishing-gradient", "memory", "cost"]

UNIT_WORDS: dict[str, str] = {"word": "words", "char": "characters", "bpe": "subwords", "byte": "bytes"}
"""What so many tokens of each unit are called."""

CELLS: tuple[str, ...] = get_args(CellName)
POOLINGS: tuple[str, ...] = get_args(PoolingName)
TASKS: tuple[str, ...] = get_args(TaskName)
TASKS_TO_COME = ("forecast", "transcribe", "caption")
OTHER_WORDS = {  # what users of other tools call a task → what it is called here; without hyphens and blanks
    "sentiment": "classify", "classification": "classify", "classifier": "classify", "textclassification": "classify",
    "regression": "regress", "regressor": "regress",
    "lm": "model", "languagemodel": "model", "languagemodeling": "model", "causallm": "model",
    "seq2seq": "translate", "summarize": "translate", "summarise": "translate", "summarization": "translate",
    "chat": "translate", "translation": "translate", "mt": "translate", "nmt": "translate", "text2text": "translate",
    "pos": "tag", "ner": "tag", "tagging": "tag", "tokenclassification": "tag",
    "asr": "transcribe", "speech": "transcribe", "stt": "transcribe", "speechrecognition": "transcribe",
    "timeseries": "forecast", "forecasting": "forecast",
    "captioning": "caption", "imagecaptioning": "caption",
}  # fmt: skip


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'lstm'?`, or the whole list where nothing is near."""
    known = list(known)
    near = get_close_matches(name.lower(), [str(k) for k in known], n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(map(str, known))}"


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name outside a closed list.

    Raises:
        SettingsError: with the nearest known name.
    """
    known = list(known)
    if name not in known:
        raise SettingsError(f"{what}: {name!r} is not known; {did_you_mean(name, known)}")


def check_task(name: str) -> None:
    """Refuse what is no task of this version; a word of the field for one is answered by ours.

    Raises:
        SettingsError: with the task that was meant, or the nearest, and whether this version has it.
    """
    if name in TASKS:
        return
    meant = OTHER_WORDS.get(name.lower().translate(_NO_HYPHENS), name)
    called = "" if meant == name else f" is the task {meant} here"
    if meant in TASKS:
        raise SettingsError(f"task: {name!r}{called}; give {meant} in its place")
    if meant in TASKS_TO_COME:
        called = f"{called}, which" if called else " is a task that"
        raise SettingsError(f"task: {name!r}{called} this version has not yet; it has: {', '.join(TASKS)}")
    check_name("task", name, TASKS)


_NO_HYPHENS = str.maketrans("", "", "-_ ")


def check_pooling(pooling: str) -> tuple[str, ...]:
    """`"mean+max"` → `("mean", "max")`, each name checked, none twice."""
    names = tuple(pooling.split("+"))
    for name in names:
        check_name("pooling", name, POOLINGS)
    if len(set(names)) != len(names):
        raise SettingsError(f"pooling: {pooling!r} names one kind twice; name each once, as in 'mean+max'")
    return names
