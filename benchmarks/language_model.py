"""Language models beside a plain nn.LSTM script: characters of tiny_shakespeare, words of WikiText-2.

    python benchmarks/language_model.py [--seeds 3] [--seconds S] [--only characters|words|best]

characters: the last tenth of the text is validation. Ours: `recurra train model` by its defaults for so many seconds;
    beside it the plain script, 384 hidden, 24 rows, windows of 128, for as many.
words: the validation split of WikiText-2, cut 90/10 by lines. Ours and the plain script have equal sizes, symbols and
    seconds, counted on the clock of one thread, so that other work on the machine costs neither of them anything. The
    plain script overfits sooner: it ends after as many of these seconds as were best for it, and its best epoch counts.
best: characters once more, larger and with more dropout, for nine epochs (not part of a run of all).

Every model is scored with its state carried in one pass over the validation text, and on cold windows of 256 symbols.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import data
import plain_language_model as plain
import recurra
from recurra.data.symbols import fit_symbols

RESULTS = Path(__file__).parent / "results" / "language_model.json"
SECONDS = {"characters": 180.0, "words": 600.0, "best": math.inf}
PLAIN_CHARACTERS = {"embedding": 64, "hidden": 384, "rows": 24, "window": 128, "lr": 6e-3}
PLAIN_WORDS = {"embedding": 256, "hidden": 256, "rows": 20, "window": 35, "lr": 2e-3}
PLAIN_WORDS_END = 280.0  # seconds; beyond, it overfits before its learning rate has fallen
WORDS: dict[str, Any] = {
    "unit": "word",
    "embedding_size": 256,
    "hidden_size": 256,
    "batch_size": 20,
    "bptt_length": 35,
    "lr": 6e-3,
    "epochs": 1000,
    "patience": 0,
    "token_dropout": 0.1,
    "embedding_dropout": 0.4,
    "output_dropout": 0.6,
    "weight_dropout": 0.4,
}
BEST: dict[str, Any] = {
    "hidden_size": 512,
    "embedding_size": 64,
    "batch_size": 16,
    "bptt_length": 64,
    "lr": 5e-3,
    "epochs": 9,
    "patience": 0,
    "embedding_dropout": 0.1,
    "output_dropout": 0.4,
    "weight_dropout": 0.2,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="of each training; default: 180 for characters, 600 for words")
    parser.add_argument("--only", choices=("characters", "words", "best"))
    asked = parser.parse_args()
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    for name in (asked.only,) if asked.only else ("characters", "words"):
        one = {"characters": characters, "words": words, "best": best}[name]
        with tempfile.TemporaryDirectory() as folder:
            found[name] = one(Path(folder), asked.seeds, asked.seconds or SECONDS[name])
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def characters(folder: Path, seeds: int, seconds: float) -> dict[str, Any]:
    """Both, in turn, for each seed."""
    train, valid = cut(data.find("tiny_shakespeare/input.txt").read_text(), folder)
    rows: dict[str, list[dict[str, float]]] = {"recurra": [], "plain": []}
    for seed in range(seeds):
        rows["recurra"].append(ours(folder, seed, {"max_time": seconds}))
        rows["plain"].append(beside(train, valid, PLAIN_CHARACTERS, seconds, seed, keep_best=False))
    return told("characters", rows)


def words(folder: Path, seeds: int, seconds: float) -> dict[str, Any]:
    """Both, in turn, for each seed, by the symbols of ours."""
    text = gzip.decompress(data.find("wikitext2/valid.txt.gz").read_bytes()).decode()
    train, valid = cut(text, folder, by_lines=True)
    rows: dict[str, list[dict[str, float]]] = {"recurra": [], "plain": []}
    torch.set_num_threads(1)
    steps = int(seconds / seconds_a_step(folder))
    for seed in range(seeds):
        began = time.process_time()
        rows["recurra"].append(ours(folder, seed, {**WORDS, "threads": 1, "max_steps": steps}))
        rows["recurra"][-1]["seconds"] = time.process_time() - began  # with reading, evaluations, n-grams and report
        rows["plain"].append(
            beside(
                train,
                valid,
                PLAIN_WORDS,
                min(seconds, PLAIN_WORDS_END),
                seed,
                keep_best=True,
                unit="word",
                clock=time.process_time,
            )
        )
    found = told("words", rows)
    perplexities = [statistics.mean(math.exp(row["carried"]) for row in rows[name]) for name in ("recurra", "plain")]
    found["ratio of perplexities"] = perplexities[0] / perplexities[1]
    print(f"words: perplexity {perplexities[0]:.1f} beside {perplexities[1]:.1f}: {found['ratio of perplexities']:.3f}")
    return found


def seconds_a_step(folder: Path, few: int = 20, many: int = 60) -> float:
    """Of ours, on the thread's own clock: what a longer training costs more than a shorter one."""
    took = []
    for steps in (few, many):
        began = time.process_time()
        recurra.train(
            "model",
            data=folder / "train.txt",
            valid=folder / "valid.txt",
            test=folder / "valid.txt",
            out=folder / "short",
            overwrite=True,
            **{**WORDS, "threads": 1, "max_steps": steps},
        )
        took.append(time.process_time() - began)
    return (took[1] - took[0]) / (many - few)


