"""The native engine beside torch's kernels: whole sequences forward and backward, padded batches, single steps.

    python benchmarks/native.py [--rounds 9] [--small] [--threads 1]

Sequences: GRU and LSTM, one layer, input = hidden, against torch.nn on the same weights; with lengths spread evenly
from T/10 to T against torch's packed sequences. Steps: the whole Python call at batch 1 against torch's cell function
(`torch.nn.GRUCell`, `LSTMCell`) and torch.nn.GRU or LSTM over one step, in inference mode. Results are compared before
anything is timed; ways take turns, and a figure is the ratio of medians, torch / native. One thread is timed in the
processor's seconds, so that other work on the machine counts little; several in seconds of the clock, which says
something on an idle machine alone.
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
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.engines.native import Stepper, instructions
from recurra.nn import Recurrent

LAYERS = {"gru": nn.GRU, "lstm": nn.LSTM}
CELLS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}
SHAPES = list(product((1, 4, 16, 64), (64, 512), (32, 64, 128, 256)))  # batch, steps, input = hidden
SMALL = [(1, 64, 64), (16, 64, 64), (32, 64, 128)]
HIDDEN = (16, 32, 64, 128, 256, 512)
STEPS = 300  # a round of single steps

Way = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="three shapes, for a first look")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of the kernels alike")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes, rounds = SMALL if options.small else SHAPES, options.rounds
    sequences = [
        sequence(kind, *shape, ragged, rounds) for kind, ragged, shape in product(LAYERS, (False, True), shapes)
    ]
    print("| cell | batch | T | hidden | lengths | native ms | torch ms | torch / native |")
    print("|---|---|---|---|---|---|---|---|")
    for row in sequences:
        shape = " | ".join(str(row[key]) for key in ("cell", "batch", "steps", "hidden", "lengths"))
        print(f"| {shape} | {row['native']:.2f} | {row['torch']:.2f} | {row['torch'] / row['native']:.2f} |")
    for kind, lengths in product(LAYERS, ("equal", "10:1")):
        ratios = [r["torch"] / r["native"] for r in sequences if (r["cell"], r["lengths"]) == (kind, lengths)]
        print(f"{kind}, {lengths}: geometric mean {statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}")
    steps = [step(kind, hidden, rounds) for kind in CELLS for hidden in HIDDEN]
    print("\n| cell | hidden | native µs | cell µs | layer µs | cell / native | layer / native |")
    print("|---|---|---|---|---|---|---|")
    for row in steps:
        times = " | ".join(f"{row[key]:.1f}" for key in ("native", "cell function", "layer"))
        ratios = " | ".join(f"{row[key] / row['native']:.1f}" for key in ("cell function", "layer"))
        print(f"| {row['cell']} | {row['hidden']} | {times} | {ratios} |")
    found = {
        "instructions": instructions(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "sequences": sequences,
        "steps": steps,
    }
    path = Path(__file__).parent / "results" / "native.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


def sequence(kind: str, batch: int, steps: int, hidden: int, ragged: bool, rounds: int) -> dict[str, Any]:
    """Median milliseconds of a forward and backward pass, ours and torch's in turn."""
    torch.manual_seed(0)
    ours = Recurrent(kind, hidden, hidden, engine="native")
    theirs = LAYERS[kind](hidden, hidden, batch_first=True)
    for name, value in ours.layers[0][0].cell.named_parameters():
        getattr(theirs, f"{name}_l0").data.copy_(value.data)
    lengths = torch.linspace(max(steps // 10, 1), steps, batch).long() if ragged else None
    x = torch.randn(batch, steps, hidden, requires_grad=True)

    def native() -> torch.Tensor:
        return ours(x, lengths=lengths)[0]

    def peer() -> torch.Tensor:
        if lengths is None:
            return theirs(x)[0]
        rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(theirs(rows)[0], batch_first=True, total_length=steps)[0]

    weights = torch.randn(batch, steps, hidden)
    gradients = [torch.autograd.grad((way() * weights).sum(), x)[0] for way in (native, peer)]
    torch.testing.assert_close(native(), peer(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)
    ways = {"native": lambda: native().backward(weights), "torch": lambda: peer().backward(weights)}
    lengths_name = "10:1" if ragged else "equal"
    shape = {"cell": kind, "batch": batch, "steps": steps, "hidden": hidden, "lengths": lengths_name}
    return shape | medians(ways, rounds, 1e3)


def step(kind: str, hidden: int, rounds: int) -> dict[str, Any]:
    """Median microseconds of one step at batch 1."""
    torch.manual_seed(0)
    cell, layer = CELLS[kind](hidden, hidden), LAYERS[kind](hidden, hidden, batch_first=True)
    own = Recurrent(kind, hidden, hidden).layers[0][0].cell
    for name, value in own.named_parameters():
        getattr(cell, name).data.copy_(value.data)
        getattr(layer, f"{name}_l0").data.copy_(value.data)
    stepper, x = Stepper(own), torch.randn(1, hidden)

    def native() -> torch.Tensor:
        stepper.reset()
        for _ in range(STEPS):
            y = stepper.step(x)
        return y

    @torch.inference_mode()
    def of_cell() -> torch.Tensor:
        state = None
        for _ in range(STEPS):
            state = cell(x, state)
        return state if kind == "gru" else state[0]

    @torch.inference_mode()
    def of_layer() -> torch.Tensor:
        state, one = None, x[None]
        for _ in range(STEPS):
            y, state = layer(one, state)
        return y[0]

    torch.testing.assert_close(native(), of_cell(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(native(), of_layer(), rtol=1e-4, atol=1e-4)
    ways = {"native": native, "cell function": of_cell, "layer": of_layer}
    return {"cell": kind, "hidden": hidden} | medians(ways, rounds, 1e6 / STEPS)


def medians(ways: Mapping[str, Way], rounds: int, unit: float) -> dict[str, float]:
    """The ways in turn; the first two rounds are the warm-up."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 2):
        for name, way in ways.items():
            began = clock()
            way()
            if turn >= 2:
                times[name].append(clock() - began)
    return {name: unit * statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
