"""The native library at each of its instruction sets."""

from __future__ import annotations

import pytest

from recurra.engines.native import LEVELS, why_absent
from recurra.engines.native.library import Library, load


@pytest.fixture
def library() -> Library:
    """The native library; a test that needs it is skipped where it was not built."""
    reason = why_absent()
    if reason is not None:
        pytest.skip(f"no native engine: {reason}")
    return load()


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, library: Library, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set in turn, as far as this processor has them."""
    number = LEVELS.index(request.param)
    if number > library.functions.recurra_best_level():
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setattr(library, "level", number)
    return str(request.param)