def best(folder: Path, seeds: int, seconds: float) -> dict[str, Any]:
    """Ours alone, for as long as it takes."""
    cut(data.find("tiny_shakespeare/input.txt").read_text(), folder)
    return told("best", {"recurra": [ours(folder, seed, BEST) for seed in range(seeds)]})


def cut(text: str, folder: Path, by_lines: bool = False) -> tuple[str, str]:
    """The first nine tenths and the last, as files too."""
    parts: tuple[str, str]
    if by_lines:
        lines = text.splitlines(keepends=True)
        at = int(len(lines) * 0.9)
        parts = "".join(lines[:at]), "".join(lines[at:])
    else:
        at = int(len(text) * 0.9)
        parts = text[:at], text[at:]
    for name, part in zip(("train", "valid"), parts, strict=True):
        (folder / f"{name}.txt").write_text(part)
    return parts


def ours(folder: Path, seed: int, settings: dict[str, Any]) -> dict[str, float]:
    """One training by Recurra, scored as the plain script is."""
    train, valid = folder / "train.txt", folder / "valid.txt"
    run = recurra.train("model", data=train, valid=valid, test=valid, seed=seed, out=folder / f"run-{seed}", **settings)
    task = run.parts
    ids = torch.from_numpy(task.symbols.encode(valid.read_text()).astype("int64"))
    task.model.eval()
    return {
        "carried": plain.carried(task.model, ids),
        "cold": plain.cold(task.model, ids),
        "seconds": run.result["training_seconds"],
        "steps": run.result["steps"],
        "parameters": run.result["parameters"],
        **{name: value for name, value in run.result.items() if name.startswith("baseline")},
    }


def beside(
    train: str,
    valid: str,
    settings: dict[str, Any],
    seconds: float,
    seed: int,
    *,
    keep_best: bool,
    unit: str = "char",
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """One training by the plain script, over the symbols that Recurra learns from the same text."""
    symbols = fit_symbols([train], unit, vocabulary_size=20_000)
    texts = [torch.from_numpy(symbols.encode(text).astype("int64")) for text in (train, valid)]
    model, found = plain.train(
        *texts, len(symbols), seconds=seconds, seed=seed, keep_best=keep_best, clock=clock, **settings
    )
    return {
        "carried": found["loss"],
        "cold": plain.cold(model, texts[1]),
        "seconds": found["seconds"],
        "steps": found["steps"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def told(name: str, rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Prints means and spans; the rows as they are, for the file."""
    for who, some in rows.items():
        for key in ("carried", "cold"):
            values = [row[key] for row in some]
            mean = statistics.mean(values)
            print(f"{name}, {who}, {key}: {mean:.4f} ({min(values):.4f} to {max(values):.4f}, {len(values)} seeds)")
    return dict(rows)


if __name__ == "__main__":
    main()
