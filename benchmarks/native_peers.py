"""The native engine beside JAX and Keras 3: one GRU or LSTM layer, forward and backward, the same numbers.

    pip install jax keras  # peers only
    python benchmarks/native_peers.py [--rounds 7] [--cells gru lstm]

JAX: the inputs' product for all steps beforehand, then `lax.scan` with the product of the hidden state, under `jit`,
its loop unrolled 1 and 8 times; the better counts. Keras: `keras.layers.GRU` and `LSTM` with its JAX backend, the layer
and its gradient under `jit`. Gradients are those of the input and of every weight. Input = hidden, equal lengths,
float32. Outputs and the input's gradients are compared before anything is timed; compiling is apart. One thread each,
in the processor's seconds; ways take turns, and a figure is the ratio of medians, peer / native. auto: the engine that
a layer takes by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import torch
from jax import numpy as jnp

from native_cells import medians
from recurra.engines.native import instructions
from recurra.nn import Recurrent

RESULTS = Path(__file__).parent / "results" / "native_peers.json"
SHAPES = list(product((1, 8, 32, 64), (64, 256), (32, 64, 128, 256)))  # batch, steps, input = hidden
UNROLLED = (1, 8)
PEERS = ("jax", "keras")
REST = 0.02  # seconds: threads of JAX spin for a while after a call, and the processor's seconds count them

Weights = dict[str, Any]
Pass = Callable[..., tuple[Any, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found |= {"instructions": instructions(), "threads": 1, "torch": torch.__version__}
    found |= {"jax": jax.__version__, "keras": keras.__version__}
    print("| cell | batch | T | hidden | native ms | auto / native | JAX / native | Keras / native |")
    print("|---|---|---|---|---|---|---|---|")
    for cell in asked.cells:
        rows = found[cell] = []
        for shape in SHAPES:
            rows.append(measured(cell, *shape, asked.rounds))
            ms = rows[-1]["ms"]
            ratios = " | ".join(f"{ms[name] / ms['native']:.2f}" for name in ("auto", *PEERS))
            print(f"| {cell} | {' | '.join(map(str, shape))} | {ms['native']:.2f} | {ratios} |", flush=True)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        for ours, peer in product(("native", "auto"), PEERS):
            ratios = [row["ms"][peer] / row["ms"][ours] for row in rows]
            ahead = sum(ratio > 1 for ratio in ratios)
            mean = statistics.geometric_mean(ratios)
            print(f"{cell}, {peer} / {ours}: geometric mean {mean:.2f}, ahead on {ahead} of {len(ratios)}", flush=True)


def measured(cell: str, batch: int, steps: int, hidden: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds of each way, forward and backward."""
    torch.manual_seed(0)
    layer = Recurrent(cell, hidden, hidden, engine="native")
    auto = Recurrent(cell, hidden, hidden)
    auto.load_state_dict(layer.state_dict())
    weights = {name: value.detach().numpy() for name, value in layer.layers[0][0].cell.named_parameters()}
    x, given = torch.randn(batch, steps, hidden, requires_grad=True), torch.randn(batch, steps, hidden)
    inputs, asked = jnp.asarray(x.detach().numpy()), jnp.asarray(given.numpy())
    outputs = layer(x)[0]
    (expected,) = torch.autograd.grad((outputs * given).sum(), x)
    ways: dict[str, Callable[[], Any]] = {
        "native": lambda: layer(x)[0].backward(given),
        "auto": lambda: auto(x)[0].backward(given),
    }
    passes = {f"jax, unrolled {times}": scanned(cell, weights, times) for times in UNROLLED}
    for name, (one, own) in {**passes, "keras": layered(cell, weights, hidden)}.items():
        run = partial(jax.jit(with_gradients(one)), own, inputs, asked)
        y, (_, to_x) = run()
        np.testing.assert_allclose(y, outputs.detach(), rtol=1e-3, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(to_x, expected, rtol=1e-2, atol=1e-3, err_msg=name)
        ways[name] = lambda run=run: jax.block_until_ready(run())
    found = medians(ways, rounds, REST)
    found["jax"] = min(found[name] for name in passes)
    return {"batch": batch, "steps": steps, "hidden": hidden, "ms": found}


def with_gradients(one: Pass) -> Pass:
    """(weights, x, gradient of the outputs) → outputs, and the gradients of the weights and of x."""

    def run(weights: Any, x: Any, given: Any) -> tuple[Any, Any]:
        y, back = jax.vjp(one, weights, x)
        return y, back(given)

    return run


def scanned(cell: str, weights: Weights, unroll: int) -> tuple[Pass, Weights]:
    """The recurrence of torch's equations by lax.scan."""
    step = CELLS[cell]

    def run(own: Weights, x: Any) -> Any:
        hidden = own["weight_hh"].shape[1]
        projected = jnp.swapaxes(x, 0, 1) @ own["weight_ih"].T + own["bias_ih"]
        zeros = jnp.zeros((x.shape[0], hidden))
        _, y = jax.lax.scan(partial(step, own), (zeros, zeros), projected, unroll=unroll)
        return jnp.swapaxes(y, 0, 1)

    return run, {name: jnp.asarray(value) for name, value in weights.items()}


def gru(own: Weights, state: tuple[Any, Any], projected: Any) -> tuple[tuple[Any, Any], Any]:
    h, _ = state
    reset, update, new = jnp.split(projected, 3, -1)
    from_reset, from_update, from_new = jnp.split(h @ own["weight_hh"].T + own["bias_hh"], 3, -1)
    r, z = jax.nn.sigmoid(reset + from_reset), jax.nn.sigmoid(update + from_update)
    n = jnp.tanh(new + r * from_new)
    h = n + z * (h - n)
    return (h, h), h


def lstm(own: Weights, state: tuple[Any, Any], projected: Any) -> tuple[tuple[Any, Any], Any]:
    h, c = state
    i, f, g, o = jnp.split(projected + h @ own["weight_hh"].T + own["bias_hh"], 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


CELLS: dict[str, Callable[..., Any]] = {"gru": gru, "lstm": lstm}


def layered(cell: str, weights: Weights, hidden: int) -> tuple[Pass, list[Any]]:
    """Keras' layer with these weights: a GRU's update gate stands first there, and an LSTM has one bias."""
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell](hidden, return_sequences=True)
    layer.build((None, None, hidden))

    def ordered(value: Any) -> Any:
        if cell == "lstm":
            return value
        r, z, n = np.split(value, 3)
        return np.concatenate([z, r, n])

    biases = [ordered(weights[name]) for name in ("bias_ih", "bias_hh")]
    bias = np.stack(biases) if cell == "gru" else biases[0] + biases[1]
    layer.set_weights([ordered(weights["weight_ih"]).T, ordered(weights["weight_hh"]).T, bias])
    fixed = [one.value for one in layer.non_trainable_variables]

    def run(own: list[Any], x: Any) -> Any:
        return layer.stateless_call(own, fixed, x)[0]

    return run, [one.value for one in layer.trainable_variables]


if __name__ == "__main__":
    main()
