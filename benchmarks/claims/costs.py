"""Claims about time and memory: GRU beside LSTM, cost over T, B and H, attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from claims.measured import ROUNDING, Measured, distance, exponent, medians, number
from recurra.lab.allocations import kept_for_backward, peak_bytes
from recurra.nn import Recurrent

SHAPES = ((32, 25, 128), (32, 200, 256), (8, 1000, 128), (64, 50, 64))  # rows, steps, features = hidden size
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def gru_beside_lstm(shapes: Sequence[tuple[int, int, int]] = SHAPES, rounds: int = 5) -> Measured:
    """Forward and backward of both, torch's and ours, in several shapes."""
    rows = []
    for batch, steps, size in shapes:
        torch.manual_seed(0)
        x = torch.randn(batch, steps, size)
        layers = {
            "torch LSTM": nn.LSTM(size, size, batch_first=True),
            "torch GRU": nn.GRU(size, size, batch_first=True),
            "our LSTM": Recurrent("lstm", size, size),
            "our GRU": Recurrent("gru", size, size),
        }
        times = medians([lambda layer=layer, x=x: layer(x)[0].sum().backward() for layer in layers.values()], rounds)
        milliseconds = {name: 1e3 * one for name, one in zip(layers, times, strict=True)}
        rows.append({"rows": batch, "steps": steps, "size": size, "milliseconds": milliseconds})
    ratios = {
        whose: [row["milliseconds"][f"{whose} GRU"] / row["milliseconds"][f"{whose} LSTM"] for row in rows]
        for whose in ("torch", "our")
    }
    counts = [sum(one.numel() for one in layers[name].parameters()) for name in ("torch GRU", "torch LSTM")]
    shares = {whose: sum(ratio > 1 for ratio in found) for whose, found in ratios.items()}
    listed = {whose: ", ".join(f"{ratio:.2f}" for ratio in found) for whose, found in ratios.items()}
    named = ", ".join(f"{row['rows']} × {row['steps']} × {row['size']}" for row in rows)
    seen = (
        f"{counts[0] / counts[1]:g} of the weights; time of a GRU over an LSTM's, rows × steps × size {named}: torch's "
        f"{listed['torch']} (slower in {shares['torch']} of {len(rows)}), ours {listed['our']} (slower in "
        f"{shares['our']})"
    )
    holds = counts[0] * 4 == counts[1] * 3 and shares["torch"] > 0
    return Measured(seen, holds, {"shapes": rows, "gru_over_lstm": ratios, "weights": counts[0] / counts[1]})


def cost(
    steps: Sequence[int] = (50, 100, 200, 400),
    sizes: Sequence[int] = (64, 128, 256, 512),
    rows: int = 16,
    rounds: int = 5,
) -> Measured:
    """Multiplications counted, bytes kept for the backward pass and seconds, over T, H and B; and the depth."""
    counted = {name: _multiplications(name, 4, 6, 10, 20) / (4 * 6 * 20 * (10 + 20)) for name in GATES}
    few, many, middle = steps[0], steps[-1], sizes[1]
    kept = {
        "T": exponent(steps, [_kept(rows, one, middle) for one in steps]),
        "B": exponent((8, 16, 32), [_kept(one, few, middle) for one in (8, 16, 32)]),
        "H": exponent(sizes, [_kept(rows, few, one) for one in sizes]),
    }
    over_steps = _seconds([(rows, one, middle) for one in steps], rounds)
    over_sizes = _seconds([(rows, few, one) for one in sizes], rounds)
    time = {"T": exponent(steps, over_steps), "H": exponent(sizes, over_sizes)}
    time["H, the two largest"] = exponent(sizes[-2:], over_sizes[-2:])
    depth = {str(one): _depth(one) for one in (10, 20)}
    named = ", ".join(f"{name.upper()} {value:g}" for name, value in counted.items())
    seen = (
        f"multiplications over B·T·H·(I + H), counted: {named}; an LSTM's bytes kept for training grow as "
        f"T^{kept['T']:.2f}, B^{kept['B']:.2f} and H^{kept['H']:.2f}, its seconds (T {few} to {many}, H {sizes[0]} to "
        f"{sizes[-1]}) as T^{time['T']:.2f} and H^{time['H']:.2f}, between the two largest sizes "
        f"H^{time['H, the two largest']:.2f}; the longest chain of operations is {depth['10']} at T = 10 and "
        f"{depth['20']} at T = 20"
    )
    linear = all(abs(kept[name] - 1) < 0.1 for name in kept)
    deeper = depth["20"] > 1.6 * depth["10"]
    return Measured(
        seen, counted == GATES and linear and deeper, {"gates": counted, "bytes": kept, "seconds": time, "depth": depth}
    )


