"""Recurra: recurrent sequence models that give the same answers in a batch, packed, or one step at a time.

The public names are bound at first use (PEP 562), so that importing the package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra import errors, lab, models, nn
    from recurra.api import certify, compare, dry_run, explain, load, resume, train
    from recurra.run import Run

__version__ = "0.4.0"

__all__ = [
    "Run",
    "__version__",
    "certify",
    "compare",
    "dry_run",
    "errors",
    "explain",
    "lab",
    "load",
    "models",
    "nn",
    "resume",
    "train",
]

_OWNERS = {"Run": "run"} | dict.fromkeys(("certify", "compare", "dry_run", "explain", "load", "resume", "train"), "api")
_ROOMS = ("errors", "lab", "models", "nn")


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"recurra.{name}")
    if name in _OWNERS:
        value = getattr(import_module(f"recurra.{_OWNERS[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'recurra' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
