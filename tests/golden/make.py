"""Write the golden runs of the version at hand: `python tests/golden/make.py`, once for each release.

Each folder is a run as it was written, without its report and checkpoints, and beside it expected.json (inputs,
answers, rows and their metrics) and, where the task streams, a state kept in the middle of a stream.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import recurra
from recurra import workflow
from recurra.data.partition import Given
from recurra.run import Run
from recurra.settings.structure import from_keywords
from recurra.training.progress import Silent

HERE = Path(__file__).parent
NOT_KEPT = (".lock", "report.html", "README.md", "plots", "checkpoints")
SMALL: dict[str, Any] = {"hidden_size": 4, "epochs": 3, "lr": 0.05, "threads": 1}

REVIEWS = {"text": ["a fine film", "a bad film", "so fine", "so bad"] * 8, "label": ["good", "bad"] * 16}
PRICES = {"x": [[float(i % 5), float(i % 3), 1.0] for i in range(32)], "y": [float(i % 5 - i % 3) for i in range(32)]}
STORY = "anna took her hat. otto took his coat.\n" * 30
SENTENCES = {"tokens": [["the", "dog", "sat"], ["a", "cat", "ran"]] * 8, "tags": [["D", "N", "V"], ["D", "N", "V"]] * 8}

NUMBERS = {"source": ["one", "two", "one two", "two one"] * 4, "target": ["un", "deux", "un deux", "deux un"] * 4}

Kind = tuple[str, dict[str, Any], Given, Any, list[Any]]
"""The task, its settings, what is trained on, the rows to evaluate, and the inputs to answer."""

KINDS: dict[str, Kind] = {
    "classify": (
        "classify",
        {"embedding_size": 4, "unit": "word", "bidirectional": True, "pooling": "max+mean", "char_ngrams": True,
         "ngram_buckets": 50},
        Given(REVIEWS), REVIEWS, ["a fine film", "bad", "", "never seen"],
    ),
    "classify-gru": (
        "classify", {"embedding_size": 4, "unit": "char", "cell": "gru"},
        Given(REVIEWS), REVIEWS, ["a fine film", "bad", "", "ünseen"],
    ),
    "regress": (
        "regress", {"input": "x", "target": "y", "cell": "lstm,mingru"},
        Given(PRICES), PRICES, [[1.0, 2.0, 3.0], [4.0]],
    ),
    "model": (
        "model", {"embedding_size": 4, "batch_size": 2, "bptt_length": 16},
        Given(STORY, STORY, STORY), {"text": STORY}, ["anna took", "", "otto"],
    ),
    "tag": (
        "tag", {"input": "tokens", "target": "tags", "crf": True},
        Given(SENTENCES), SENTENCES, [["the", "cat", "sat"], ["never", "seen"]],
    ),
    "translate": (
        "translate", {"embedding_size": 8, "unit": "char", "joint": False, "beam": 2, "hidden_size": 16,
                      "batch_size": 4, "epochs": 24},
        Given(NUMBERS, NUMBERS, NUMBERS), NUMBERS, ["one two", "", "never seen"],
    ),
}  # fmt: skip
STREAMED: dict[str, tuple[list[Any], list[Any]]] = {
    "classify-gru": (["a fi", "ne"], [" fi", "lm"]),
    "regress": ([[1.0], [2.0]], [[3.0], [4.0]]),
    "model": (["anna t"], ["ook", " h"]),
}
"""Of the runs that stream: what is pushed before the state is kept, and after."""


def main() -> None:
    for name in KINDS:
        task, settings, given, rows, inputs = KINDS[name]
        folder = HERE / f"run-{recurra.__version__}-{name}"
        run = workflow.train(
            task,
            from_keywords(task, **{**SMALL, **settings}),
            given=given,
            out=folder,
            overwrite=True,
            progress=Silent(),
        )
        expected = {"inputs": inputs, "answers": list(run.predict_rows(inputs))}
        numbers = {name: value for name, value in run.evaluate(rows).items() if not isinstance(value, str)}
        expected |= {"rows": rows, "metrics": numbers}
        if name in STREAMED:
            expected["stream"] = streamed(run, *STREAMED[name])
        for leftover in NOT_KEPT:
            path = folder / leftover
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        print(folder.name)


def streamed(run: Run, before: list[Any], after: list[Any]) -> dict[str, Any]:
    """Pieces and the answers after each, the state kept between."""
    session = run.stream()
    for piece in before:
        session.push(piece)
    session.save(run.path / "state.safetensors")
    return {"pushed": after, "answers": [numbers_of(session.push(piece)) for piece in after]}


def numbers_of(answer: Any) -> list[float]:
    """An answer as numbers, in a fixed order."""
    for name in ("probabilities", "next"):
        if hasattr(answer, name):
            return [value for _, value in sorted(getattr(answer, name).items())]
    return [answer.value]


if __name__ == "__main__":
    main()
