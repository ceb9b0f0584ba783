"""The sessions of the tasks with one answer a sequence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

from torch import Tensor

from recurra.data.features import TextFeatures
from recurra.errors import NotStreamable, SettingsError
from recurra.models import Classifier, ClassifierSteps
from recurra.models.quick import quick_parts
from recurra.settings.names import StreamWeights, check_name
from recurra.state_file import weights_digest
from recurra.streaming import (
    Pipeline,
    Preprocessing,
    QuickSeries,
    SeriesPreprocessing,
    Session,
    SessionState,
    TextPreprocessing,
)
from recurra.streaming.quick import Parts
from recurra.tasks.many_to_one import ManyToOne
from recurra.tasks.task import Task


class OneAnswer:
    """Outputs [1, O] → the answer that the task makes of them; it has no state.

    Args:
        decode: outputs [N, O] → N answers.
    """

    def __init__(self, decode: Callable[[Tensor], list[Any]]) -> None:
        self.decode = decode

    def initial_state(self) -> tuple[()]:
        """None."""
        return ()

    def step(self, outputs: Tensor, state: tuple[()]) -> tuple[Any, tuple[()]]:
        """The answer so far."""
        return self.decode(outputs.float().cpu())[0], state

    def run(self, outputs: Tensor, steps: int, state: tuple[()]) -> tuple[Any, tuple[()]]:
        """The answer so far."""
        return self.step(outputs, state)


def session_of(
    task: ManyToOne,
    state: SessionState | str | Path | None = None,
    name: str = "this model",
    weights: StreamWeights = "exact",
) -> Session:
    """A live sequence through a classification or a regression.

    Args:
        task: features, model and targets.
        state: to begin from: another session's, or the path of one that was saved; None: from the beginning.
        name: whose stream it is, for messages.
        weights: "exact", or "int8": those of the layers of 8 bits, for a model of numbers.

    Raises:
        NotStreamable: the model is bidirectional, or reads single vectors.
        SettingsError: weights of 8 bits cannot be had.
        StateError: the file is missing, damaged, or of another run.
        ShapeError: the state is not one of this run.
    """
    return Session(pipeline_of(task, name, weights), state)


def pipeline_of(task: ManyToOne, name: str, weights: StreamWeights = "exact") -> Pipeline:
    """What such a session runs.

    Raises:
        NotStreamable: the model is bidirectional, or reads single vectors.
    """
    model, features = cast(Classifier, task.model), task.features

    check_name("weights", weights, get_args(StreamWeights))

    def parts() -> Parts | None:
        if isinstance(features, TextFeatures):
            return None
        found = quick_parts(model, features.mean, features.std)
        if found is not None and weights == "int8":
            return [layer._replace(narrow=True) for layer in found[0]], found[1]
        return found

    def quick() -> QuickSeries | None:
        return None if parts() is None else QuickSeries(parts, lambda: model.training, task.decode_one)

    preprocessing: Preprocessing
    if isinstance(features, TextFeatures):
        preprocessing = TextPreprocessing(features)
    elif features.vector:
        raise NotStreamable(
            f"{name} reads single vectors, which have no time to go along; use predict for each, or train on series"
        )
    else:
        preprocessing = SeriesPreprocessing(features)
    steps = ClassifierSteps(model)
    if weights == "int8" and parts() is None:
        raise SettingsError(
            f"{name}, stream: weights 'int8' cannot be had: they are for series of numbers through rnn, lstm and gru "
            "layers on the CPU, by the native kernels (recurra doctor); give weights='exact'"
        )
    return Pipeline(preprocessing, steps, OneAnswer(task.decode), name, lambda: stream_digest(task), quick)


def stream_digest(task: Task) -> str:
    """The SHA-256 of the weights and of the features: two runs whose states fit each other in both are one run."""
    features = json.dumps([task.to_json(), task.tokenizer_json], sort_keys=True)
    return hashlib.sha256(f"{weights_digest(task.model)}\n{features}".encode()).hexdigest()
