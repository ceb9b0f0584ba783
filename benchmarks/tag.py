"""`recurra train tag` on Universal Dependencies' English Web Treebank: UPOS from gold tokens, no pretrained vectors.

    python benchmarks/tag.py [--seeds 0 1 2] [--option NAME=VALUE …] [--json benchmarks/results/tag.json]

Trains by the defaults (what --option changes is stored beside the figures), chooses by the dev file, scores on the test
file. Seconds are those of one thread's own time, so that other work on the machine does not count; words per second are
words of all epochs by the time of the whole training call (reading, evaluations, report), and words of the test file by
the time of `run.predict`. Expected files: benchmarks/data.py.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import data
import recurra
from recurra.data.readers import read_table

FILES = {
    "data": "ud_english_ewt/en_ewt-ud-train.conllu.gz",
    "valid": "ud_english_ewt/en_ewt-ud-dev.conllu.gz",
    "test": "ud_english_ewt/en_ewt-ud-test.conllu.gz",
}
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # two-sided 95 % quantiles of Student's t, by number of seeds
KEPT = (
    "accuracy", "known_accuracy", "unknown_accuracy", "loss", "valid_accuracy", "baseline_frequent_accuracy",
    "baseline_frequent_seconds", "parameters", "epochs", "best_step", "training_seconds", "peak_memory_bytes",
)  # fmt: skip


def measure(seed: int, options: dict[str, Any]) -> dict[str, float]:
    """One run: its scores, and its words per second."""
    files = {name: data.find(file) for name, file in FILES.items()}
    with tempfile.TemporaryDirectory(prefix="recurra-tag-") as folder:
        began = time.process_time()
        run = recurra.train(
            "tag", **files, target="upos", seed=seed, threads=1, checkpoint_every=300, out=Path(folder) / "run",
            progress="lines", **options,
        )  # fmt: skip
        seconds = time.process_time() - began
        words = run.result["train_tokens"] * run.result["epochs"]
        sentences = read_table(files["test"]).column("form")
        run.predict(sentences[:100])
        began = time.process_time()
        run.predict(sentences)
        predicting = time.process_time() - began
    return {
        **{name: run.result[name] for name in KEPT},
        "seed": seed,
        "training_cpu_seconds": round(seconds, 1),
        "training_words_per_second": round(words / seconds),
        "prediction_words_per_second": round(sum(map(len, sentences)) / predicting),
    }


def interval(values: list[float]) -> str:
    """Mean and half of its 95 % interval over seeds (Student's t)."""
    if len(values) not in T95:
        return f"{statistics.mean(values):.2f}"
    half = T95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):.2f} ± {half:.2f}"


def as_markdown(runs: list[dict[str, float]]) -> str:
    """The results as Markdown."""

    def column(name: str, scale: float = 100.0) -> list[float]:
        return [scale * one[name] for one in runs]

    def mean(name: str) -> str:
        return f"{statistics.mean(column(name, 1.0)):,.0f}"

    return "\n".join(
        [
            f"| UPOS, {len(runs)} seeds | test | known words | unknown words | dev | seconds | words/s training | "
            "words/s prediction |",
            "|---|---|---|---|---|---|---|---|",
            f"| recurra | {interval(column('accuracy'))} | {interval(column('known_accuracy'))} | "
            f"{interval(column('unknown_accuracy'))} | {interval(column('valid_accuracy'))} | "
            f"{mean('training_cpu_seconds')} | {mean('training_words_per_second')} | "
            f"{mean('prediction_words_per_second')} |",
            f"| most frequent tag | {statistics.mean(column('baseline_frequent_accuracy')):.2f} | | | | "
            f"{statistics.mean(column('baseline_frequent_seconds', 1.0)):.1f} | | |",
        ]
    )


def value_of(text: str) -> Any:
    """A value as JSON has it, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main() -> None:
    """Train with each seed, print the table, and write the JSON where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="a setting of train tag")
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    options = {name: value_of(value) for name, _, value in (one.partition("=") for one in arguments.option)}
    torch.set_num_threads(1)
    runs: list[dict[str, float]] = []
    for seed in arguments.seeds:
        runs.append(measure(seed, options))
        print(as_markdown(runs), flush=True)
        if arguments.json:
            found = {
                "machine": f"{platform.machine()}, one thread, torch {torch.__version__}",
                "options": options,
                "runs": runs,
            }
            arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
