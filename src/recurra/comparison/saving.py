"""A comparison written into its folder: compare.json, compare.csv, the pictures with their numbers, the page."""

from __future__ import annotations

import json
import math

from recurra.comparison.comparison import CSV_HEADER, Comparison, has_numbers, shown_name, untimed
from recurra.comparison.folder import PAGE, RESULT, TABLE
from recurra.comparison.measured import number_of
from recurra.comparison.rows import Entry, Row
from recurra.files import write_whole
from recurra.report.comparison import Curve, Dots, comparison_pictures
from recurra.report.inert_csv import csv_text
from recurra.report.page import Headline, ReportPage, Table, render
from recurra.settings.options import flat


def save_comparison(comparison: Comparison) -> None:
    """Write everything; compare.json comes last, and says that it is whole.

    Raises:
        WorkError: the disk is full or fails.
    """
    folder = comparison.path
    write_whole(folder / TABLE, csv_text(comparison.runs_table(), CSV_HEADER))
    write_whole(folder / PAGE, render(page_of(comparison)))
    write_whole(folder / RESULT, json.dumps(comparison.to_dict(), indent=1, allow_nan=False))


def page_of(comparison: Comparison) -> ReportPage:
    """The page; its pictures are drawn and saved on the way."""
    pictures = comparison_pictures(
        comparison.path,
        comparison.metric,
        [_dots(row) for row in comparison.rows],
        [_curve(name, entry, comparison.metric) for name, entries in comparison.groups.items() for entry in entries],
    )
    words = comparison.metric.replace("_", " ")
    names = [row.name for row in comparison.rows if row.kind == "cell"]
    header, rows = comparison.result_table()
    cost_header, cost_rows = comparison.cost_table()
    return ReportPage(
        title=f"{', '.join(names[:-1])} and {names[-1]} compared" if len(names) > 1 else f"{names[0]} alone",
        subtitle=f"{comparison.task}, {words} on test data, {_seeds(comparison)}",
        headline=_headline(comparison, words),
        facts=_facts(comparison),
        tables=[
            Table(f"Test {words}", header, rows, " ".join(comparison.notes)),
            Table("Cost", cost_header, cost_rows, _about_steps(comparison)),
            _trainings(comparison),
        ],
        pictures=pictures,
        settings=[
            (name, str(value)) for name, value in flat(comparison.settings).items() if name not in ("cell", "seed")
        ],
    )


def _headline(comparison: Comparison, words: str) -> Headline:
    cells = [row for row in comparison.rows if row.kind == "cell" and has_numbers(row)]
    if not cells:
        return Headline(f"test {words}", "none", "no row has a mean")
    best = (max if comparison.higher_is_better else min)(cells, key=lambda row: row.interval.mean)
    interval = f" ± {best.interval.half:.4f}" if best.interval.known else ""
    first = comparison.rows[0]
    against = f", against {first.name}: {best.verdict}" if best.verdict else ""
    if best is first and len(cells) > 1:
        shown = [row.name for row in cells[1:] if row.verdict == "worse"]
        against = f"; worse is shown of: {', '.join(shown)}" if shown else "; of no other row is a difference shown"
    plain = [note for note in comparison.notes if note.startswith("No cell's mean beats")]
    against += f". {plain[0]}" if plain else ""
    return Headline(f"test {words}, best mean", f"{best.interval.mean:.4f}", f"{best.name}{interval}{against}")


def _seeds(comparison: Comparison) -> str:
    counts = sorted({len(row.seeds) for row in comparison.rows if row.kind == "cell"})
    if counts == [1]:
        return "one seed a row"
    return f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds a row"


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    results = [entry.run.result for entries in comparison.groups.values() for entry in entries if entry.run.result]
    facts = [("Budget of each training", comparison.budget or "they differ, as the names of the rows say")]
    if not results:
        return facts
    first = results[0]
    if all(f"{name}_examples" in first for name in ("train", "valid", "test")):
        sizes = "{train_examples:,} training, {valid_examples:,} validation, {test_examples:,} test"
        facts.append(("Examples", sizes.format(**first)))
    seeds = sorted({seed for row in comparison.rows for seed in row.seeds})
    facts.append(("Seeds", ", ".join(map(str, seeds))))
    for name, key in (("Device", "device"), ("Threads", "threads")):
        facts.append((name, ", ".join(dict.fromkeys(str(result.get(key, "not known")) for result in results))))
    versions = first.get("versions", {})
    if isinstance(versions, dict):
        facts.append(("Versions", ", ".join(f"{name} {value}" for name, value in versions.items())))
    return facts


def _trainings(comparison: Comparison) -> Table:
    header = ["cell", "seed", f"test {comparison.metric}", "validation", "training s", "steps", "ended by", "run"]
    rows = []
    for row in comparison.runs_table():
        one = dict(zip(CSV_HEADER, row, strict=True))
        ended = f"failed: {one['error']}" if one["error"] else one["stopped"]
        names = ("row", "seed", "test", "valid", "training_seconds", "steps")
        rows.append([*(one[name] for name in names), ended, one["run"]])
    return Table("The trainings", header, rows)


def _about_steps(comparison: Comparison) -> str:
    about = "Seconds are means over the seeds, memory is the largest; a step is the median of a live session's, alone"
    return " ".join([f"{about}, on one thread of the CPU.", *untimed(comparison)])


def _dots(row: Row) -> Dots:
    return Dots(
        shown_name(row), row.values, row.interval.mean, row.interval.low, row.interval.high, row.kind == "plain"
    )


def _curve(name: str, entry: Entry, metric: str) -> Curve:
    lines = [line for line in entry.run.history if math.isfinite(number_of(line.get("step")))]
    columns = [[number_of(line.get(key)) for line in lines] for key in ("step", "seconds", f"valid_{metric}")]
    return Curve(name, entry.run.seed, *columns)
