"""The native engine beside torch's kernels: whole sequences forward and backward, padded batches, single steps.

    python benchmarks/native.py [--rounds 9] [--small] [--threads 1] [--only equal ragged steps]

Sequences: RNN, GRU and LSTM, one layer, input = hidden, against torch.nn on the same weights; GRU and LSTM with lengths
spread evenly from T/10 to T against torch's packed sequences. peak: the share of the rate of torch.mm 1024³, measured
beside it, at which the layer's matrix products would have run in the native time. Steps: the whole Python call at batch
1 against torch's cell function (`torch.nn.GRUCell`, `LSTMCell`) and torch.nn.GRU or LSTM over one step, in inference
mode. Results are compared before anything is timed; ways take turns, and a figure is the ratio of medians, torch /
native. One thread is timed in the processor's seconds, so that other work on the machine counts little; several in
seconds of the clock, which says something on an idle machine alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from native_cells import medians
from recurra.engines.native import Stepper, instructions
from recurra.nn import Recurrent

LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
CELLS = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}
SHAPES = list(product((1, 4, 16, 32, 64), (64, 128, 256, 512), (32, 64, 128, 256)))  # batch, steps, input = hidden
RAGGED = list(product((4, 16, 64), (64, 512), (32, 64, 128, 256)))
SMALL = [(1, 64, 64), (16, 64, 64), (32, 64, 128)]
HIDDEN = (16, 32, 64, 128, 256, 512)
STEPS = 300  # a round of single steps
PARTS = ("equal", "ragged", "steps")
RESULTS = Path(__file__).parent / "results"

Way = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="three shapes, for a first look")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of the kernels alike")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the others' results stay as they are")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    path = RESULTS / ("native.json" if options.threads == 1 else f"native_{options.threads}_threads.json")
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found |= {"instructions": instructions(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    for part in options.only:
        shapes = SMALL if options.small else RAGGED if part == "ragged" else SHAPES
        found[part] = measured_steps(options.rounds) if part == "steps" else measured(part, shapes, options.rounds)
        path.write_text(json.dumps(found, indent=1) + "\n")


def measured(part: str, shapes: list[tuple[int, int, int]], rounds: int) -> list[dict[str, Any]]:
    """The sequences of a part, printed."""
    print(f"{part}\n| cell | batch | T | hidden | native ms | torch ms | torch / native | peak |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for kind, shape in product(("gru", "lstm") if part == "ragged" else LAYERS, shapes):
        row = sequence(kind, *shape, part == "ragged", rounds)
        rows.append(row)
        named = " | ".join(str(row[key]) for key in ("cell", "batch", "steps", "hidden"))
        ratio = row["torch"] / row["native"]
        print(f"| {named} | {row['native']:.2f} | {row['torch']:.2f} | {ratio:.2f} | {row['peak']:.0%} |", flush=True)
    for kind in LAYERS:
        ratios = [row["torch"] / row["native"] for row in rows if row["cell"] == kind]
        if ratios:
            print(f"{kind}, {part}: geometric mean {statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}")
    return rows


def measured_steps(rounds: int) -> list[dict[str, Any]]:
    """Single steps, printed."""
    steps = [step(kind, hidden, rounds) for kind in CELLS for hidden in HIDDEN]
    print("\n| cell | hidden | native µs | cell µs | layer µs | cell / native | layer / native |")
    print("|---|---|---|---|---|---|---|")
    for row in steps:
        times = " | ".join(f"{row[key]:.1f}" for key in ("native", "cell function", "layer"))
        ratios = " | ".join(f"{row[key] / row['native']:.1f}" for key in ("cell function", "layer"))
        print(f"| {row['cell']} | {row['hidden']} | {times} | {ratios} |")
    return steps


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
    square = torch.randn(1024, 1024)
    row = medians(ways | {"square": lambda: torch.mm(square, square)}, rounds, clock=clock)
    operations = 12 * GATES[kind] * hidden**2 * (int(lengths.sum()) if lengths is not None else batch * steps)
    row["peak"] = operations / row["native"] / (2 * 1024**3 / row.pop("square"))
    return {"cell": kind, "batch": batch, "steps": steps, "hidden": hidden} | row


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
    found = medians(ways, rounds, clock=clock)
    return {"cell": kind, "hidden": hidden} | {name: 1e3 / STEPS * spent for name, spent in found.items()}


def clock() -> float:
    """Seconds of the processor with one thread, else of the clock."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


if __name__ == "__main__":
    main()
