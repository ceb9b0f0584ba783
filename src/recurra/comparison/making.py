"""Comparisons made: cells trained, runs that exist, and what was interrupted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from recurra.comparison.comparison import Comparison, higher_is_better
from recurra.comparison.existing import check_comparable, check_same_data, grouped
from recurra.comparison.folder import held, held_to_go_on, new_folder
from recurra.comparison.isolation import POSSIBLE
from recurra.comparison.latency import step_microseconds
from recurra.comparison.measured import Measured, read_measured
from recurra.comparison.plan import PLAN, RUNS, SEEDS, Plan, load_plan, make_plan, save_plan
from recurra.comparison.rows import Entry, Row, rows_of
from recurra.comparison.saving import save_comparison
from recurra.comparison.training import train_all, try_all
from recurra.data.partition import Given
from recurra.errors import InputError, SettingsError
from recurra.files import make_folder, remove
from recurra.settings.names import Progress, check_task
from recurra.settings.options import flat
from recurra.settings.tasks import TaskSettings
from recurra.training.dry_run import DryRun
from recurra.training.processes import several
from recurra.workflow import with_whole_paths

BUDGET = ("epochs", "max_steps", "max_time", "patience")
ORDER = "A seed gives every cell the same cut of the data and the same order of examples."
PAIRED = "Differences are paired by seed; p is of Student's paired test, not corrected for the number of rows."
ONE_SEED = "One seed: there is no interval, and no difference can be shown."
TOGETHER = "Peak memory is not measured: several trainings in one process."


def compare_cells(
    task: str,
    settings: TaskSettings,
    *,
    cells: Iterable[str],
    seeds: int | Sequence[int] = SEEDS,
    given: Given | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = "none",
    isolated: bool = False,
) -> Comparison:
    """Train every cell with every seed on the same data, and compare them on the test data.

    Args:
        task: its name.
        settings: those of every run; cell and seed are put in.
        cells: names; the others are compared with the first.
        seeds: how many, from the settings' seed on, or which.
        given: data that came as Python objects.
        out: the folder; None: a new one under `runs/`.
        overwrite: replace the comparison that is in `out`.
        progress: how each training shows itself.
        isolated: train each in a forked process of its own, where the system is Linux: its peak memory is then its own,
            and the others outlive its crash. Only for a program that has not computed with torch yet.

    Raises:
        InputError: settings or data are at fault, or the folder is taken.
        Interrupted: SIGINT, SIGTERM or SIGHUP came.
    """
    check_task(task)
    if several():
        raise SettingsError("compare: it trains one run after the other; start it without torchrun")
    given = given or Given()
    settings = with_whole_paths(settings, given.data is not None)
    isolated = isolated and POSSIBLE
    plan = make_plan(task, settings, cells, seeds, objects=given.data is not None, isolated=isolated)
    folder = out or new_folder(f"compare-{task}")
    with held(folder, overwrite):
        save_plan(folder, plan)
        make_folder(folder / RUNS)
        try:
            return _compared(plan, folder, given, progress)
        except InputError:
            if not any((folder / RUNS).glob("*/*")):  # nothing was trained: the folder is as it was
                remove([folder / RUNS, folder / PLAN])
            raise


def try_cells(
    task: str,
    settings: TaskSettings,
    *,
    cells: Iterable[str],
    seeds: int | Sequence[int] = SEEDS,
    given: Given | None = None,
    isolated: bool = False,
) -> tuple[dict[str, DryRun], int]:
    """What `compare_cells` would cost: of each cell a few steps, and how many trainings there would be.

    Args and Raises: as of `compare_cells`.
    """
    check_task(task)
    given = given or Given()
    settings = with_whole_paths(settings, given.data is not None)
    plan = make_plan(task, settings, cells, seeds, objects=given.data is not None, isolated=isolated and POSSIBLE)
    return try_all(plan, given), len(plan.trainings())


def resume_comparison(
    folder: Path, *, given: Given | None = None, progress: Progress = "none", isolated: bool = False
) -> Comparison:
    """Go on with a comparison: what is trained is kept, what was stopped goes on, what failed is tried again.

    Args:
        folder: of the comparison.
        given, progress, isolated: as of `compare_cells`.

    Raises:
        InputError: it is none, its data are not given again, or have changed.
        Interrupted: SIGINT, SIGTERM or SIGHUP came.
    """
    given = given or Given()
    with held_to_go_on(folder):
        plan = load_plan(folder)
        if plan.objects and given.data is None:
            raise InputError(
                f"{folder}: the data of this comparison came as Python objects; call recurra.compare with resume=… "
                "and data=… to go on"
            )
        if plan.isolated and not (isolated and POSSIBLE):
            plan = Plan(plan.task, plan.settings, plan.cells, plan.seeds, plan.objects)
            save_plan(folder, plan)
        return _compared(plan, folder, given, progress)


def compare_runs(
    paths: Sequence[Path], *, given: Given | None = None, out: Path | None = None, overwrite: bool = False
) -> Comparison:
    """Compare runs that exist.

    Args:
        paths: of the runs; the rows are compared with that of the first.
        given: their data, where they came as Python objects: a step is timed on them.
        out: the folder; None: a new one under `runs/`.
        overwrite: replace the comparison that is in `out`.

    Raises:
        InputError: a run is not there, has not ended or is damaged; they are of different tasks or data; one is named
            twice; or the folder is taken.
    """
    runs = [read_measured(path) for path in paths]
    check_comparable(runs)
    groups = grouped(runs)
    folder = out or new_folder("compare")
    with held(folder, overwrite):
        steps = iter(step_microseconds([run for group in groups.values() for run in group], given or Given()))
        entries = {
            name: [_entry(run, next(steps), run.number("peak_memory_bytes")) for run in group]
            for name, group in groups.items()
        }
        made = _comparison(folder, runs[0].task, entries, _notes_on(runs))
        save_comparison(made)
        return made


def _compared(plan: Plan, folder: Path, given: Given, progress: Progress) -> Comparison:
    failures = train_all(plan, folder, given, progress)
    groups: dict[str, list[Measured]] = {cell: [] for cell in plan.cells}
    for one in plan.trainings():
        path = folder / RUNS / one.name
        failed = Measured(path, plan.task, one.settings, error=failures.get(one.name, ""))
        groups[one.cell].append(failed if failed.error else read_measured(path))
    ended = [run for group in groups.values() for run in group if not run.error]
    if ended:
        check_same_data(ended)  # a file may have changed meanwhile
    steps = dict(zip([run.path for run in ended], step_microseconds(ended, given), strict=True))
    entries = {
        cell: [
            _entry(run, steps.get(run.path, ""), run.number("peak_memory_bytes") if plan.isolated else math.nan)
            for run in group
        ]
        for cell, group in groups.items()
    }
    notes = [ORDER, *([] if plan.isolated else [TOGETHER])]
    made = _comparison(folder, plan.task, entries, notes)
    save_comparison(made)
    return made


def _entry(run: Measured, step: float | str, peak_memory_bytes: float) -> Entry:
    if isinstance(step, str):
        return Entry(run, no_step=step, peak_memory_bytes=peak_memory_bytes)
    return Entry(run, step, peak_memory_bytes=peak_memory_bytes)


def _comparison(folder: Path, task: str, groups: dict[str, list[Entry]], notes: list[str]) -> Comparison:
    runs = [entry.run for entries in groups.values() for entry in entries]
    metric = _metric(runs)
    rows = rows_of(groups, metric, higher_is_better(metric))
    if all(len(entries) == 1 for entries in groups.values()):
        notes = [ONE_SEED, *notes]
    else:
        notes = [PAIRED, *notes]
    notes = [*_ahead(rows, higher_is_better(metric)), *notes]
    return Comparison(
        folder,
        task,
        metric,
        higher_is_better(metric),
        tuple(rows),
        groups,
        runs[0].settings,
        _budget(runs, metric),
        tuple(notes),
    )


def _ahead(rows: Sequence[Row], higher: bool) -> list[str]:
    """A sentence on the plain methods that no cell's mean beats."""
    sign = 1 if higher else -1
    means = {kind: [(row.interval.mean, row.name) for row in rows if row.kind == kind] for kind in ("cell", "plain")}
    best = max((sign * mean for mean, _ in means["cell"] if math.isfinite(mean)), default=math.nan)
    ahead = [f"{name} ({mean:.4f})" for mean, name in means["plain"] if sign * mean >= best]
    return [f"No cell's mean beats {' and '.join(ahead)}, plain."] if ahead else []


