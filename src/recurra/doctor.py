"""What this installation can do: versions, devices, engines, and what is missing with the command that adds it."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

import torch

from recurra import __version__
from recurra.cells import CELLS
from recurra.engines import why_not
from recurra.engines.costs import table
from recurra.engines.native import instructions, why_absent
from recurra.engines.selection import QUICK

LIBRARIES = (
    "torch", "numpy", "safetensors", "pyarrow", "tokenizers", "scikit-learn",
    "matplotlib", "jinja2", "cyclopts", "cattrs", "tomlkit", "rich", "narwhals",
)  # fmt: skip
EXTRAS = {"num2words": "demo", "tensorboardx": "track", "trackio": "track"}


def report() -> dict[str, Any]:
    """Everything as one nested object of plain values.

    Returns:
        versions; devices, each usable or with the reason; cpu; the native engine; engines by cell; missing libraries
        with a command.
    """
    return {
        "versions": versions(),
        "devices": devices(),
        "cpu": cpu(),
        "native engine": native_engine(),
        "engines": engines(),
        "missing": missing(),
    }


def versions() -> dict[str, str]:
    """Recurra's, Python's and the libraries' versions; those not installed are left out."""
    found = {"recurra": __version__, "python": platform.python_version(), "system": platform.platform()}
    for library in (*LIBRARIES, *EXTRAS):
        version = _version(library)
        if version is not None:
            found[library] = version
    return found


def devices() -> list[dict[str, str]]:
    """The kinds of device: usable with their names, or why not."""
    found = [{"device": "cpu", "usable": "yes", "detail": platform.processor() or platform.machine()}]
    if torch.cuda.is_available():
        found += [
            {"device": f"cuda:{index}", "usable": "yes", "detail": torch.cuda.get_device_name(index)}
            for index in range(torch.cuda.device_count())
        ]
    elif torch.version.cuda is None:
        found.append({"device": "cuda", "usable": "no", "detail": "this torch is built without CUDA"})
    else:
        found.append({"device": "cuda", "usable": "no", "detail": "no GPU, or no driver that fits this torch"})
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "usable": "yes", "detail": "Apple GPU"})
    elif sys.platform == "darwin":
        found.append({"device": "mps", "usable": "no", "detail": "this Mac or this torch has no Metal support"})
    else:
        found.append({"device": "mps", "usable": "no", "detail": "Apple computers only"})
    return found


def cpu() -> dict[str, Any]:
    """Threads and what torch's kernels use of the processor."""
    return {
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "cudnn": torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None,  # type: ignore[no-untyped-call]
    }


def native_engine() -> dict[str, str]:
    """Whether the compiled library is here, with the instruction set that it uses; or what is missing and the mend."""
    using = instructions()
    if using is not None:
        costs = table()
        return {"usable": "yes", "instructions": using, "costs": costs.digest, "costs from": str(costs.source)}
    return {"usable": "no", "why not": f"{why_absent()}; the other engines do its work, more slowly"}


def engines() -> list[dict[str, str]]:
    """For each cell, the engines that run it, and why not the others."""
    found = []
    with torch.random.fork_rng(devices=[]):  # a new cell draws its weights, and the caller's generator stays as it was
        for name, cell in CELLS.items():
            reasons = why_not(cell(2, 2))
            usable = ["loop", *(engine for engine in (*QUICK, "native") if engine not in reasons)]
            why = "; ".join(f"{engine}: {reason}" for engine, reason in reasons.items())
            found.append({"cell": name, "usable": ", ".join(usable), "why not": why})
    return found


def missing() -> list[dict[str, str]]:
    """Libraries that Recurra stands on, and those of its extras, that are not installed; with what adds each."""
    commands = {library: f"pip install {library}" for library in LIBRARIES}
    commands |= {library: f"pip install 'recurra[{extra}]'" for library, extra in EXTRAS.items()}
    return [
        {"library": library, "add it with": command}
        for library, command in commands.items()
        if _version(library) is None
    ]


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
