"""Runs that exist, made rows: refused where they are not of one task and the same data, grouped by what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recurra.comparison.measured import Measured
from recurra.errors import SettingsError
from recurra.settings.groups import as_fraction
from recurra.settings.options import flat

FREE = ("cell", "seed", "data", "track", "checkpoint_every", "device", "threads")
"""Settings that make no other row: the cell names it, and the others choose no number but for its last bits."""
OF_DATA = (
    "valid", "test", "input_kind", "target", "id", "time", "group", "delimiter", "header", "encoding",
)  # fmt: skip
"""Settings that decide what the test data are."""
SIZES = ("train_examples", "valid_examples", "test_examples")


def check_comparable(runs: Sequence[Measured]) -> None:
    """Refuse runs that say nothing of each other.

    Raises:
        SettingsError: fewer than two, one twice, another task, or other data; naming the difference.
    """
    if len(runs) < 2:
        raise SettingsError("compare: one run is named, and two or more are compared; name another")
    seen: dict[Path, Path] = {}
    for run in runs:
        place = run.path.resolve()
        if place in seen:
            raise SettingsError(f"compare: {run.path} is named twice; name each run once")
        seen[place] = run.path
    first = runs[0]
    for run in runs[1:]:
        if run.task != first.task:
            raise SettingsError(
                f"compare: {first.path} is a {first.task} run and {run.path} a {run.task} run; name runs of one task"
            )
    check_same_data(runs)


def check_same_data(runs: Sequence[Measured]) -> None:
    """Refuse runs of different data.

    Raises:
        SettingsError: naming the difference.
    """
    first, *others = runs
    for run in others:
        difference = _difference_of_data(first, run)
        if difference:
            raise SettingsError(f"compare: {first.path} and {run.path} are not of the same data: {difference}")


def grouped(runs: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The runs of each row by its label, in the order of their seeds: equal in all settings but the seed.

    A label is the cell and the settings that differ between the rows: `lstm hidden_size=64`. A seed that comes twice
    makes another row, which its run's path tells apart.
    """
    rows: list[list[Measured]] = []
    kinds: list[dict[str, Any]] = []
    for run in runs:
        kind = _kind(run)
        place = next(
            (
                index
                for index, other in enumerate(kinds)
                if other == kind and run.seed not in [one.seed for one in rows[index]]
            ),
            None,
        )
        if place is None:
            kinds.append(kind)
            rows.append([run])
        else:
            rows[place].append(run)
    names = [name for name in kinds[0] if name != "cell" and any(kind.get(name) != kinds[0][name] for kind in kinds)]
    labels = [" ".join([str(kind["cell"]), *(f"{name}={_shown(kind.get(name))}" for name in names)]) for kind in kinds]
    found: dict[str, list[Measured]] = {}
    for label, row in zip(labels, rows, strict=True):
        unlike = label if labels.count(label) == 1 else f"{label} ({row[0].path})"
        found[unlike] = sorted(row, key=lambda run: run.seed)
    return found


def _kind(run: Measured) -> dict[str, Any]:
    values = flat(run.settings)
    return {"cell": run.cell} | {name: value for name, value in values.items() if name not in (*FREE, *OF_DATA)}


def _difference_of_data(first: Measured, other: Measured) -> str:
    mine, theirs = flat(first.settings), flat(other.settings)
    for name in OF_DATA:
        in_files = name in ("valid", "test") and all(as_fraction(one[name]) is None for one in (mine, theirs))
        if mine.get(name) != theirs.get(name) and not in_files:  # files are told by their fingerprints
            return f"{name} is {_shown(mine.get(name))} and {_shown(theirs.get(name))}"
    if sorted(first.files) != sorted(other.files):
        if not first.files or not other.files:
            without = first if not first.files else other
            return f"those of {without.path} came as Python objects, and the others from files"
        return f"{_names(first, mine)} and {_names(other, theirs)} have other fingerprints (SHA-256)"
    for name in () if first.files or mine.get("group") else SIZES:  # of objects nothing else is known
        if name in first.result and name in other.result and first.result[name] != other.result[name]:
            return f"{name} is {first.result[name]} and {other.result[name]}"
    return ""


def _names(run: Measured, settings: dict[str, Any]) -> str:
    digests = ", ".join(dict.fromkeys(digest[:12] for _, digest in run.files))
    return f"{', '.join(settings['data']) or 'the data'} ({digests})"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value) if value not in ("", None) else "none"
