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
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.nn import Recurrent

SHAPES = [(32, 25, 128), (32, 200, 256), (8, 1000, 128), (64, 50, 64)]  # batch, steps, input = hidden


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    rows = []
    for kind, module in (("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)):
        for batch, steps, size in SHAPES:
            torch.manual_seed(0)
            ours, theirs = Recurrent(kind, size, size), module(size, size, batch_first=True)
            cell = ours.layers[0][0].cell
            for name, value in cell.named_parameters():
                getattr(theirs, f"{name}_l0").data.copy_(value.data)
            lengths = torch.linspace(steps / 10, steps, batch).long()
            x = torch.randn(batch, steps, size)

            def recurra() -> tuple[torch.Tensor, torch.Tensor]:
                outputs, state = ours(x, lengths=lengths)
                return outputs, state.layers[0][-1]

            def packed() -> tuple[torch.Tensor, torch.Tensor]:
                inside = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
                outputs, end = theirs(inside)
                return pad_packed_sequence(outputs, batch_first=True)[0], (end[1] if kind == "lstm" else end)[0]

            def padded() -> tuple[torch.Tensor, torch.Tensor]:
                outputs, end = theirs(x)
                return outputs, (end[1] if kind == "lstm" else end)[0]

            check(recurra, packed, cell, theirs)
            times: dict[str, list[float]] = {"recurra": [], "packed": [], "padded": []}
            ways = (("recurra", recurra), ("packed", packed), ("padded", padded))
            for turn in range(arguments.rounds + 2):
                for name, way in ways:
                    began = time.perf_counter()
                    outputs, end = way()
                    (outputs.sum() + end.sum()).backward()
                    if turn >= 2:
                        times[name].append(time.perf_counter() - began)
            ms = {name: 1e3 * statistics.median(values) for name, values in times.items()}
            rows.append({"cell": kind, "batch": batch, "steps": steps, "size": size, **ms})
    print(
        "| cell | batch | T | hidden | recurra ms | packed ms | padded floor ms | packed / recurra | recurra / floor |\n|---|---|---|---|---|---|---|---|---|"
    )
    for r in rows:
        print(
            f"| {r['cell']} | {r['batch']} | {r['steps']} | {r['size']} | {r['recurra']:.1f} | {r['packed']:.1f} | {r['padded']:.1f} | {r['packed'] / r['recurra']:.2f} | {r['recurra'] / r['padded']:.2f} |"
        )
    path = Path(__file__).parent / "results" / "ragged.json"
    path.write_text(
        json.dumps({"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}, indent=1) + "\n"
    )


def check(one, other, cell, theirs) -> None:  # type: ignore[no-untyped-def]
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
