"""Memory of training on long sequences: the most that forward and backward hold at a time.

    python benchmarks/memory_time.py [--shapes lstm,1,100000,64 ...]

Each figure is of a process of its own, with one thread: the peak of its resident memory over one forward and one
backward pass of one layer, less what it was before them, when torch was warm and the layer and its input were made.
The loss is the sum of the outputs; the input has a gradient, as it would from a layer below. "torch.nn" is nn.LSTM or
nn.GRU; "fused", "native" and "loop" are the engines of Recurrent. With blocks the run is cut into blocks of 4·√T steps
whose inside is computed a second time. The seconds are the processor's, of the same pass, once: they say about
what recomputation costs, and do not compare engines. Linux.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.nn import Recurrent

MB = 2**20
MODULES = {"lstm": nn.LSTM, "gru": nn.GRU}
SHAPES = ["lstm,32,200,256", "gru,32,200,256", "lstm,8,1000,128", "lstm,1,100000,64", "gru,1,100000,64"]
WAYS = (("torch.nn", 0), ("fused", 0), ("native", 0), ("loop", 0), ("fused", "blocks"), ("native", "blocks"))
LOOPED = 10_000  # steps that the loop is run over at the most: beyond, its graph alone takes gigabytes
RESULTS = Path(__file__).parent / "results" / "memory_time.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="cell,batch,steps,input and hidden size")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(json.loads(given.one))))
        return
    rows = []
    for shape in given.shapes:
        cell, *numbers = shape.split(",")
        batch, steps, size = map(int, numbers)
        block = max(1, round(steps**0.5) * 4)
        for way, blocks in WAYS:
            if way == "loop" and steps > LOOPED:
                continue
            case = {"cell": cell, "batch": batch, "steps": steps, "size": size, "way": way}
            rows.append(in_a_process({**case, "block": block if blocks else 0}))
            print(rows[-1], flush=True)
    found = {"torch": torch.__version__, "python": platform.python_version(), "rows": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print_table(rows)


def in_a_process(case: dict[str, Any]) -> dict[str, Any]:
    """`measure` where nothing else was."""
    call = [sys.executable, __file__, "--one", json.dumps(case)]
    found: dict[str, Any] = json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    return found


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Peak megabytes of one pass above what stood before it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warm = torch.randn(case["batch"], 8, case["size"], requires_grad=True)
    train(make({**case, "block": min(case["block"], 4)}), warm)  # modules are loaded, and torch's own space is made
    layer = make(case)
    train(layer, warm)  # the gradients of the weights stand before and after
    x = torch.randn(case["batch"], case["steps"], case["size"], requires_grad=True)
    before = resident()
    reset_peak()
    began = time.process_time()
    train(layer, x)
    seconds = time.process_time() - began
    return {**case, "mb": (peak() - before) / MB, "input_mb": x.nbytes / MB, "seconds": seconds}


def make(case: dict[str, Any]) -> nn.Module:
    """The layer of a case."""
    if case["way"] == "torch.nn":
        theirs: nn.Module = MODULES[case["cell"]](case["size"], case["size"], batch_first=True)
        return theirs
    return Recurrent(case["cell"], case["size"], case["size"], engine=case["way"], recompute=case["block"])


def train(layer: nn.Module, x: torch.Tensor) -> None:
    layer(x)[0].sum().backward()


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def reset_peak() -> None:
    """Let the peak begin anew; Linux."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Bytes that it had at the most, since the peak began anew."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def print_table(rows: list[dict[str, Any]]) -> None:
    """Megabytes, and how they compare with torch.nn's on the same shape."""
    print("| cell | batch | T | size | way | steps a block | MB | of torch.nn's | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        shape = [row[name] for name in ("cell", "batch", "steps", "size")]
        theirs = next(one["mb"] for one in rows if one["way"] == "torch.nn" and all(one[k] == row[k] for k in SHAPE))
        cells = [*shape, row["way"], row["block"] or "-", f"{row['mb']:.0f}", f"{row['mb'] / theirs:.2f}"]
        print("| " + " | ".join(map(str, [*cells, f"{row['seconds']:.1f}"])) + " |")


SHAPE = ("cell", "batch", "steps", "size")

if __name__ == "__main__":
    main()
