"""`recurra train classify` on sst2, banking77 and names beside a plain PyTorch script, on the same rows and seeds.

    python benchmarks/classify.py [sst2 banking77 names] [--seeds N] [--json benchmarks/results/classify.json]

Both train on the same rows, choose by the same validation rows and are scored on the same test rows, with the same
threads; each has its own settings, stated here and in plain_classifier.py. Expected files: benchmarks/data.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

import data
import plain_classifier
import recurra

SHARED = {
    "cell": "lstm", "bidirectional": True, "pooling": "max+mean", "average": 0.99, "output_dropout": 0.5, "refit": True,
}  # fmt: skip
AT_THE_END = 1_000_000  # steps between evaluations: one alone, at the end, so that the refit goes to its end too
SETTINGS: dict[str, dict[str, Any]] = {
    "sst2": {
        **SHARED, "char_ngrams": True, "hidden_size": 64, "embedding_dropout": 0.6, "word_dropout": 0.1, "rdrop": 1.0,
        "epochs": 4, "lr": 5e-3, "weight_decay": 0.1, "evaluate_every": AT_THE_END,
    },
    "banking77": {
        **SHARED, "char_ngrams": True, "pool_inputs": True, "embedding_dropout": 0.4, "label_smoothing": 0.1,
        "epochs": 20, "lr": 3e-3, "evaluate_every": AT_THE_END,
    },
    "names": {
        **SHARED, "unit": "char", "embedding_dropout": 0.2, "rdrop": 2.0, "logit_adjustment": 0.5, "batch_size": 64,
        "epochs": 10, "lr": 4e-3, "metric": "macro_f1",
    },
}  # fmt: skip
PLAIN = {  # epochs, and the spread of the first embeddings: the better of two
    "sst2": (8, 0.1),
    "banking77": (25, 1.0),
    "names": (15, 1.0),
}
SEEDS = {"sst2": 5, "banking77": 3, "names": 3}
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # two-sided 95 % quantiles of Student's t, by number of seeds


def tables(name: str, folder: Path) -> dict[str, object]:
    """Where the rows of a data set are, as options of `train`."""
    if name == "sst2":
        files = {
            "data": data.find("sst2/train.tsv"),
            "valid": data.find("sst2/dev.tsv"),
            "test": data.find("sst2/test.tsv"),
        }
        return {**files, "header": False, "input": "1", "target": "2"}
    if name == "names":
        train, valid, test = data.names_table(folder)
        return {"data": train, "valid": valid, "test": test, "input": "name", "target": "language"}
    # banking77 has no validation data: a tenth of the training rows, the same for both
    from recurra.data.partition import partition
    from recurra.settings.structure import from_keywords

    settings = from_keywords(
        "classify",
        data=str(data.find("banking77/train.csv")),
        input="text",
        target="category",
        test=str(data.find("banking77/test.csv")),
    ).data
    parts = partition(settings, seed=0)
    found = {}
    for part in ("train", "valid"):
        table = getattr(parts, part)
        path = folder / f"banking77-{part}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(
                [["text", "category"], *zip(table.column("text"), table.column("category"), strict=True)]
            )
        found[part] = path
    return {
        "data": found["train"],
        "valid": found["valid"],
        "test": data.find("banking77/test.csv"),
        "input": "text",
        "target": "category",
    }


def rows(path: Path, where: dict[str, object]) -> list[tuple[str, str]]:
    """The (text, label) pairs of one file, through the package's own readers."""
    from recurra.data.readers import read_table

    table = read_table(path, header=bool(where.get("header", True)))
    return list(zip(table.column(str(where["input"])), table.column(str(where["target"])), strict=True))


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval over seeds (Student's t)."""
    if len(values) < 2:
        return values[0], math.nan
    return statistics.mean(values), T95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))


def measured(result: dict[str, Any]) -> dict[str, float]:
    """What is kept of a run's result: its scores, and those of the linear baseline where the run has one."""
    wanted = ("accuracy", "macro_f1", "valid_accuracy", "valid_macro_f1", "training_seconds")
    return {key: value for key, value in result.items() if key in wanted or key.startswith("baseline_linear_")}


def as_markdown(found: dict[str, Any]) -> str:
    """The results as Markdown, with the linear row where the runs have one."""
    lines = [
        "| data | metric | recurra | seconds | linear | seconds | plain script | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in found.items():
        for metric in ("accuracy", "macro_f1"):
            cells = []
            for side, key, clock in (
                ("recurra", metric, "training_seconds"),
                ("recurra", f"baseline_linear_{metric}", "baseline_linear_seconds"),
                ("plain", metric, "seconds"),
            ):
                rows = result[side]
                if not rows or key not in rows[0]:
                    cells += ["", ""]
                    continue
                mean, half = interval([100 * one[key] for one in rows])
                shown = f"{mean:.2f} ± {half:.2f}" if half > 0 else f"{mean:.2f}"  # a linear model has no seed
                cells += [shown, f"{statistics.mean(one[clock] for one in rows):.0f}"]
            lines.append(f"| {name} | {metric} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, help="default: 5 for sst2, 3 for the others")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "classify.json")
    parser.add_argument(
        "--keep-plain", action="store_true", help="the plain script's figures as the JSON file has them"
    )
    arguments = parser.parse_args()
    found = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    for name in arguments.sets:
        earlier = found.get(name, {}).get("plain", [])
        plain = earlier if arguments.keep_plain else []
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            where = tables(name, folder)
            parts = [rows(Path(str(where[part])), where) for part in ("data", "valid", "test")]
            ours = []
            for seed in range(arguments.seeds or SEEDS[name]):
                run = recurra.train("classify", **where, **SETTINGS[name], seed=seed, out=folder / f"run-{seed}")
                ours.append(measured(run.result))
                if not arguments.keep_plain:
                    unit = str(SETTINGS[name].get("unit", "word"))
                    epochs, spread = PLAIN[name]
                    plain.append(plain_classifier.train(*parts, unit, seed, epochs, 600.0, spread))
                print(name, seed, ours[-1], plain[-1] if plain else "", flush=True)
        found[name] = {
            "settings": SETTINGS[name],
            "machine": {
                "cpu": platform.processor() or platform.machine(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            },
            "recurra": ours,
            "plain": plain,
        }
        arguments.json.parent.mkdir(exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\n{as_markdown(found)}")


if __name__ == "__main__":
    main()
