"""English to French: Multi30k and Tatoeba, LSTM with and without attention, GRU, Transformer.

    python benchmarks/translate.py [table|best|tatoeba …] [--runs FOLDER] [--steps 1700] [--only ROW]

table: Multi30k, four models of like size, the defaults beside what ROWS says, equal steps; about half an hour each.
best: Multi30k, one long run of an LSTM with attention.
tatoeba: the other pairs, one long run of a GRU, the defaults beside what TATOEBA says.

One thread each, seed 0. A run stands in FOLDER (default: `runs`) and goes on where it was stopped. Of each the
figures of the test pairs: cased detokenised BLEU with its interval over sentences (bootstrap), BLEU of lower-cased
text, chrF and exact match. Sources of Tatoeba often have several translations, each in a row of its own: of these also
the BLEU of a source's answer against all of them, and that of people: each translation against another of its source,
drawn by chance.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import torch

import recurra
from recurra.data.pairs import SOURCE, TARGET
from recurra.run import Run
from recurra.statistics import bootstrap_interval
from recurra.text_metrics import bleu_of, corpus_bleu, text_scores
from translate_plain import multi30k, multi30k_files, tatoeba, tatoeba_files

RESULTS = Path(__file__).parent / "results" / "translate.json"
SEED, THREADS = 0, 1
ROWS: dict[str, dict[str, Any]] = {
    "lstm, no attention": {"cell": "lstm", "attention": "none", "hidden_size": 256},
    "lstm": {"cell": "lstm", "hidden_size": 256},
    "gru": {"cell": "gru", "hidden_size": 296},
    "transformer": {
        "cell": "transformer",
        "hidden_size": 176,
        "num_layers": 3,
        "lr": 3e-3,
        "dropout": 0.1,
        "embedding_dropout": 0.1,
        "output_dropout": 0.1,
    },
}
BEST: dict[str, Any] = {
    "hidden_size": 320,
    "batch_tokens": 2200,
    "vocabulary_size": 8000,
    "embedding_dropout": 0.25,
    "average": 0.999,
    "epochs": 24,
    "patience": 0,
}
TATOEBA: dict[str, Any] = {
    "cell": "gru",
    "hidden_size": 384,
    "vocabulary_size": 4000,
    "embedding_dropout": 0.15,
    "output_dropout": 0.15,
    "average": 0.999,
    "epochs": 8,
    "patience": 0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=("table", "best", "tatoeba"), default=["table", "best", "tatoeba"])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--steps", type=int, default=1700, help="of each run of the table")
    parser.add_argument("--only", choices=ROWS, help="one row of the table")
    asked = parser.parse_args()
    for name, kind, settings in plan(asked.which, asked.steps, asked.only):
        row = measured(asked.runs / name.replace(", ", "-").replace(" ", "-"), kind, settings)
        found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        found |= {"torch": torch.__version__, "threads": THREADS, "seed": SEED, name: row}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        print(name, json.dumps(row), flush=True)


def plan(which: list[str], steps: int, only: str | None) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, data and settings of each run."""
    rows = []
    for name, settings in ROWS.items():
        if "table" in which and only in (None, name):
            rows.append((name, "multi30k", {**settings, "max_steps": steps, "patience": 0}))
    if "best" in which:
        rows.append(("best", "multi30k", BEST))
    if "tatoeba" in which:
        rows.append(("tatoeba", "tatoeba", TATOEBA))
    return rows


def measured(folder: Path, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train, or go on, and score on the test pairs."""
    began, anew = time.process_time(), not folder.exists()
    run = trained(folder, kind, settings)
    trained_for = time.process_time() - began
    parts = {"multi30k": multi30k, "tatoeba": tatoeba}[kind]()
    sources, references = parts.test.columns[SOURCE], parts.test.columns[TARGET]
    began = time.process_time()
    answers = [answer.text for answer in run.predict(list(sources))]
    searched_for = time.process_time() - began
    scores = text_scores(answers, references)
    interval = bootstrap_interval(scores.bleu_statistics, bleu_of, seed=SEED)
    return {
        "bleu": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "bleu_lowercase": corpus_bleu(answers, references, lowercase=True)[0],
        **{name: scores.metrics[name] for name in ("chrf", "exact_match", "rouge_l")},
        "signature": scores.signatures["bleu"],
        "parameters": run.result["parameters"],
        "steps": run.result["steps"],
        "training_seconds": run.result["training_seconds"],
        **({"cpu_seconds": trained_for} if anew else {}),  # of a run that was there a part is not known
        **(several_references(sources, references, answers) if kind == "tatoeba" else {}),
        "sentences_a_cpu_second": len(sources) / searched_for,
    }


def several_references(sources: Sequence[str], references: Sequence[str], answers: Sequence[str]) -> dict[str, Any]:
    """BLEU against all translations of a source, and of one translation against another."""
    answer, known, rng = dict(zip(sources, answers, strict=True)), defaultdict(list), np.random.default_rng(SEED)
    for source, reference in zip(sources, references, strict=True):
        known[source].append(reference)
    most = max(map(len, known.values()))
    columns = [[texts[n] if n < len(texts) else None for texts in known.values()] for n in range(most)]
    against_all = sacrebleu.corpus_bleu([answer[source] for source in known], columns)
    pairs = [
        (text, texts[(n + rng.integers(1, len(texts))) % len(texts)])
        for texts in known.values()
        if len(texts) > 1
        for n, text in enumerate(texts)
    ]
    people = corpus_bleu(*zip(*pairs, strict=True))[0]
    return {
        "distinct_sources": len(known),
        "bleu_against_all": against_all.score,
        "rows_with_others": len(pairs),
        "bleu_of_people": people,
    }


def trained(folder: Path, kind: str, settings: dict[str, Any]) -> Run:
    """The run in a folder, made or finished where it is not."""
    if (folder / "result.json").exists():
        return recurra.load(folder)
    if (folder / "config.toml").exists():
        return recurra.resume(folder, progress="lines")
    files = {"multi30k": multi30k_files, "tatoeba": tatoeba_files}[kind]()
    return recurra.train("translate", out=folder, seed=SEED, threads=THREADS, progress="lines", **files, **settings)


if __name__ == "__main__":
    main()
