"""Single steps: sessions and steppers beside torch.nn, its cells, onnxruntime, and pools; the whole Python call.

    pip install onnx onnxruntime  # peers only
    python benchmarks/native_step.py [--rounds 15] [--part steps|pools|runs|accuracy]

One sequence goes on step by step, its state fed back. Peers: torch.nn.RNN, LSTM and GRU over one step and torch's
cells, in inference mode; onnxruntime's `run` with arrays, and with input and output bound to memory beforehand, the
state in turn between two places; its dynamic 8-bit LSTM. Ours: `Stepper` (nothing allocated),
`Recurrent.stream().step` (an output of its own for each step), the same with weights of 8 bits, and the arithmetic
alone, a thousand steps in one call, in float32 and with 8 bits. Outputs are compared before anything is timed. All in
one process and one thread, in turns of a few dozen steps; each step is timed by itself: medians and 99th percentiles,
microseconds. Runs: `run.stream().step`, answer included, by the native way and by the plain parts. Accuracy: of a GRU
and an LSTM trained on JapaneseVowels, over its test data step by step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

import data
import recurra
from recurra.engines.native import Stepper, instructions
from recurra.nn import Pool, Recurrent
from recurra.streaming import Session
from recurra.tasks.streams import pipeline_of

RESULTS = Path(__file__).parent / "results" / "native_step.json"
LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
ORDER = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}  # ONNX's gates among torch's
HIDDEN = (16, 32, 64, 128, 256, 512)
TURN = 40  # steps of one way before the next has its turn

Way = Callable[[torch.Tensor], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--part", choices=("steps", "pools", "runs", "accuracy"), action="append")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found |= {
        "instructions": instructions(),
        "threads": 1,
        "torch": torch.__version__,
        "onnxruntime": ort.__version__,
    }
    parts = {"steps": steps, "pools": pools, "runs": runs, "accuracy": accuracy}
    for name in options.part or parts:
        found[name] = parts[name](options.rounds)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def steps(rounds: int) -> list[dict[str, Any]]:
    """A row a cell, size and number of layers."""
    rows = []
    grid = [(1, kind, hidden) for kind, hidden in product(LAYERS, HIDDEN)]
    for layers, kind, hidden in [*grid, *((2, kind, hidden) for kind, hidden in product(LAYERS, (64, 256)))]:
        ways = ways_of(kind, hidden, layers)
        agree(ways, hidden)
        row = {"cell": kind, "hidden": hidden, "layers": layers, "us": timed(ways, hidden, rounds)}
        row["us"]["inside C"] = inside(kind, hidden, layers, rounds)
        rows.append(row)
        medians = {name: value[0] for name, value in row["us"].items()}
        print(kind, hidden, layers, " ".join(f"{name} {value:.2f}" for name, value in medians.items()), flush=True)
    return rows


def ways_of(kind: str, hidden: int, layers: int) -> dict[str, Way]:
    """Each way to make one step [1, hidden] → [1, hidden], on the same weights."""
    torch.manual_seed(0)
    theirs = LAYERS[kind](hidden, hidden, layers)
    ours = Recurrent(kind, hidden, hidden, layers).eval()
    for number, (one,) in enumerate(ours.layers):
        one.cell.load_state_dict({name: getattr(theirs, f"{name}_l{number}") for name in one.cell.state_dict()})
    session, narrow = ours.stream(), ours.stream(weights="int8")
    ways: dict[str, Way] = {"session": session.step, "session int8": narrow.step}
    if layers == 1:
        ways["stepper"] = Stepper(ours.layers[0][0].cell).step
        ways["torch cell"] = of_cell(kind, theirs, hidden)
    ways["torch layer"] = of_layer(theirs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model_of(kind, theirs, hidden, layers), path)
        ways["onnxruntime run"] = by_run(session_of(path), kind, layers, hidden)
        ways["onnxruntime bound"] = by_binding(session_of(path), kind, layers, hidden)
        if kind == "lstm":
            small = Path(folder) / "small.onnx"
            quantize_dynamic(path, small, weight_type=QuantType.QInt8, per_channel=True)
            ways["onnxruntime int8"] = by_run(session_of(small), kind, layers, hidden)
            ways["onnxruntime int8 bound"] = by_binding(session_of(small), kind, layers, hidden)
    return ways


def agree(ways: dict[str, Way], hidden: int) -> None:
    """The first steps of each way are the same; of 8 bits nearly."""
    inputs = torch.randn(5, 1, hidden)
    expected = [ways["torch layer"](x).clone() for x in inputs]
    for name, way in ways.items():
        near = 0.1 if "int8" in name else 1e-4
        for x, y in zip(inputs, expected, strict=True):
            if name != "torch layer":
                torch.testing.assert_close(torch.as_tensor(way(x)).reshape(1, -1), y.reshape(1, -1), rtol=0, atol=near)


def timed(ways: dict[str, Way], hidden: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile of a step, microseconds; the first turn is the warm-up."""
    inputs = torch.randn(TURN, 1, hidden).unbind(0)
    times: dict[str, list[int]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            way(inputs[0])
            for x in inputs:
                began = time.perf_counter_ns()
                way(x)
                ended = time.perf_counter_ns()
                if turn:
                    times[name].append(ended - began)
    return {name: summary(own) for name, own in times.items()}


def summary(nanoseconds: list[int]) -> tuple[float, float]:
    """Median and 99th percentile, microseconds."""
    return statistics.median(nanoseconds) / 1e3, float(np.percentile(nanoseconds, 99)) / 1e3


def inside(kind: str, hidden: int, layers: int, rounds: int) -> tuple[float, float]:
    """A step without Python: a thousand in one call, float32 and with 8 bits."""
    layer, x, found = Recurrent(kind, hidden, hidden, layers).eval(), torch.randn(1000, hidden), []
    for weights in ("exact", "int8"):
        session = layer.stream(weights=weights)
        session.push(x)
        times = []
        for _ in range(min(rounds, 7)):
            began = time.process_time()
            session.push(x)
            times.append(1e3 * (time.process_time() - began))
        found.append(statistics.median(times))
    return found[0], found[1]


def of_layer(theirs: nn.RNNBase) -> Way:
    state: list[Any] = [None]

    @torch.inference_mode()
    def step(x: torch.Tensor) -> torch.Tensor:
        y, state[0] = theirs(x[None], state[0])
        return y

    return step


def of_cell(kind: str, theirs: nn.RNNBase, hidden: int) -> Way:
    cell, state = CELLS[kind](hidden, hidden), [None]
    cell.load_state_dict({name: getattr(theirs, f"{name}_l0") for name in cell.state_dict()})

    @torch.inference_mode()
    def step(x: torch.Tensor) -> Any:
        state[0] = cell(x, state[0])
        return state[0][0] if kind == "lstm" else state[0]

    return step


def model_of(kind: str, theirs: nn.RNNBase, hidden: int, layers: int) -> onnx.ModelProto:
    """x [1, 1, H] and each layer's states → the last hidden state, and the states."""
    nodes, weights, inputs, outputs, x = [], [], [value("x", hidden)], [], "x"

    def gates(name: str, number: int) -> np.ndarray:
        parts = getattr(theirs, f"{name}_l{number}").detach().chunk(len(ORDER[kind]))
        return torch.cat([parts[gate] for gate in ORDER[kind]]).numpy()

    def kept(name: str, array: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(array, name))
        return name

    for n in range(layers):
        named = [f"{part}{n}" for part in ("h", "c")[: 1 + (kind == "lstm")]]
        bias = np.concatenate([gates("bias_ih", n), gates("bias_hh", n)])[None]
        given = [x, kept(f"W{n}", gates("weight_ih", n)[None]), kept(f"R{n}", gates("weight_hh", n)[None])]
        given += [kept(f"B{n}", bias), "", *named]
        options = {"linear_before_reset": 1} if kind == "gru" else {}
        nodes.append(
            helper.make_node(kind.upper(), given, ["", *(f"{one}'" for one in named)], hidden_size=hidden, **options)
        )
        inputs += [value(one, hidden) for one in named]
        outputs += [value(f"{one}'", hidden) for one in named]
        x = f"h{n}'"
    graph = helper.make_graph(nodes, kind, inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def value(name: str, hidden: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, hidden])


def session_of(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def states_of(session: ort.InferenceSession) -> list[str]:
    return [one.name for one in session.get_inputs()][1:]


def by_run(session: ort.InferenceSession, kind: str, layers: int, hidden: int) -> Way:
    names, at = states_of(session), (layers - 1) * (1 + (kind == "lstm"))
    feed = {name: np.zeros((1, 1, hidden), np.float32) for name in names}

    def step(x: torch.Tensor) -> np.ndarray:
        feed["x"] = x.numpy()[None]
        found = session.run(None, feed)
        for name, array in zip(names, found, strict=True):
            feed[name] = array
        return found[at]

    return step


def by_binding(session: ort.InferenceSession, kind: str, layers: int, hidden: int) -> Way:
    names, at = states_of(session), (layers - 1) * (1 + (kind == "lstm"))
    shape, x_memory = (1, 1, hidden), np.zeros((1, 1, hidden), np.float32)
    memory = [[np.zeros(shape, np.float32) for _ in names] for _ in range(2)]
    bindings = []
    for turn in range(2):
        binding = session.io_binding()
        for name, array in [("x", x_memory), *zip(names, memory[turn], strict=True)]:
            binding.bind_input(name, "cpu", 0, np.float32, shape, array.ctypes.data)
        for name, array in zip(names, memory[1 - turn], strict=True):
            binding.bind_output(f"{name}'", "cpu", 0, np.float32, shape, array.ctypes.data)
        bindings.append(binding)
    turn = [0]

    def step(x: torch.Tensor) -> np.ndarray:
        np.copyto(x_memory[0], x.numpy())
        session.run_with_iobinding(bindings[turn[0]])
        turn[0] = 1 - turn[0]
        return memory[turn[0]][at]

    return step


def pools(rounds: int) -> list[dict[str, Any]]:
    """Steps a second of sessions that are all ready, and microseconds a call."""
    rows = []
    for kind, hidden, weights in product(("gru", "lstm"), (64, 256), ("exact", "int8")):
        torch.manual_seed(0)
        layer = Recurrent(kind, hidden, hidden).eval()
        for sessions in (1, 10, 100, 1000, 10000):
            if hidden == 256 and sessions > 1000:
                continue
            pool = Pool(layer, sessions, weights=weights)
            ids, x = torch.randperm(sessions), torch.randn(sessions, hidden)
            pool.step(ids, x)
            times = []
            for _ in range(max(rounds, 2000 // sessions)):
                began = time.perf_counter()
                pool.step(ids, x)
                times.append(1e6 * (time.perf_counter() - began))
            middle, late = statistics.median(times), float(np.percentile(times, 99))
            row = {"cell": kind, "hidden": hidden, "weights": weights, "sessions": sessions, "us": middle, "p99": late}
            rows.append(row | {"steps_a_second": 1e6 * sessions / middle})
            print("pool", kind, hidden, weights, sessions, f"{1e6 * sessions / middle:,.0f} steps/s", flush=True)
    return rows


def runs(rounds: int) -> list[dict[str, Any]]:
    """`run.stream().step`, numbers in and answer out, the native way and the plain parts in turn."""
    rows = []
    angles = [np.arange(12) * slope + shift for slope in (0.3, 1.2) for shift in range(20)]
    series = [np.stack([np.sin(angle), np.cos(angle)], 1) for angle in angles]
    waves = {"input": series, "target": ["slow"] * 20 + ["fast"] * 20}
    for kind, layers, pooling in (("gru", 1, "last"), ("lstm", 2, "last"), ("gru", 1, "mean+max")):
        with tempfile.TemporaryDirectory() as folder:
            options = {"cell": kind, "num_layers": layers, "pooling": pooling, "hidden_size": 64, "epochs": 1}
            run = recurra.train("classify", data=waves, out=f"{folder}/run", **options)
            x = np.array([0.5, 0.5])
            parts = pipeline_of(run._task, "plain")._replace(quick=lambda: None)
            ways: dict[str, Way] = {"native": run.stream().step, "plain parts": Session(parts).step}
            times: dict[str, list[int]] = {name: [] for name in ways}
            for turn, (name, way) in product(range(rounds + 1), ways.items()):
                for _ in range(TURN):
                    began = time.perf_counter_ns()
                    way(x)
                    ended = time.perf_counter_ns()
                    if turn:
                        times[name].append(ended - began)
        us = {name: summary(own) for name, own in times.items()}
        rows.append({"cell": kind, "layers": layers, "pooling": pooling, "hidden": 64, "us": us})
        print("run", kind, layers, pooling, us, flush=True)
    return rows


def accuracy(rounds: int) -> list[dict[str, Any]]:
    """What 8 bits cost on JapaneseVowels: a run of each cell, its test data streamed."""
    rows = []
    train, test = (
        data.series_table(data.find(f"JapaneseVowels/JapaneseVowels_{part}.ts")) for part in ("TRAIN", "TEST")
    )
    for kind in ("gru", "lstm"):
        with tempfile.TemporaryDirectory() as folder:
            run = recurra.train(
                "classify", data=train, test=test, cell=kind, hidden_size=64, epochs=20, out=f"{folder}/run", threads=1
            )
            right: dict[Any, int] = {"exact": 0, "int8": 0}
            moved: list[float] = []
            for series, target in zip(test["input"], test["target"], strict=True):
                answers: dict[Any, Any] = {}
                for weights in right:
                    session = run.stream(weights=weights)
                    for step in series:
                        answers[weights] = session.step(step)
                    right[weights] += answers[weights].label == target
                one, other = (answers[weights].probabilities for weights in right)
                moved.append(max(abs(one[name] - other[name]) for name in one))
        count = len(test["target"])
        row = {"cell": kind, "rows": count, **{weights: hits / count for weights, hits in right.items()}}
        rows.append(row | {"largest_change_of_a_probability": max(moved), "mean_change": statistics.fmean(moved)})
        print("accuracy", rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
