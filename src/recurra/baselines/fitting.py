"""Baselines of one run: fitted, asked by name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.constant import fit_constant
from recurra.baselines.linear import Kind, Linear, Metric, choose, fit_linear
from recurra.baselines.number_features import NumberFeatures, columns_of, width_of
from recurra.baselines.text_features import MAX_CHARACTERS, TextFeatures
from recurra.errors import InputError
from recurra.randomness import numpy_generator

InputKind = Literal["text", "series", "vector"]

NAMES: dict[Kind, tuple[str, str]] = {
    "classes": ("majority", "linear"),
    "marks": ("majority", "linear"),
    "numbers": ("mean", "ridge"),
}
MAX_NUMBERS = 10_000_000  # characters, or columns times rows, that a linear model is fitted on: about 2 GB of memory
MAX_WORK = 400_000_000  # the same times outputs: under a minute a setting
MAX_FEATURES = 200_000
MAX_WEIGHTS = 12_000_000  # features times outputs: 24 MB in the run


@dataclass(frozen=True, eq=False)
class Baselines:
    """A constant answer and a linear model.

    Args:
        kind: of the targets: one class a row, marks for several labels a row, or numbers.
        input_kind: of the inputs.
        constant: the answer of the first name; [] or, for marks, [L].
        features, linear: what the second name answers from.
        seconds: by name, of fitting; of the linear model all settings tried.
        rows: of training, and those that the linear model was fitted on: fewer where the data is too large for it.
    """

    kind: Kind
    input_kind: InputKind
    constant: NDArray[Any]
    features: TextFeatures | NumberFeatures
    linear: Linear
    seconds: dict[str, float]
    rows: tuple[int, int]

    @property
    def names(self) -> tuple[str, str]:
        """What `predict` can be asked for: `majority` and `linear`, or `mean` and `ridge`."""
        return NAMES[self.kind]

    def predict(self, name: str, inputs: Sequence[Any]) -> NDArray[Any]:
        """The answers of one baseline.

        Args:
            name: one of `names`.
            inputs: [N] texts, series or vectors, as in fitting.

        Returns:
            [N] ids int64, [N, L] marks int64 or [N] numbers float64.

        Raises:
            InputError: there is no baseline of this name.
            DataError: an input has another width than in training.
        """
        if name not in self.names:
            raise InputError(f"Baselines.predict: {name!r} is no baseline here; choose from {', '.join(self.names)}")
        if name == self.names[0]:
            return np.broadcast_to(self.constant, (len(inputs), *self.constant.shape)).copy()
        return self.linear.answers(self.kind, self.features.transform(inputs))


def fit_baselines(
    kind: Kind,
    input_kind: InputKind,
    inputs: Sequence[Any],
    targets: Any,
    *,
    valid: tuple[Sequence[Any], Any] | None = None,
    metric: Metric = "accuracy",
    refit: bool = False,
    seed: int = 0,
) -> Baselines:
    """Fit the baselines of a task.

    What is too large for the linear model (see MAX_NUMBERS and MAX_WORK) is fitted on a random part of the rows, with a
    row of every class; `Baselines.rows` tells. The constant is of all rows.

    Args:
        kind: `classes`, `marks` or `numbers`.
        input_kind: `text`, `series` or `vector`.
        inputs: [N] texts; series [T, D] or [T]; or vectors [D]. NaN and infinite numbers count as missing.
        targets: [N] ids from 0, [N, L] marks 0 or 1, or [N] finite numbers.
        valid: inputs and targets by which settings are chosen; None: the default setting.
        metric: what they are chosen by, of classes and marks; numbers have the mean squared error.
        refit: fit the chosen setting again on training and validation rows together.
        seed: of the part of the rows and of the solver.

    Raises:
        DataError: widths of inputs differ.
        InputError: there is no row.
    """
    if not len(inputs):
        raise InputError("fit_baselines: there are no rows, and at least one is expected; give training data")
    targets = _array(kind, targets)
    if valid is not None:
        valid = (valid[0], _array(kind, valid[1])) if len(valid[0]) else None
    began = time.perf_counter()
    whole = targets if valid is None or not refit else np.concatenate([targets, valid[1]])
    constant = fit_constant(kind, whole)
    constant_seconds = time.perf_counter() - began

    began = time.perf_counter()
    part = affordable(kind, input_kind, inputs, targets, numpy_generator(seed, "baseline"))
    features, rows = _fit_features(kind, input_kind, [inputs[row] for row in part], targets)
    solver_seed = seed % 2**31  # what scikit-learn takes
    held_out = None
    if valid is not None:
        own = affordable(kind, input_kind, valid[0], valid[1], numpy_generator(seed, "baseline", "valid"))
        held_out = features.transform([valid[0][row] for row in own]), valid[1][own]
    linear = choose(kind, rows, targets[part], held_out, metric=metric, seed=solver_seed)
    fitted, total = len(part), len(whole)
    if refit and valid is not None:
        inputs = [*inputs, *valid[0]]
        part = affordable(kind, input_kind, inputs, whole, numpy_generator(seed, "baseline", "refit"))
        features, rows = _fit_features(kind, input_kind, [inputs[row] for row in part], whole)
        linear = fit_linear(kind, rows, whole[part], linear.setting, solver_seed)
        fitted = len(part)
    first, second = NAMES[kind]
    seconds = {first: round(constant_seconds, 3), second: round(time.perf_counter() - began, 3)}
    return Baselines(kind, input_kind, constant, features, linear, seconds, (total, fitted))


def affordable(
    kind: Kind, input_kind: InputKind, inputs: Sequence[Any], targets: NDArray[Any], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The rows that a linear model is fitted on, ascending: all, or a random part with a row of every class first."""
    if input_kind == "text":
        costs = np.array([min(len(text), MAX_CHARACTERS) for text in inputs], dtype=np.int64)
    else:
        vector = input_kind == "vector"
        widths = [width_of(value, vector=vector) for value in inputs]
        costs = np.array([columns_of(width, vector=vector) for width in widths], dtype=np.int64)
    budget = min(MAX_NUMBERS, MAX_WORK // _outputs(kind, targets))
    if costs.sum() <= budget:
        return np.arange(len(inputs))
    order = rng.permutation(len(inputs))
    if kind == "classes":
        first = np.sort(np.unique(targets[order], return_index=True)[1])
        order = np.concatenate([order[first], np.delete(order, first)])
    fitting = int(np.searchsorted(costs[order].cumsum(), budget, side="right"))
    return np.sort(order[: max(1, fitting)])


def _fit_features(
    kind: Kind, input_kind: InputKind, inputs: Sequence[Any], targets: NDArray[Any]
) -> tuple[TextFeatures | NumberFeatures, Any]:
    if input_kind == "text":
        return TextFeatures.fit(inputs, max(2, min(MAX_FEATURES, MAX_WEIGHTS // _outputs(kind, targets))))
    return NumberFeatures.fit(inputs, vector=input_kind == "vector")


def _outputs(kind: Kind, targets: NDArray[Any]) -> int:
    """Scores of a row: what the work and the weights are multiplied by."""
    if kind == "numbers":
        return 1
    return max(1, targets.shape[1] if kind == "marks" else int(targets.max()) + 1)


def _array(kind: Kind, targets: Any) -> NDArray[Any]:
    return np.asarray(targets, dtype=np.float64 if kind == "numbers" else np.int64)