def _multiplications(cell: str, rows: int, steps: int, inputs: int, hidden: int) -> float:
    """Of one forward pass, by torch's own count of what its matrix products do (an addition comes with each)."""
    layer, x = Recurrent(cell, inputs, hidden, engine="loop"), torch.randn(rows, steps, inputs)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(x)
    return counter.get_total_flops() / 2


def _kept(rows: int, steps: int, size: int) -> int:
    layer, x = Recurrent("lstm", size, size, engine="loop"), torch.randn(rows, steps, size)
    return kept_for_backward(layer, x)


def _seconds(shapes: Sequence[tuple[int, int, int]], rounds: int) -> list[float]:
    ways = []
    for rows, steps, size in shapes:
        layer, x = nn.LSTM(size, size, batch_first=True), torch.randn(rows, steps, size)
        ways.append(lambda layer=layer, x=x: layer(x)[0].sum().backward())
    return medians(ways, rounds)


def _depth(steps: int) -> int:
    """Operations on the longest way through autograd's graph of a loop over T steps: none of them can begin earlier."""
    layer, x = Recurrent("lstm", 4, 4, engine="loop"), torch.randn(1, steps, 4)
    begin = layer(x)[0][:, -1].sum().grad_fn
    order, found = [], set()
    stack = [(begin, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in found:
            found.add(node)
            stack.append((node, True))
            stack += [(below, False) for below, _ in node.next_functions if below is not None]
    depths: dict[object, int] = {}
    for node in order:  # whoever is below a node comes before it
        depths[node] = 1 + max((depths[below] for below, _ in node.next_functions if below is not None), default=0)
    return depths[begin]


def attention(steps: Sequence[int] = (512, 1024, 2048, 4096), chunk: int = 256, rounds: int = 3) -> Measured:
    """Exact attention with all scores at once and in chunks: its values, its largest memory and its time over T."""
    torch.manual_seed(0)
    given = {one: [torch.randn(one, 64) for _ in range(3)] for one in steps}
    apart = max(distance(whole(*one), in_chunks(*one, chunk)) for one in given.values())
    memory = {
        "at once": [peak_bytes(lambda one=one: whole(*one)) for one in given.values()],
        "in chunks": [peak_bytes(lambda one=one: in_chunks(*one, chunk)) for one in given.values()],
    }
    seconds = medians([lambda one=one: in_chunks(*one, chunk) for one in given.values()], rounds)
    grown = {name: exponent(steps, found) for name, found in memory.items()}
    time = exponent(steps, seconds)
    mb = {name: found[-1] / 2**20 for name, found in memory.items()}
    seen = (
        f"values of both equal to {number(apart)}; largest memory at T = {steps[-1]:,}: {number(mb['at once'])} MB "
        "at once "
        f"(as T^{grown['at once']:.2f}), {number(mb['in chunks'])} MB in chunks of {chunk} (as "
        f"T^{grown['in chunks']:.2f}); the "
        f"chunks' time grows as T^{time:.2f}"
    )
    holds = apart < ROUNDING and grown["at once"] > 1.7 and grown["in chunks"] < 1.2 and time > 1.5
    figures = {
        "apart": apart,
        "steps": list(steps),
        "bytes": memory,
        "seconds": seconds,
        "exponents": {**grown, "seconds": time},
    }
    return Measured(seen, holds, figures)


@torch.no_grad()
def whole(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(q · k / √D) v with its [T, T] scores."""
    return (queries @ keys.T / math.sqrt(queries.shape[-1])).softmax(-1) @ values


@torch.no_grad()
def in_chunks(queries: Tensor, keys: Tensor, values: Tensor, chunk: int) -> Tensor:
    """The same with chunk × chunk scores at a time, relative to the highest so far (Rabe and Staats, 2021)."""
    outputs = torch.empty_like(values)
    for start in range(0, len(queries), chunk):
        query = queries[start : start + chunk] / math.sqrt(queries.shape[-1])
        highest = torch.full((len(query), 1), -math.inf)
        normalizer, weighted = torch.zeros(len(query), 1), torch.zeros(len(query), values.shape[-1])
        for key, value in zip(keys.split(chunk), values.split(chunk), strict=True):
            scores = query @ key.T
            higher = torch.maximum(highest, scores.amax(1, keepdim=True))
            weights, kept = (scores - higher).exp(), (highest - higher).exp()
            normalizer = normalizer * kept + weights.sum(1, keepdim=True)
            weighted, highest = weighted * kept + weights @ value, higher
        outputs[start : start + chunk] = weighted / normalizer
    return outputs
