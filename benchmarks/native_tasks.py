"""Whole trainings with and without the native engine: the same command, data, seed and steps.

    python benchmarks/native_tasks.py [--rounds 3] [--only NAME …]

Without it, "auto" takes torch's kernels, the scan or the loop; all else is the same. One thread; processor seconds of
the training call, reading, evaluations and report included, the two in turn in one process; the figure is the ratio of
medians, without / with. The losses of both are shown: equal but for the last digits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

import data
import recurra
from recurra.engines.costs import decided
from recurra.engines.native import instructions
from translate_plain import multi30k_files

RESULTS = Path(__file__).parent / "results" / "native_tasks.json"
AT_THE_END = 1_000_000  # steps between evaluations: one alone, at the end

TRAININGS: dict[str, tuple[str, str, dict[str, Any]]] = {  # task, data, options
    "sentences to a label, GRU": ("classify", "sst2", {"cell": "gru", "max_steps": 200}),
    "sentences to a label, LSTM": ("classify", "sst2", {"cell": "lstm", "max_steps": 200}),
    "names to a language, GRU": ("classify", "names", {"cell": "gru", "unit": "char", "max_steps": 300}),
    "series to a label, LSTM with layer normalisation": (
        "classify",
        "vowels",
        {"cell": "lstm_layernorm", "max_steps": 100},
    ),
    "series to a label, IndRNN": ("classify", "vowels", {"cell": "indrnn", "max_steps": 100}),
    "characters of plays, GRU": ("model", "shakespeare", {"cell": "gru", "max_steps": 60}),
    "characters of plays, minGRU": ("model", "shakespeare", {"cell": "mingru", "max_steps": 60}),
    "words to tags, GRU": ("tag", "ewt", {"cell": "gru", "max_steps": 100}),
    "English to French, GRU": ("translate", "multi30k", {"cell": "gru", "max_steps": 60, "metric": "loss"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    asked = parser.parse_args()
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    found |= {"instructions": instructions(), "threads": 1, "torch": torch.__version__}
    with tempfile.TemporaryDirectory(prefix="recurra-native-") as folder:
        for name in asked.only:
            row = found["rows"][name] = measured(*TRAININGS[name], Path(folder), asked.rounds)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{name}: {row['ratio']:.2f} ({row['without'][0]:.1f} s to {row['with'][0]:.1f} s)", flush=True)


def measured(task: str, kind: str, options: dict[str, Any], folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of each round, the ratio of their medians, and the validation losses."""
    files = files_of(kind, folder)
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    losses: dict[str, float] = {}
    for turn in range(rounds):
        for way in ("with", "without") if turn % 2 == 0 else ("without", "with"):
            out = Path(tempfile.mkdtemp(dir=folder)) / "run"
            with decided(False) if way == "without" else nullcontext():
                began = time.process_time()
                run = recurra.train(
                    task, out=out, seed=0, threads=1, patience=0, evaluate_every=AT_THE_END, checkpoint_every=300,
                    progress="none", **files, **options,
                )  # fmt: skip
                seconds[way].append(time.process_time() - began)
            losses[way] = run.result["valid_loss"]
    ratio = statistics.median(seconds["without"]) / statistics.median(seconds["with"])
    return {**{way: sorted(values) for way, values in seconds.items()}, "ratio": ratio, "valid_loss": losses}


def files_of(kind: str, folder: Path) -> dict[str, Any]:
    """Where the rows are, as options of `train`."""
    if kind == "sst2":
        return {"data": data.find("sst2/train.tsv"), "valid": data.find("sst2/dev.tsv"), "header": False,
                "input": "1", "target": "2"}  # fmt: skip
    if kind == "names":
        train, valid, _ = data.names_table(folder)
        return {"data": train, "valid": valid, "input": "name", "target": "language"}
    if kind == "vowels":
        return {"data": data.series_table(data.find("JapaneseVowels/JapaneseVowels_TRAIN.ts"))}
    if kind == "shakespeare":
        return {"data": data.find("tiny_shakespeare/input.txt")}
    if kind == "ewt":
        train, valid = (data.find(f"ud_english_ewt/en_ewt-ud-{part}.conllu.gz") for part in ("train", "dev"))
        return {"data": train, "valid": valid, "target": "upos"}
    return multi30k_files()


if __name__ == "__main__":
    main()
