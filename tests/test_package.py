"""The package's door: public names, bound at first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import recurra


def run_python(program: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_the_public_names_are_one_sorted_list() -> None:
    assert recurra.__all__ == sorted(recurra.__all__)
    assert len(set(recurra.__all__)) == len(recurra.__all__)
    assert dir(recurra) == recurra.__all__


@pytest.mark.parametrize("name", recurra.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(recurra, name) is getattr(recurra, name)


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = (
        "import sys, recurra, recurra.errors; print([m for m in ('torch', 'numpy', 'cyclopts') if m in sys.modules])"
    )
    assert run_python(program) == "[]"


def test_a_public_name_brings_what_it_needs_at_first_use() -> None:
    assert run_python("import sys, recurra; recurra.nn; print('torch' in sys.modules)") == "True"


def test_an_unknown_name_is_answered_with_the_public_ones() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'; public names: Run, "):
        recurra.trian  # noqa: B018
