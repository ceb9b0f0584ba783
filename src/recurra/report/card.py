"""The model card, `README.md` of a run: every field from what was measured, every text of the user's inert."""

from __future__ import annotations

import math
import shlex
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from recurra.data.features import TextFeatures
from recurra.data.vocabulary import UNK_ID
from recurra.files import write_whole
from recurra.report.parts import UNITS, model_line
from recurra.report.text import readable, shorten
from recurra.run import Run
from recurra.settings.options import flat, options
from recurra.standing import baseline_names, not_beaten
from recurra.tasks import Classify, Examples, ManyToOneTraining

NAME_LENGTH = 80  # characters shown of a label, a file name or a value
LABELS_SHOWN = 30
RARE_ROWS = 10  # training rows below which a class is called rare
WIDEST_EXAMPLE = 8  # numbers a step
INTERVAL_Z = 1.96  # of 95 %
HUB_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "mae": "mae",
    "rmse": "rmse",
    "r2": "r_squared",
}
PIPELINES = {("classify", "text"): "text-classification"}
_ESCAPES = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation})


def write_card(run: Run, training: ManyToOneTraining, test: Examples) -> None:
    """Write `README.md` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    write_whole(run.path / "README.md", card(run, training, test))


def card(run: Run, training: ManyToOneTraining, test: Examples) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub reads."""
    parts = [
        _front(run, training),
        f"# {inert(run.path.absolute().name)}",
        _task(run, training),
        "## Scores",
        *_scores(run, training),
        "## Data",
        *_data(run),
        "## Settings",
        *_settings(run),
        "## Limits",
        _bullets(_limits(run, training, test)),
        "## Certificate",
        "Not certified.",
        "## Use",
        _use(run, training),
    ]
    return "\n\n".join(parts) + "\n"


def inert(text: str) -> str:
    """A user's text as Markdown that shows it and does nothing: no link, no HTML, no table or heading of its own."""
    return shorten(text, NAME_LENGTH).strip().translate(_ESCAPES) or "(empty)"


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share measured on `count` rows (Wilson, 1927)."""
    z2 = INTERVAL_Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = INTERVAL_Z * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def _front(run: Run, training: ManyToOneTraining) -> str:
    """Words of closed lists alone, so nothing needs YAML's quotes."""
    lines = ["---", "library_name: recurra", "tags:", "- recurra", f"- {run.task}", f"- {run.settings.model.cell}"]
    pipeline = PIPELINES.get((run.task, "text" if run.reads_text else "numbers"))
    lines += [f"pipeline_tag: {pipeline}"] if pipeline else []
    measured = [HUB_METRICS[name] for name in training.task.metrics if name in HUB_METRICS and name in run.result]
    lines += ["metrics:", *(f"- {name}" for name in dict.fromkeys(measured)), "---"]
    return "\n".join(lines)


def _task(run: Run, training: ManyToOneTraining) -> str:
    task = training.task
    read = "a text" if run.reads_text else "numbers"
    if not isinstance(task, Classify):
        return f"Task `{run.task}`: reads {read}, answers a number."
    names = [inert(name) for name in run.labels[:LABELS_SHOWN]]
    more = f", and {len(run.labels) - LABELS_SHOWN} more" if len(run.labels) > LABELS_SHOWN else ""
    answers = "any number of" if task.targets.several else "one of"
    return f"Task `{run.task}`: reads {read}, answers {answers} {len(run.labels)} labels: {', '.join(names)}{more}."


def _scores(run: Run, training: ManyToOneTraining) -> list[str]:
    """Each metric on test and validation data, beside the baselines' where the run has some."""
    result, metrics = run.result, training.task.metrics
    measured = [name for name in metrics if name in result]
    baselines = baseline_names(result)
    rows = [
        [f"`{name}`", _number(result[name]), _number(result.get(f"valid_{name}"))]
        + [_number(result.get(f"baseline_{one}_{name}")) for one in baselines]
        for name in measured
    ]
    found = [_table(["metric", "test", "validation", *(f"{one} baseline, test" for one in baselines)], rows)]
    found.append(f"The weights are those with the best validation `{training.metric}`.")
    if not baselines:
        found.append("No baseline was measured.")
    if sentence := not_beaten(result, training.metric):
        found.append(sentence)
    return found


