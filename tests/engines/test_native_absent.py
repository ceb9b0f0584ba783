"""An installation without the native library, or with one of other sources: said in a sentence, and the rest works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recurra.cells import CELLS
from recurra.doctor import native_engine
from recurra.engines import select_engine
from recurra.engines.native import library as native_library
from recurra.engines.native.library import Library
from recurra.errors import SettingsError
from recurra.nn import Recurrent


@pytest.fixture(autouse=True)
def opened_anew() -> Iterator[None]:
    """What was found at the first call is forgotten, before and after."""
    native_library._open.cache_clear()
    yield
    native_library._open.cache_clear()


def test_without_a_library_the_engine_says_why_and_the_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_library, "PATH", tmp_path / "none.so")
    with pytest.raises(SettingsError, match=r"engine 'native' cannot run this layer: .*not built .*C\+\+17 compiler"):
        select_engine("native", CELLS["gru"](2, 2))
    told = native_engine()
    assert told["usable"] == "no" and "pip install" in told["why not"]
    assert Recurrent("gru", 2, 3)(torch.randn(1, 4, 2))[0].shape == (1, 4, 3)


def test_a_file_that_is_no_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "damaged.so"
    path.write_bytes(b"no library")
    monkeypatch.setattr(native_library, "PATH", path)
    assert "cannot be opened" in (native_library.why_absent() or "")


def test_a_library_of_other_sources_is_told(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    native_library._open.cache_clear()
    own = native_library.INTERFACE
    monkeypatch.setattr(native_library, "INTERFACE", 1000)
    assert f"from other sources (interface {own}, expected 1000)" in (native_library.why_absent() or "")
