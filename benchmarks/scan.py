"""The scan beside the loop, for cells that are linear in their state.

    python benchmarks/scan.py [--rounds 9] [--threads 1]

The same layer and the same input by both engines, in turn, with gradients (forward and backward) and without. "loop" is
the reference engine, which computes gates step by step; "lean loop" is what a loop could be at best: the gates of all
steps in one product, as the scan has them, and then one multiplication and one addition a step. Outputs, states and
gradients are compared before anything is timed. Figures are of the fastest round: other work only ever adds time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra import laws
from recurra.nn import Recurrent

SHAPES = [(16, 512, 128), (1, 512, 128), (16, 64, 128), (4, 4096, 128)]  # batch, steps, input = hidden


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = [
        measure(cell, shape, gradients, given.rounds)
        for cell in ("mingru", "minlstm")
        for shape in SHAPES
        for gradients in (True, False)
    ]
    print("| cell | batch | T | hidden | gradients | scan ms | loop ms | lean loop ms | loop / scan | lean / scan |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        shape = f"{row['cell']} | {row['batch']} | {row['steps']} | {row['size']} | {row['gradients']}"
        scan, loop, lean = row["scan"], row["loop"], row["lean"]
        print(f"| {shape} | {scan:.1f} | {loop:.1f} | {lean:.1f} | {loop / scan:.2f} | {lean / scan:.2f} |")
    found = {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}
    path = Path(__file__).parent / "results" / "scan.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


def measure(cell: str, shape: tuple[int, int, int], gradients: bool, rounds: int) -> dict[str, Any]:
    """Milliseconds of the fastest round of the three, in turn."""
    batch, steps, size = shape
    torch.manual_seed(0)
    layers = {name: Recurrent(cell, size, size, engine=name) for name in ("scan", "loop")}  # type: ignore[arg-type]
    layers["scan"].load_state_dict(layers["loop"].state_dict())
    x = torch.randn(batch, steps, size)
    distance = laws.engines_agree(layers["scan"], x[:2, :60], torch.tensor([60, 37][:batch]), engine="scan")
    assert laws.within(distance, x.dtype), f"{cell}: {distance} apart"
    ways: dict[str, Callable[[], Tensor]] = {
        "scan": lambda: layers["scan"](x)[0],
        "loop": lambda: layers["loop"](x)[0],
        "lean": lambda: lean_loop(layers["loop"], x),
    }
    torch.testing.assert_close(ways["lean"](), ways["scan"](), rtol=1e-4, atol=1e-4)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 2):
        for name, way in ways.items():
            began = time.perf_counter()
            with torch.set_grad_enabled(gradients):
                outputs = way()
                if gradients:
                    outputs.sum().backward()
            if turn >= 2:  # the first two rounds are the warm-up
                times[name].append(time.perf_counter() - began)
    fastest = {name: 1e3 * min(values) for name, values in times.items()}
    return {"cell": cell, "batch": batch, "steps": steps, "size": size, "gradients": gradients, **fastest}


def lean_loop(layer: Recurrent, x: Tensor) -> Tensor:
    """All gates at once, then a step at a time."""
    a, b = layer.layers[0][0].cell.coefficients(x)
    hidden, outputs = x.new_zeros(x.shape[0], b.shape[2]), []
    for one, other in zip(a.unbind(1), b.unbind(1), strict=True):
        hidden = one * hidden + other
        outputs.append(hidden)
    return torch.stack(outputs, 1)


if __name__ == "__main__":
    main()
