"""The compiled library: found, opened and described to ctypes once, when it is first needed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_int, c_int64, c_void_p
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch

from recurra.errors import SettingsError

PATH = Path(__file__).with_name("_recurra_native.library.so")
INTERFACE = 8
"""What this Python expects of `recurra_interface`; both go up with every change of a signature."""

LEVELS = ("portable", "AVX2", "AVX-512")
"""The instruction sets that the library has kernels for, by its own numbers."""

SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
"""The dtypes that it computes in, and how its functions end."""

CHAINS = (
    "gru",
    "lstm",
    "rnn_tanh",
    "rnn_relu",
    "indrnn",
    "lstm_peephole",
    "lstm_layernorm",
    "gru_layernorm",
    "lstm_projection",
    "scan",
)
"""The chains of chains.hpp, each forward and backward."""

MEND = (
    "install recurra again where a C++17 compiler, GCC or Clang, is found: "
    "pip install --force-reinstall --no-deps --no-cache-dir recurra, or in a checkout pip install --no-deps -e ."
)


class Sequences(ctypes.Structure):
    """`Sequences` of kernels.hpp: rows sorted by length, their steps one after the other."""

    _fields_ = (
        ("rows", c_int64),
        ("steps", c_int64),
        ("hidden_size", c_int64),
        ("active", c_void_p),
        ("threads", c_int64),
        ("read_size", c_int64),
        ("halved", c_int64),
        ("apart", c_int64),
    )


class LibraryCall(ctypes.Structure):
    """`Call` of interface.cpp: a chain and what it is given."""

    _fields_ = (
        ("chain", c_void_p),
        ("level", c_int64),
        ("sequences", c_void_p),
        ("weights", c_int64),
        ("places", c_void_p),
    )


class Library:
    """The library's functions, and the instruction set that its kernels use.

    Attributes:
        functions: the opened library.
        level: index into LEVELS, at first the best that this processor has.
    """

    def __init__(self, functions: ctypes.CDLL) -> None:
        self.functions = functions
        self.level: int = functions.recurra_best_level()
        functions.recurra_plan_space.restype, functions.recurra_plan_space.argtypes = c_int64, [c_void_p]
        functions.recurra_pack_narrow.restype = None
        functions.recurra_pack_narrow.argtypes = [c_int, c_int64, *[c_void_p] * 4, c_int64, c_int64, c_void_p]
        functions.recurra_together.restype = None
        functions.recurra_together.argtypes = [POINTER(LibraryCall), c_int64, c_int64]
        for suffix in SUFFIXES.values():
            self._describe(suffix)
        self._lanes: dict[tuple[int, torch.dtype], int] = {
            (level, dtype): self.function("lanes", dtype)(level)
            for level, dtype in product(range(len(LEVELS)), SUFFIXES)
        }

    def lanes(self, dtype: torch.dtype) -> int:
        """Numbers in a register."""
        return self._lanes[self.level, dtype]

    def function(self, name: str, dtype: torch.dtype) -> Callable[..., Any]:
        """A kernel by name; its first argument is the level."""
        found: Callable[..., Any] = getattr(self.functions, f"recurra_{name}_{SUFFIXES[dtype]}")
        return found

    def _describe(self, suffix: str) -> None:
        chains = [f"{name}_{way}" for name in CHAINS for way in ("forward", "backward")]
        for name in chains:
            function = getattr(self.functions, f"recurra_{name}_{suffix}")
            function.restype, function.argtypes = None, [c_int, POINTER(Sequences), c_int64, c_void_p]
        for name in ("pack_rows", "pack_columns"):
            function = getattr(self.functions, f"recurra_{name}_{suffix}")
            function.restype, function.argtypes = None, [c_int, c_int, c_void_p, c_int64, c_int64, c_void_p]
        pack = getattr(self.functions, f"recurra_pack_gates_{suffix}")
        pack.restype, pack.argtypes = None, [c_int, c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p]
        lanes = getattr(self.functions, f"recurra_lanes_{suffix}")
        lanes.restype, lanes.argtypes = c_int64, [c_int]
        layer = getattr(self.functions, f"recurra_pack_layer_{suffix}")
        layer.restype, layer.argtypes = None, [c_int, c_int64, *[c_void_p] * 4, c_int64, c_int64, c_void_p]
        rows = getattr(self.functions, f"recurra_step_rows_{suffix}")
        rows.restype, rows.argtypes = None, [c_void_p, c_int64, *[c_void_p] * 4]
        along = getattr(self.functions, f"recurra_step_along_{suffix}")
        along.restype, along.argtypes = None, [c_void_p, c_int64, c_int64, *[c_void_p] * 3]
        scaled = getattr(self.functions, f"recurra_step_scaled_{suffix}")
        scaled.restype, scaled.argtypes = c_int, [c_void_p] * 4


def load() -> Library:
    """The library, opened at the first call.

    Raises:
        SettingsError: it is not here, or is another version's.
    """
    found = _open()
    if isinstance(found, str):
        raise SettingsError(f"the native engine cannot run: {found}")
    return found


def why_absent() -> str | None:
    """Why there is no library here, with the mend; None where there is one."""
    found = _open()
    return found if isinstance(found, str) else None


def instructions() -> str | None:
    """The instruction set in use, of LEVELS; None where there is no library."""
    found = _open()
    return None if isinstance(found, str) else LEVELS[found.level]


@cache
def _open() -> Library | str:
    if not PATH.is_file():
        return f"its library was not built when recurra was installed; {MEND}"
    try:
        functions = ctypes.CDLL(str(PATH))
        interface = functions.recurra_interface()
    except (OSError, AttributeError) as error:
        return f"its library cannot be opened ({error}); {MEND}"
    if interface != INTERFACE:
        return f"its library was built from other sources (interface {interface}, expected {INTERFACE}); {MEND}"
    return Library(functions)
