"""Which of several processes speaks: torchrun starts the same command several times, and a user reads it once."""

from __future__ import annotations

import os

from recurra.errors import Elsewhere


def rank() -> int:
    """Number of this process among those that torchrun started; 0 of one alone."""
    text = os.environ.get("RANK", "")
    return int(text) if text.isdecimal() else 0


def speaks(error: BaseException | None = None) -> bool:
    """Whether this process prints: the first one; another one only an error that is not the first one's too.

    Every process stops at the same step where one is told to, and the first one says so.
    """
    told = isinstance(error, Elsewhere) or getattr(error, "signal", None) is not None
    return rank() == 0 or (error is not None and not told)


def name_of_process() -> str:
    """What a sentence on standard error begins with."""
    return f"recurra (process {rank()})" if rank() else "recurra"
