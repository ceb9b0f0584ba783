"""Where the arithmetic happens, and whether it is possible there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from recurra.errors import SettingsError
from recurra.settings.names import Precision


def choose_device(name: str, local_rank: int = 0, processes: int = 1) -> torch.device:
    """The device of a name: auto, cpu, cuda, cuda:N or mps.

    auto is a CUDA device where there is one, else the CPU; mps, which has no float64, is taken only by name. Of
    several processes on a machine each has a CUDA device of its own, or all share the CPU.

    Args:
        name: of a device.
        local_rank: number of this process on its machine.
        processes: on this machine.

    Raises:
        SettingsError: the name is not known, or this machine has no such device, or too few of them.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdecimal())):
        raise SettingsError(f"device: {name!r} is none of auto, cpu, cuda, cuda:N, mps")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if processes > 1:
        _check_shared(name, kind, processes)
    if kind == "cuda":
        return _cuda(name, int(index or local_rank))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise SettingsError("device: mps is not available here; give auto or cpu")
    return torch.device(kind)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse bf16 where the device would only imitate it.

    Raises:
        SettingsError: the device has no bf16 arithmetic.
    """
    if precision == "bf16" and not _has_bf16(device):
        raise SettingsError(f"precision: bf16 is not in the arithmetic of this {device.type} device; give fp32")


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use `count` CPU threads inside the block (0: as many as it does already)."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count:
            torch.set_num_threads(before)


@contextlib.contextmanager
def forked_generators(device: torch.device) -> Iterator[None]:
    """What is drawn and seeded inside the block leaves the caller's generators as they were."""
    cuda = [device] if device.type == "cuda" else []
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    try:
        with torch.random.fork_rng(devices=cuda, device_type="cuda"):
            yield
    finally:
        if mps is not None:
            torch.mps.set_rng_state(mps)


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed the generators of the CPU and of one device.

    `torch.manual_seed` would also reach the other devices, whose generators are the caller's.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _check_shared(name: str, kind: str, processes: int) -> None:
    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"device: {name} is one device, and here are {processes} processes; give auto, cuda or cpu")
    found = torch.cuda.device_count() if kind == "cuda" else processes
    if 0 < found < processes:
        raise SettingsError(
            f"device: {name} has {found} CUDA device(s) here for {processes} processes; start {found} "
            f"(torchrun --nproc-per-node {found}), or give --device cpu"
        )


def _cuda(name: str, index: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index < count:
        return torch.device("cuda", index)
    there = f"the last one is cuda:{count - 1}" if count else "torch finds no CUDA device; give auto or cpu"
    raise SettingsError(f"device: {name} is not here; {there}")


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any("bf16" in name and bool(value) for name, value in capabilities.items())
