"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets: RECURRA_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("RECURRA_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set RECURRA_DATA to run this test")
    return folder


DEEP = os.environ.get("RECURRA_DEEP") == "1"
ORDER = ("contracts", "faults", "journeys")  # the laws first: what breaks them breaks everything; then the rest

# A slow machine is no fault of an example, so no deadline; the small profile finds the same examples every time.
settings.register_profile("ci", max_examples=20, deadline=None, derandomize=True, database=None)
settings.register_profile(
    "deep", max_examples=1000, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("deep" if DEEP else "ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Laws, faults, journeys, the rest; tests marked deep only where RECURRA_DEEP=1."""
    left_out = [] if DEEP else [item for item in items if item.get_closest_marker("deep")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    kept = [item for item in items if item not in left_out]
    items[:] = sorted(kept, key=lambda item: _place(item.path.relative_to(Path(__file__).parent)))


def pytest_runtest_setup() -> None:
    """Every test draws the same numbers, alone or among others: what fails once fails again."""
    torch.manual_seed(0)


def _place(path: Path) -> int:
    return ORDER.index(path.parts[0]) if path.parts[0] in ORDER else len(ORDER)
