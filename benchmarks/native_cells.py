"""The native kernels of cells that torch does not know, beside the reference loop and the loop compiled by torch.

    python benchmarks/native_cells.py [--rounds 7] [--compiled] [--cells lstm_layernorm indrnn]

One layer, input = hidden, T 64, float32, forward and backward. Results are compared before anything is timed; ways take
turns, and a figure is the ratio of medians, peer / native. One thread, in the processor's seconds. With --compiled the
loop is compiled for each shape too; what that cost stands apart. peak: the share of the rate of torch.mm 1024³,
measured beside it, at which the layer's matrix products would have run in the native time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import torch

from recurra.engines.native import instructions
from recurra.nn import Recurrent

CELLS = (
    "rnn", "rnn_relu", "indrnn", "lstm_peephole", "lstm_layernorm", "gru_layernorm", "lstm_projection", "mingru",
    "minlstm",
)  # fmt: skip
SHAPES = ((1, 64), (8, 64), (32, 128), (64, 256))  # batch, input = hidden
STEPS = 64

Way = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--compiled", action="store_true", help="compile the loop too, at batch 1 and 8; minutes a cell"
    )
    parser.add_argument("--cells", nargs="+", default=CELLS, choices=CELLS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = Path(__file__).parent / "results" / "native_cells.json"
    part = "compiled" if options.compiled else "rows"  # the other one stays as it is
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found |= {"instructions": instructions(), "threads": 1, "torch": torch.__version__, "steps": STEPS, part: []}
    peers = ("loop", "scan", "compiled")
    print("| cell | batch | hidden | native ms | " + " | ".join(f"{peer} / native" for peer in peers) + " | peak |")
    print("|---|---|---|---|---|---|---|---|")
    for cell, (batch, hidden) in product(options.cells, SHAPES):
        row = measured(cell, batch, hidden, options.compiled and batch <= 8, options.rounds)
        found[part].append(row)
        ratios = " | ".join(f"{row[peer] / row['native']:.1f}" if peer in row else "" for peer in peers)
        print(f"| {cell} | {batch} | {hidden} | {row['native']:.2f} | {ratios} | {row['peak']:.0%} |", flush=True)
        path.write_text(json.dumps(found, indent=1) + "\n")


def measured(cell: str, batch: int, hidden: int, compiled: bool, rounds: int) -> dict[str, Any]:
    """Median milliseconds of each way, and what compiling cost in seconds."""
    torch.manual_seed(0)
    layers = {"native": Recurrent(cell, hidden, hidden, engine="native")}
    for engine in ("loop", "scan") if cell.startswith("min") else ("loop",):
        layers[engine] = Recurrent(cell, hidden, hidden, engine=engine)
        layers[engine].load_state_dict(layers["native"].state_dict())
    x = torch.randn(batch, STEPS, hidden, requires_grad=True)
    forward: dict[str, Callable[[], torch.Tensor]] = {name: lambda one=one: one(x)[0] for name, one in layers.items()}
    row: dict[str, Any] = {"cell": cell, "batch": batch, "hidden": hidden}
    weights = torch.randn_like(forward["native"]())
    if compiled:
        loop = layers["loop"]
        run = torch.compile(lambda x: loop(x)[0], dynamic=False)
        forward["compiled"] = lambda: run(x)
        began = time.process_time()
        run(x).backward(weights)
        row["seconds to compile"] = time.process_time() - began
    ways: dict[str, Way] = {name: lambda way=way: way().backward(weights) for name, way in forward.items()}
    found = {name: (y := way(), *torch.autograd.grad((y * weights).sum(), x)) for name, way in forward.items()}
    for pair in found.values():
        for one, expected in zip(pair, found["loop"], strict=True):
            far = float((one - expected).detach().abs().max() / expected.detach().abs().max())
            if far > 1e-3:  # a normalised row begins from zeros, and there the loop itself has no more digits
                raise SystemExit(f"{cell}, batch {batch}, hidden {hidden}: {far:.1e} from the loop")
    square = torch.randn(1024, 1024)
    row |= medians(ways | {"square": lambda: torch.mm(square, square)}, rounds)
    recurrent, from_input = (
        sum(weight.numel() for name, weight in layers["native"].named_parameters() if part in name and weight.dim() > 1)
        for part in ("_hh", "_ih")
    )
    operations = 6 * batch * STEPS * (recurrent + from_input)
    row["peak"] = operations / row["native"] / (2 * 1024**3 / row.pop("square"))
    return row


def medians(
    ways: Mapping[str, Way], rounds: int, rest: float = 0.0, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Milliseconds, the ways in turn, each for 10 ms at least; the first two rounds are the warm-up.

    Args:
        rest: seconds before each way, in which threads of the last one may stop spinning.
        clock: of seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 2):
        for name, way in ways.items():
            time.sleep(rest)
            began, calls = clock(), 0
            while (spent := clock() - began) < 0.01:
                way()
                calls += 1
            if turn >= 2:
                times[name].append(spent / calls)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
