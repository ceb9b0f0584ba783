"""The drop-ins beside torch.nn: packed input, padded input, and one step of a live sequence.

    python benchmarks/dropins.py [--rounds 9]

Both modules have the same weights and run in turn; a figure is the median time, and ratios are torch's time over ours.
Packed batches have lengths spread evenly between T/10 and T ("spread", 55 % of the steps valid), or between 0.9 T and T
("bucketed", as batches of like length have them), with gradients (forward and backward) and without. "engine" says what
the drop-in chose; where it is torch's, the ratio is the cost of choosing. Outputs, final states and gradients are
compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import recurra.nn
from recurra.nn.padded import fits

KINDS = ("LSTM", "GRU", "RNN")
SHAPES = [(32, 25, 128), (32, 200, 256), (8, 1000, 128), (64, 50, 64)]  # batch, steps, input = hidden
SPREADS = {"spread": 0.1, "bucketed": 0.9}
STEP_SIZES = [64, 256]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    cases = [(kind, shape, spread) for kind in KINDS for shape in SHAPES for spread in SPREADS]
    sequences = [sequence(*case, gradients, rounds) for gradients in (True, False) for case in cases]
    sequences += [sequence(kind, SHAPES[0], None, True, rounds) for kind in KINDS]
    print("| cell | batch | T | hidden | input | gradients | engine | torch ms | drop-in ms | torch / drop-in |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in sequences:
        shape = f"{row['cell']} | {row['batch']} | {row['steps']} | {row['size']} | {row['input']} | {row['gradients']}"
        print(f"| {shape} | {row['engine']} | {row['torch']:.2f} | {row['drop_in']:.2f} | {row['ratio']:.2f} |")
    steps = [step(kind, size, batch, 100 * rounds) for kind in KINDS for size in STEP_SIZES for batch in (1, 16)]
    print("\n| cell | hidden | batch | session µs | layer, T = 1, µs | cell µs | layer / session | cell / session |")
    print("|---|---|---|---|---|---|---|---|")
    for row in steps:
        times = f"{row['session']:.1f} | {row['layer']:.1f} | {row['cell_module']:.1f}"
        ratios = f"{row['layer'] / row['session']:.2f} | {row['cell_module'] / row['session']:.2f}"
        print(f"| {row['cell']} | {row['size']} | {row['batch']} | {times} | {ratios} |")
    found = {"threads": torch.get_num_threads(), "torch": torch.__version__, "sequences": sequences, "steps": steps}
    path = Path(__file__).parent / "results" / "dropins.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


def sequence(
    kind: str, shape: tuple[int, int, int], spread: str | None, gradients: bool, rounds: int
) -> dict[str, Any]:
    """Median milliseconds of both, in turn; padded input where there is no spread."""
    batch, steps, size = shape
    torch.manual_seed(0)
    theirs, ours = getattr(nn, kind)(size, size), getattr(recurra.nn, kind)(size, size)
    ours.load_state_dict(theirs.state_dict())
    given: Any = torch.randn(steps, batch, size)
    engine = "torch"
    if spread is not None:
        lengths = torch.linspace(SPREADS[spread] * steps, steps, batch).long()
        given = pack_padded_sequence(given, lengths, enforce_sorted=False)
        with torch.set_grad_enabled(gradients):
            engine = "padded" if fits(ours, given, None) else "torch"
    check(ours, theirs, given)

    def run(module: nn.Module) -> Callable[[], None]:
        def once() -> None:
            with torch.set_grad_enabled(gradients):
                outputs, end = module(given)
                if gradients:
                    (values(outputs).sum() + sum(one.sum() for one in leaves(end))).backward()

        return once

    torchs, drop_in = medians([run(theirs), run(ours)], rounds)
    return {
        "cell": kind,
        "batch": batch,
        "steps": steps,
        "size": size,
        "input": spread or "padded",
        "gradients": gradients,
        "engine": engine,
        "torch": 1e3 * torchs,
        "drop_in": 1e3 * drop_in,
        "ratio": torchs / drop_in,
    }


def step(kind: str, size: int, batch: int, rounds: int) -> dict[str, Any]:
    """Median microseconds of one step: the session, torch's layer at T = 1, and torch's cell; all in inference mode."""
    torch.manual_seed(0)
    ours, layer = getattr(recurra.nn, kind)(size, size), getattr(nn, kind)(size, size)
    cell = getattr(nn, f"{kind}Cell")(size, size)
    layer.load_state_dict(ours.state_dict())
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in ours.state_dict().items()})
    x = torch.randn(batch, size)
    session = ours.stream()
    states: dict[str, Any] = {"layer": None, "cell": None}

    def by_layer() -> torch.Tensor:
        with torch.inference_mode():
            y, states["layer"] = layer(x[None], states["layer"])
        return y[0]

    def by_cell() -> torch.Tensor:
        with torch.inference_mode():
            states["cell"] = cell(x, states["cell"])
        return leaves(states["cell"])[0]

    ways = [lambda: session.step(x), by_layer, by_cell]
    first, *others = [way() for way in ways]
    for other in others:
        torch.testing.assert_close(other, first)
    times = [1e6 * one for one in medians(ways, rounds)]
    return {
        "cell": kind,
        "size": size,
        "batch": batch,
        "session": times[0],
        "layer": times[1],
        "cell_module": times[2],
    }


def medians(ways: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Median seconds of each, in turn; the first tenth, two at least, is the warm-up."""
    warm = max(2, rounds // 10)
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + warm):
        for way, kept in zip(ways, times, strict=True):
            began = time.perf_counter()
            way()
            if turn >= warm:
                kept.append(time.perf_counter() - began)
    return [statistics.median(kept) for kept in times]


def check(ours: nn.Module, theirs: nn.Module, given: Any) -> None:
    """Outputs, final states and weight gradients agree."""
    results = []
    for module in (ours, theirs):
        outputs, end = module(given)
        (values(outputs).sin().sum() + sum(one.sin().sum() for one in leaves(end))).backward()
        results.append((values(outputs), *leaves(end), *(weight.grad.clone() for weight in module.parameters())))
        module.zero_grad()
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * max(1.0, float(other.detach().abs().max())))


def values(outputs: Any) -> torch.Tensor:
    return outputs.data if isinstance(outputs, PackedSequence) else outputs


def leaves(end: Any) -> tuple[torch.Tensor, ...]:
    return end if isinstance(end, tuple) else (end,)


if __name__ == "__main__":
    main()