def _data(run: Run) -> list[str]:
    result = run.result
    counts = "{train_examples:,} training rows, {valid_examples:,} for validation, {test_examples:,} for test.".format(
        **result
    )
    if not run.files:
        return [counts, "The data came as Python objects; no file is recorded."]
    rows = [[inert(Path(one.path).name), one.split, f"{one.rows:,}", f"`{one.sha256}`"] for one in run.files]
    return [counts, _table(["file", "used for", "rows", "SHA-256"], rows)]


def _settings(run: Run) -> list[str]:
    result = run.result
    trained = (
        f"{result['steps']:,} steps, {result['epochs']:g} epochs, {result['training_seconds']:,.1f} seconds on "
        f"{result['device']} with {result['threads']} threads; ended by {result['stopped']}."
    )
    defaults = {name: option.default for name, option in options(run.task).items()}
    own = ("data", "valid", "test", "track", "device", "threads", "init")  # where, not what
    changed = [
        [f"`{name}`", inert(", ".join(map(str, value)) if isinstance(value, tuple) else str(value))]
        for name, value in flat(run.settings).items()
        if name not in own and value != defaults[name]
    ]
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    found = [f"{model_line(run)}; {result['parameters']:,} parameters.", f"Trained for {trained}", f"{versions}."]
    if changed:
        found += ["Settings that are not the defaults (`config.toml` has all):", _table(["setting", "value"], changed)]
    return found


def _limits(run: Run, training: ManyToOneTraining, test: Examples) -> list[str]:
    """What was measured of where the model is weak, a sentence each."""
    result, task = run.result, training.task
    found = []
    if "accuracy" in result and result["test_examples"]:
        low, high = wilson(result["accuracy"], result["test_examples"])
        found.append(
            f"With {result['test_examples']:,} test rows the accuracy lies between {low:.4f} and {high:.4f} "
            "(95 % interval, for data like the test data)."
        )
    if training.train.cut:
        unit = UNITS[run.settings.text.unit] if run.reads_text else "steps"
        found.append(
            f"{training.train.cut:,} of {result['train_examples']:,} training rows were cut to "
            f"{task.features.max_length:,} {unit}; what lies beyond is not read."
        )
    if isinstance(task, Classify):
        found += _rare(run.labels, training.train.targets)
    if isinstance(task.features, TextFeatures):
        ids = [one.values.token for one in test.encoded]
        tokens, unknown = sum(map(len, ids)), sum(int((one == UNK_ID).sum()) for one in ids)
        if tokens:
            found.append(f"{unknown:,} of {tokens:,} tokens of the test data are not in the vocabulary.")
        found.append("Languages and kinds of text other than those of the training data were not measured.")
    if run.settings.model.bidirectional:
        found.append("It reads in both directions, so it needs the whole sequence and cannot stream.")
    return found or ["None was measured beyond the scores."]


def _rare(labels: Sequence[str], targets: list[Any]) -> list[str]:
    counts = Counter(one for target in targets for one in (target if isinstance(target, list) else [target]))
    rare = [(counts[index], name) for index, name in enumerate(labels) if counts[index] < RARE_ROWS]
    if not rare:
        return []
    shown = ", ".join(f"{inert(name)} ({count})" for count, name in sorted(rare)[:LABELS_SHOWN])
    more = ", …" if len(rare) > LABELS_SHOWN else ""
    return [f"{len(rare)} of {len(labels)} labels have fewer than {RARE_ROWS} training rows: {shown}{more}."]


def _use(run: Run, training: ManyToOneTraining) -> str:
    folder = readable(run.path.absolute().name)
    place = shlex.quote(f"./{folder}" if folder.startswith("-") else folder)
    features = training.task.features
    example: Any = "a text"
    if not isinstance(features, TextFeatures):
        step = [0.0] * features.input_size
        example = step if features.vector else [step, step]
    short = isinstance(features, TextFeatures) or features.input_size <= WIDEST_EXAMPLE
    given = f"echo {shlex.quote(str(example))} | recurra predict {place}" if short else ""
    commands = [given or f"recurra predict {place} FILE", f"recurra evaluate {place} --data FILE"]
    listing = ["import recurra", "", f"run = recurra.load({folder!r})", f"run.predict([{example!r}])"]
    return "\n".join(["```sh", *commands, "```", "", *(["```python", *listing, "```"] if given else [])]).rstrip()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _number(value: Any) -> str:
    return f"{value:.4f}" if _is_number(value) else ""


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
