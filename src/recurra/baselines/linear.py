"""A linear model on rows of features: a linear SVM for labels, ridge for numbers, each in its best of a few settings.

Settings are chosen on the validation rows that also choose the recurrent model's epoch: of the SVM C and whether
classes count alike (`class_weight="balanced"`), of ridge the penalty. Of equals the first of the list stands; without
validation rows it does too.

A linear SVM, for logistic regression on the same features came to the same accuracy (cross-validation: 81.1 and 81.0 %
on sst2, 82.3 and 82.4 % on names), to a lower macro-F1 (47.2 and 48.9 % on names), and took longer with many classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.optional import require

Kind = Literal["classes", "marks", "numbers"]
Metric = Literal["accuracy", "macro_f1"]
Setting = dict[str, Any]

SVM_C = {"text": (1.0, 0.3), "numbers": (0.1, 0.01, 1.0)}
RIDGE_ALPHA = {"text": (1.0, 0.1, 10.0), "numbers": (1.0, 0.1, 10.0, 100.0, 1000.0)}
CONSTANT_SPREAD = 1e-12  # a standard deviation below this share of the mean is rounding, not variation


@dataclass(frozen=True, eq=False)
class Linear:
    """Scores of a row x: scale · (weight @ x) + bias.

    Args:
        outputs: [K] the class, label or column that each score is for; int64, ascending.
        weight: [K, F] float16 for texts, where it is as exact as needed; else float32.
        scale: [K] float64, what the weights of an output were divided by, so that the largest is 1.
        bias: [K] float64.
        setting: of the model that was chosen.
    """

    outputs: NDArray[np.int64]
    weight: NDArray[Any]
    scale: NDArray[np.float64]
    bias: NDArray[np.float64]
    setting: Setting

    def scores(self, rows: Any) -> NDArray[np.float64]:
        """[N, K] for rows [N, F], each as if it were alone."""
        product = require("scipy.sparse").csr_array(rows) @ self.weight.T.astype(np.float32)
        return np.asarray(product, dtype=np.float64) * self.scale + self.bias

    def answers(self, kind: Kind, rows: Any) -> NDArray[Any]:
        """For rows [N, F] ids [N] int64, marks [N, L] int64 or numbers [N] float64."""
        scores = self.scores(rows)
        if kind == "classes":
            return np.asarray(self.outputs[scores.argmax(1)])
        return scores[:, 0] if kind == "numbers" else (scores > 0).astype(np.int64)


def choose(kind: Kind, rows: Any, targets: Any, valid: tuple[Any, Any] | None, *, metric: Metric, seed: int) -> Linear:
    """The best model on the validation rows.

    Args:
        kind: of the targets.
        rows: [N, F] features of training: sparse for texts, else an array.
        targets: [N] ids, [N, L] marks or [N] numbers.
        valid: rows and targets to choose by; None: the first setting.
        metric: what is higher in the better model; of numbers it is the error that is lower.
        seed: of the solver's order.
    """
    settings = _settings(kind, rows)
    models = (fit_linear(kind, rows, targets, setting, seed) for setting in settings)
    if valid is None:
        return next(models)
    return max(models, key=lambda model: _value(kind, model.answers(kind, valid[0]), valid[1], metric))


def fit_linear(kind: Kind, rows: Any, targets: Any, setting: Setting, seed: int) -> Linear:
    """One model, its weights rounded to what is stored."""
    with require("threadpoolctl").threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a solver that has used its steps is as good as it gets
        if kind == "numbers":
            outputs, weight, bias = _ridge(rows, targets, setting)
        elif kind == "marks":
            outputs, weight, bias = _marks(rows, targets, setting, seed)
        else:
            outputs, weight, bias = _classes(rows, targets, setting, seed)
    kept = np.float32 if isinstance(rows, np.ndarray) else np.float16
    scale = np.abs(weight).max(1, initial=0.0)
    scale[scale == 0] = 1.0
    return Linear(outputs, (weight / scale[:, None]).astype(kept), scale, bias, setting)


def _classes(rows: Any, targets: Any, setting: Setting, seed: int) -> tuple[Any, Any, Any]:
    outputs = np.unique(targets)
    if len(outputs) == 1 or not rows.shape[1]:
        counts = np.bincount(targets)[outputs]
        return outputs, np.zeros((len(outputs), rows.shape[1])), counts / counts.sum()
    model = _svm(rows, targets, setting, seed)
    if len(outputs) == 2:  # scikit-learn gives the second's score alone
        return outputs, np.vstack([-model.coef_, model.coef_]), np.append(-model.intercept_, model.intercept_)
    return outputs, model.coef_, model.intercept_


def _marks(rows: Any, targets: Any, setting: Setting, seed: int) -> tuple[Any, Any, Any]:
    labels = targets.shape[1]
    weight, bias = np.zeros((labels, rows.shape[1])), np.zeros(labels)
    for label in range(labels):
        own = targets[:, label]
        if own.min() == own.max() or not rows.shape[1]:
            bias[label] = 1.0 if own.mean() > 0.5 else -1.0
        else:
            model = _svm(rows, own, setting, seed)
            weight[label], bias[label] = model.coef_[0], model.intercept_[0]
    return np.arange(labels), weight, bias


def _ridge(rows: Any, targets: Any, setting: Setting) -> tuple[Any, Any, Any]:
    mean, std = targets.mean(), targets.std()
    if not CONSTANT_SPREAD * abs(mean) < std < np.inf or not rows.shape[1]:
        return np.arange(1), np.zeros((1, rows.shape[1])), np.array([mean])
    solver = "cholesky" if isinstance(rows, np.ndarray) else "sparse_cg"
    model = require("sklearn.linear_model").Ridge(alpha=setting["alpha"], solver=solver, tol=1e-6)
    model.fit(rows.astype(np.float64), (targets - mean) / std)
    return np.arange(1), model.coef_[None] * std, np.array([model.intercept_ * std + mean])


def _svm(rows: Any, targets: Any, setting: Setting, seed: int) -> Any:
    # texts have more features than rows, or nearly; the dual is quicker there
    dual = "auto" if isinstance(rows, np.ndarray) else True
    return require("sklearn.svm").LinearSVC(dual=dual, random_state=seed, **setting).fit(rows, targets)


def _settings(kind: Kind, rows: Any) -> list[Setting]:
    features = "numbers" if isinstance(rows, np.ndarray) else "text"
    if kind == "numbers":
        return [{"alpha": alpha} for alpha in RIDGE_ALPHA[features]]
    return [{"C": c, "class_weight": weight} for weight in (None, "balanced") for c in SVM_C[features]]


def _value(kind: Kind, predicted: Any, targets: Any, metric: Metric) -> float:
    if kind == "numbers":
        return -float(((predicted - targets) ** 2).mean())
    if metric == "accuracy":
        return float((predicted == targets).reshape(len(targets), -1).all(1).mean())
    return float(require("sklearn.metrics").f1_score(targets, predicted, average="macro", zero_division=0))
