"""Where a run stands beside the plain methods that were measured on the same rows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

SMALLER_IS_BETTER = ("loss", "mae", "rmse", "perplexity", "bits_per_character")
_BASELINE = re.compile(r"baseline_([a-z]+)_(\w+)")


def baseline_names(result: Mapping[str, Any]) -> list[str]:
    """The plain methods of a result: `linear` of the key baseline_linear_accuracy."""
    return list(dict.fromkeys(match[1] for match in map(_BASELINE.fullmatch, result) if match))


def beside(result: Mapping[str, Any], metrics: Sequence[str]) -> list[list[Any]]:
    """For each metric that a plain method has too: its name, the model's value, and each method's in their order."""
    names = baseline_names(result)
    return [
        [metric, result[metric], *(result.get(f"baseline_{name}_{metric}") for name in names)]
        for metric in metrics
        if metric in result
    ]


def not_beaten(result: Mapping[str, Any], metric: str) -> str:
    """A sentence that says which plain methods the model does not beat; empty where it beats all that there are."""
    mine = result.get(metric)
    ahead = []
    for name in baseline_names(result):
        plain = result.get(f"baseline_{name}_{metric}")
        if not (_is_number(mine) and _is_number(plain)):
            continue
        if (plain <= mine) if metric in SMALLER_IS_BETTER else (plain >= mine):
            ahead.append(f"{name} ({plain:.4f})")
    if not ahead:
        return ""
    return f"The model ({mine:.4f}) does not beat {' and '.join(ahead)} in {metric.replace('_', ' ')}."


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
