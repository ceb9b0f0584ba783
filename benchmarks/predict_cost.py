"""What `recurra predict` costs over its model: 10,000 short texts to lines of JSON, beside the bare model.

    python benchmarks/predict_cost.py [--rounds 9]

Ours reads texts, splits them into tokens, makes batches, runs the model, decodes and writes a line of JSON each, with
the model loaded. The bare row runs the very same module on the very same batches, made beforehand, and does nothing
else. Rounds alternate; the figure is the median of bare / ours, 1 where everything around the model is free.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import data
import recurra
from recurra.cli.show import print_json
from recurra.data.readers import read_table

TEXTS = 10_000
SETS = {
    "sst2, 2 classes": ("sst2/train.tsv", {"header": False, "input": "1", "target": "2"}),
    "banking77, 77 classes": ("banking77/train.csv", {"input": "text", "target": "category"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    for name, (file, where) in SETS.items():
        for model, settings in (("default", {}), ("bidirectional", {"bidirectional": True, "pooling": "max+mean"})):
            with tempfile.TemporaryDirectory() as folder:
                path = data.find(file)
                run = recurra.train("classify", data=path, **where, **settings, max_steps=3, out=Path(folder) / "run")
                column = read_table(path, header=bool(where.get("header", True))).column(str(where["input"]))
                texts = (column * 2)[:TEXTS]
                one = measure(recurra.load(run.path), texts, rounds)
            found[f"{name}, {model}"] = one
            span = f"{min(one['ratios']):.2f} to {max(one['ratios']):.2f}"
            print(
                f"{name}, {model}: ours {one['ours_s']:.2f} s, bare {one['bare_s']:.2f} s, {one['ratio']:.2f} ({span})"
            )
    (Path(__file__).parent / "results" / "predict_cost.json").write_text(json.dumps(found, indent=1) + "\n")


def measure(run: recurra.Run, texts: list[str], rounds: int) -> dict[str, Any]:
    """Seconds of both for all texts, in turn."""
    task = run.parts
    batches: list[Any] = []
    keep = task.model.register_forward_pre_hook(lambda _, given: batches.append(given[0]))
    list(run.predict_rows(texts))
    keep.remove()

    def ours() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            for answer in run.predict_rows(texts):
                print_json(answer)

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                task.model(batch)

    def seconds(call: Any) -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    gc.freeze()  # as the command does
    seconds(ours), seconds(bare)  # the warm-up
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    return {
        "ours_s": statistics.median(a for a, _ in pairs),
        "bare_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


if __name__ == "__main__":
    main()
