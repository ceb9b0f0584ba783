"""scikit-learn and SciPy, loaded when a baseline is fitted or asked: they take most of a second, and answers none."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str) -> Any:
    """Import a module, by its dotted name, when it is first needed."""
    return importlib.import_module(module)
