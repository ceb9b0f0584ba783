"""The model card, `README.md` of a run: every field from what was measured, every text of the user's inert."""

from __future__ import annotations

import math
import shlex
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from recurra.files import write_whole
from recurra.report.certificate_section import section
from recurra.report.text import readable, shorten
from recurra.run import Run
from recurra.run.certificate import Certified
from recurra.settings.options import flat, options
from recurra.standing import baseline_names, not_beaten
from recurra.tasks import TaskTraining

NAME_LENGTH = 80  # characters shown of a label, a file name or a value
INTERVAL_Z = 1.96  # of 95 %
HUB_METRICS = {
    "perplexity": "perplexity",
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "mae": "mae",
    "rmse": "rmse",
    "r2": "r_squared",
}
_ESCAPES = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation})


@dataclass(frozen=True)
class CardWords:
    """What a card says of one task's runs."""

    summary: str
    """What the run reads and answers: "reads a text, answers a number"."""
    model: str
    """The model in a few words."""
    amounts: str
    """How much data there was, in a sentence."""
    limits: Sequence[str]
    """What was measured of where the model is weak, a sentence each."""
    use: str
    """Commands and a listing, as Markdown."""
    pipeline: str = ""
    """The Hub's name of such a model, if it has one."""


def write_card(run: Run, training: TaskTraining, words: CardWords) -> None:
    """Write `README.md` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    write_whole(run.path / "README.md", card(run, training, words))


def card(run: Run, training: TaskTraining, words: CardWords) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub reads."""
    parts = [
        _front(run, training, words),
        f"# {inert(run.path.absolute().name)}",
        f"Task `{run.task}`: {words.summary}.",
        "## Scores",
        *_scores(run, training),
        "## Data",
        *_data(run, words),
        "## Settings",
        *_settings(run, words),
        "## Limits",
        _bullets(words.limits or ["None was measured beyond the scores."]),
        section(Certified("none", {})),
        "## Use",
        words.use,
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


def row_counts(run: Run) -> str:
    """How many rows there were."""
    counts = run.result
    return "{train_examples:,} training rows, {valid_examples:,} for validation, {test_examples:,} for test.".format(
        **counts
    )


def place_of(run: Run) -> str:
    """The run's folder as a word of a command line, from where it lies."""
    folder = readable(run.path.absolute().name)
    return shlex.quote(f"./{folder}" if folder.startswith("-") else folder)


def use_listing(run: Run, example: Any) -> str:
    """How the run is used: commands, and the same in Python.

    Args:
        example: an input; None: none is short enough to show.
    """
    folder, place = readable(run.path.absolute().name), place_of(run)
    given = f"echo {shlex.quote(str(example))} | recurra predict {place}" if example is not None else ""
    commands = [given or f"recurra predict {place} FILE", f"recurra evaluate {place} --data FILE"]
    listing = ["import recurra", "", f"run = recurra.load({folder!r})", f"run.predict([{example!r}])"]
    return "\n".join(["```sh", *commands, "```", "", *(["```python", *listing, "```"] if given else [])]).rstrip()


def _front(run: Run, training: TaskTraining, words: CardWords) -> str:
    """Words of closed lists alone, so nothing needs YAML's quotes."""
    lines = ["---", "library_name: recurra", "tags:", "- recurra", f"- {run.task}", f"- {run.settings.model.cell}"]
    lines += [f"pipeline_tag: {words.pipeline}"] if words.pipeline else []
    measured = [HUB_METRICS[name] for name in training.task.metrics if name in HUB_METRICS and name in run.result]
    lines += ["metrics:", *(f"- {name}" for name in dict.fromkeys(measured)), "---"]
    return "\n".join(lines)


def _scores(run: Run, training: TaskTraining) -> list[str]:
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


def _data(run: Run, words: CardWords) -> list[str]:
    if not run.files:
        return [words.amounts, "The data came as Python objects; no file is recorded."]
    rows = [[inert(Path(one.path).name), one.split, f"{one.rows:,}", f"`{one.sha256}`"] for one in run.files]
    return [words.amounts, _table(["file", "used for", "rows", "SHA-256"], rows)]


def _settings(run: Run, words: CardWords) -> list[str]:
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
    found = [f"{words.model}; {result['parameters']:,} parameters.", f"Trained for {trained}", f"{versions}."]
    if changed:
        found += ["Settings that are not the defaults (`config.toml` has all):", _table(["setting", "value"], changed)]
    return found


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _number(value: Any) -> str:
    return f"{value:.4f}" if _is_number(value) else ""


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
