"""The rows of a comparison: over the seeds of each cell the mean with its interval, and the difference to the first."""

from __future__ import annotations

import math
import statistics as plain_statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from recurra.comparison.measured import Measured, number_of
from recurra.report.comparison import known
from recurra.statistics import Interval, Paired, mean_interval, paired_difference

NO_DIFFERENCE = "no difference shown"
NO_SPREAD = "alike in every seed: no test can be made"
"""A few test rows, or a model that never changes: an interval of no width would prove too much."""


@dataclass(frozen=True)
class Entry:
    """One training in a comparison: what the run says of itself, and what was measured of it here."""

    run: Measured
    step_microseconds: float = math.nan
    no_step: str = ""
    """Why a step was not timed."""
    peak_memory_bytes: float = math.nan


@dataclass(frozen=True)
class Row:
    """A cell over its seeds, or a plain method beside them; what is not known is NaN.

    name: shown. kind: cell or plain. seeds and values: of each seed the metric on test data. interval: their mean with
    Student's interval of 95 %, NaN of one seed and where a value is no number. difference: to the first row, over the
    seeds that both have. seconds: mean of training. peak_memory_bytes: the largest. verdict: in words, where there is
    one. notes: what the numbers do not say. no_step: why a step was not timed.
    """

    name: str
    kind: Literal["cell", "plain"]
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    interval: Interval
    difference: Paired | None
    seconds: float
    examples_per_second: float = math.nan
    parameters: float = math.nan
    peak_memory_bytes: float = math.nan
    step_microseconds: float = math.nan
    verdict: str = ""
    notes: tuple[str, ...] = ()
    no_step: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values fit for JSON: None where nothing is known."""
        difference = None
        if self.difference is not None:
            names = ("mean", "low", "high", "p")
            difference = {name: known(getattr(self.difference, name)) for name in names} | {
                "pairs": self.difference.count
            }
        return {
            "name": self.name,
            "kind": self.kind,
            "seeds": list(self.seeds),
            "values": [known(value) for value in self.values],
            "mean": known(self.interval.mean),
            "low": known(self.interval.low),
            "high": known(self.interval.high),
            "difference": difference,
            "verdict": self.verdict,
            "training_seconds": known(self.seconds),
            "examples_per_second": known(self.examples_per_second),
            "parameters": known_whole(self.parameters),
            "peak_memory_bytes": known_whole(self.peak_memory_bytes),
            "step_microseconds": known(self.step_microseconds),
            "notes": [*self.notes, *(f"no step is timed: {reason}" for reason in self.no_step)],
        }


def rows_of(groups: dict[str, list[Entry]], metric: str, higher_is_better: bool) -> list[Row]:
    """A row for each group, and one for each plain method that was fitted on the same data.

    Args:
        groups: the trainings of each row by its name, in the order of their seeds.
        metric: what is compared.
        higher_is_better: whether more of it is.
    """
    first = _values(next(iter(groups.values())), metric)
    rows: list[Row] = []
    for name, entries in groups.items():
        difference = None if not rows else _difference(first, _values(entries, metric))
        rows.append(_row(name, entries, metric, difference, higher_is_better))
    return rows + _plain_rows(groups, metric, first, higher_is_better)


def known_whole(value: float) -> int | None:
    """A count as JSON has it."""
    return round(value) if math.isfinite(value) else None


def _row(name: str, entries: list[Entry], metric: str, difference: Paired | None, higher_is_better: bool) -> Row:
    runs = [entry.run for entry in entries]
    values = _values(entries, metric)
    interval = mean_interval(list(values.values()))
    return Row(
        name,
        "cell",
        tuple(values),
        tuple(values.values()),
        interval,
        difference,
        _mean(run.number("training_seconds") for run in runs),
        _mean(run.examples_per_second for run in runs),
        _largest(run.number("parameters") for run in runs),
        _largest(entry.peak_memory_bytes for entry in entries),
        _median(entry.step_microseconds for entry in entries),
        _verdict(difference, higher_is_better),
        tuple(_notes(entries, values, difference)),
        tuple(dict.fromkeys(entry.no_step for entry in entries if entry.no_step)),
    )


def _plain_rows(
    groups: dict[str, list[Entry]], metric: str, first: dict[int, float], higher_is_better: bool
) -> list[Row]:
    """Of each plain method its numbers of every seed, from the first run that has them: its data are those of all."""
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for entries in groups.values():
        for run in (entry.run for entry in entries):
            for name, value in run.plain(metric).items():
                seconds = run.number(f"baseline_{name}_seconds")
                found.setdefault(name, {}).setdefault(run.seed, (value, seconds))
    rows = []
    for name, by_seed in found.items():
        values = {seed: by_seed[seed][0] for seed in sorted(by_seed)}
        difference = _difference(first, values)
        rows.append(
            Row(
                name,
                "plain",
                tuple(values),
                tuple(values.values()),
                mean_interval(list(values.values())),
                difference,
                _mean(seconds for _, seconds in by_seed.values()),
                verdict=_verdict(difference, higher_is_better),
                notes=("one seed: no interval",) if len(values) == 1 else (),
            )
        )
    return rows


def _values(entries: list[Entry], metric: str) -> dict[int, float]:
    return {entry.run.seed: entry.run.number(metric) for entry in entries}


def _difference(first: dict[int, float], other: dict[int, float]) -> Paired | None:
    common = [seed for seed in first if seed in other]
    if not common:
        return None
    return paired_difference([first[seed] for seed in common], [other[seed] for seed in common])


def _verdict(difference: Paired | None, higher_is_better: bool) -> str:
    if difference is None or difference.count < 2 or not math.isfinite(difference.mean):
        return ""
    if not difference.differs:
        return NO_DIFFERENCE
    if difference.low == difference.high:
        return NO_SPREAD
    return "better" if (difference.mean > 0) == higher_is_better else "worse"


def _notes(entries: list[Entry], values: dict[int, float], difference: Paired | None) -> Iterable[str]:
    count = len(entries)
    failed = [entry.run for entry in entries if entry.run.error]
    if failed:
        seeds = ", ".join(str(run.seed) for run in failed)
        which = "failed" if len(failed) == count == 1 else f"{len(failed)} of {count} seeds failed ({seeds})"
        for error in dict.fromkeys(run.error for run in failed):
            yield f"{which}: {error}"
    bad = [str(entry.run.seed) for entry in entries if not entry.run.error and math.isnan(values[entry.run.seed])]
    if bad:
        yield f"{len(bad)} of {count} seeds ended with no number ({', '.join(bad)}), so there is no mean"
    if count == 1 and not failed:
        yield "one seed: no interval"
    elif difference is not None and difference.count == 1:
        yield "one seed in common with the first row: no difference can be shown"


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in map(number_of, values) if math.isfinite(value)]


def _over(values: Iterable[float], of: Callable[[Sequence[float]], float]) -> float:
    finite = _finite(values)
    return of(finite) if finite else math.nan


def _mean(values: Iterable[float]) -> float:
    return _over(values, plain_statistics.fmean)


def _median(values: Iterable[float]) -> float:
    return _over(values, plain_statistics.median)


def _largest(values: Iterable[float]) -> float:
    return _over(values, max)
