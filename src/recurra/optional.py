"""Libraries that only some users need, imported when they do: a CSV user does not wait for Parquet or scikit-learn."""

from __future__ import annotations

import importlib
from typing import Any

from recurra.errors import MissingExtra


def require(module: str, extra: str | None = None) -> Any:
    """Import a module when it is first needed.

    Args:
        module: dotted name.
        extra: the extra of recurra that brings it; None where a plain install does.

    Raises:
        MissingExtra: it is not installed; with the command that adds it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = f"recurra[{extra}]" if extra else module.partition(".")[0]
        raise MissingExtra(f"{module} cannot be imported ({error}); pip install '{package}'") from error