def _metric(runs: Sequence[Measured]) -> str:
    """The metric that chose the first run's weights; of texts in other symbols the one that counts characters."""
    if len({getattr(getattr(run.settings, "text", None), "unit", "") for run in runs}) > 1 and runs[0].task == "model":
        return "bits_per_character"
    chosen = [str(run.result["metric"]) for run in runs if "metric" in run.result]
    return chosen[0] if chosen else runs[0].settings.training.metric or "metric"


def _budget(runs: Sequence[Measured], metric: str) -> str:
    bounds = [tuple(flat(run.settings)[name] for name in BUDGET) for run in runs]
    if len(set(bounds)) > 1:
        return ""
    epochs, steps, seconds, patience = bounds[0]
    found = [f"at most {epochs:,} epoch{'s' * (epochs != 1)}"]
    found += [f"{steps:,} step{'s' * (steps != 1)}"] if steps else []
    found += [f"{seconds:g} seconds of training"] if seconds else []
    early = (
        f"; ended early after {patience} evaluation{'s' * (patience != 1)} without a better {metric}"
        if patience
        else ""
    )
    return f"{' or '.join(found)}{early}"


def _notes_on(runs: Sequence[Measured]) -> list[str]:
    """What keeps runs that were made apart from being compared in all respects."""
    notes = []
    if not runs[0].files:
        notes.append(
            "The data came as Python objects: that they are the same is checked by their numbers of rows only."
        )
    for name in ("device", "threads"):
        kinds = dict.fromkeys(str(run.result.get(name, "not known")) for run in runs)
        if len(kinds) > 1:
            notes.append(
                f"The runs differ in {name} ({', '.join(kinds)}): their seconds are not of one machine's work."
            )
    return notes
