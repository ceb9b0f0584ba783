"""Rows of unequal length on a CPU: Recurra's padded pass against torch's packed sequences and an unmasked padded pass.

    python benchmarks/ragged.py [--rounds 9]

Forward and backward, one direction, one layer, lengths spread evenly between T/10 and T. "padded" is nn.LSTM on the
padded batch without regard to lengths: its final state is wrong for every short row, so it is the floor, not a peer.
Outputs, final states and gradients are compared with the packed ones before anything is timed.
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
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.nn import Recurrent

MODULES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
SHAPES = [(32, 25, 128), (32, 200, 256), (8, 1000, 128), (64, 50, 64)]  # batch, steps, input = hidden

Result = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    rows = [measure(kind, shape, rounds) for kind in MODULES for shape in SHAPES]
    print("| cell | batch | T | hidden | recurra ms | packed ms | floor ms | packed / recurra | recurra / floor |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        ours, packed, floor = row["recurra"], row["packed"], row["padded"]
        shape = f"{row['cell']} | {row['batch']} | {row['steps']} | {row['size']}"
        print(f"| {shape} | {ours:.1f} | {packed:.1f} | {floor:.1f} | {packed / ours:.2f} | {ours / floor:.2f} |")
    found = {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}
    path = Path(__file__).parent / "results" / "ragged.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


def measure(kind: str, shape: tuple[int, int, int], rounds: int) -> dict[str, Any]:
    """Median milliseconds of the three ways, in turn."""
    batch, steps, size = shape
    torch.manual_seed(0)
    ours, theirs = Recurrent(kind, size, size), MODULES[kind](size, size, batch_first=True)
    cell = ours.layers[0][0].cell
    for name, value in cell.named_parameters():
        getattr(theirs, f"{name}_l0").data.copy_(value.data)
    lengths = torch.linspace(steps / 10, steps, batch).long()
    x = torch.randn(batch, steps, size)

    def final(end: Any) -> torch.Tensor:
        return (end[1] if kind == "lstm" else end)[0]

    def recurra() -> Result:
        outputs, state = ours(x, lengths=lengths)
        return outputs, state.layers[0][-1]

    def packed() -> Result:
        outputs, end = theirs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return pad_packed_sequence(outputs, batch_first=True)[0], final(end)

    def padded() -> Result:
        outputs, end = theirs(x)
        return outputs, final(end)

    check(recurra, packed, cell, theirs)
    ways = {"recurra": recurra, "packed": packed, "padded": padded}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 2):
        for name, way in ways.items():
            began = time.perf_counter()
            outputs, end = way()
            (outputs.sum() + end.sum()).backward()
            if turn >= 2:  # the first two rounds are the warm-up
                times[name].append(time.perf_counter() - began)
    medians = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    return {"cell": kind, "batch": batch, "steps": steps, "size": size, **medians}


def check(one: Callable[[], Result], other: Callable[[], Result], cell: nn.Module, theirs: nn.Module) -> None:
    """Outputs, final state and weight gradients agree."""
    for way in (one, other):
        outputs, end = way()
        (outputs.sin().sum() + end.sin().sum()).backward()
    a, b = one(), other()
    torch.testing.assert_close(a[0], b[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(a[1], b[1], rtol=1e-4, atol=1e-4)
    for name, value in cell.named_parameters():
        torch.testing.assert_close(value.grad, getattr(theirs, f"{name}_l0").grad, rtol=1e-3, atol=1e-2)


if __name__ == "__main__":
    main()
