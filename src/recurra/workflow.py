"""The way of a run: data → train → evaluate → report → manifest."""

from __future__ import annotations

import contextlib
import math
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import recurra
from recurra.data.columns import inputs_of, kind_of, target_columns
from recurra.data.corpus import describe_text
from recurra.data.labels import Labels
from recurra.data.long_form import check_one_row_each, sequences, with_inputs
from recurra.data.pairs import describe_pairs, looks_paired
from recurra.data.partition import FileRecord, Given, check_unchanged, read_labelled
from recurra.data.tagged_description import describe_tagged, looks_tagged
from recurra.engines.costs import in_use
from recurra.errors import InputError, RecurraError, RunError, SettingsError, WorkError
from recurra.files import make_folder, sha256
from recurra.report.card import CardWords, write_card
from recurra.report.classification import write_classification_report
from recurra.report.language import language_words, write_language_report
from recurra.report.many_to_one_card import many_to_one_words
from recurra.report.regression import write_regression_report
from recurra.report.tagging import tagging_words, write_tagging_report
from recurra.report.translation import translation_words, write_translation_report
from recurra.run import (
    Run,
    beginning_digests,
    load_beginning,
    load_run,
    make_run,
    save_baselines,
    save_beginning,
    save_end,
    take_baselines,
)
from recurra.settings.groups import DataSettings, TrainingSettings
from recurra.settings.names import check_task
from recurra.settings.options import flat
from recurra.settings.tasks import ManyToOneSettings, TaskSettings
from recurra.settings.translation import PairsSettings
from recurra.tasks import TASKS, Task, TaskTraining
from recurra.training.batch_size import find_batch_size
from recurra.training.checkpoint import checkpoints
from recurra.training.dry_run import DryRun, measure
from recurra.training.folder import NOTHING_SAVED, SEALED, check_free, clear, held, held_to_go_on, saved_until_now
from recurra.training.interruption import stopping_at_once
from recurra.training.loop import FitResult, fit
from recurra.training.processes import ALONE, Processes, processes_here, several
from recurra.training.progress import ProgressDisplay, Silent
from recurra.training.refit import FOLDER as REFIT
from recurra.training.refit import refit
from recurra.training.trackers import make_trackers, tracked

VERSION = recurra.__version__
PREDICTED_ROWS = 64  # in a dry run
REPORTS: dict[str, tuple[Callable[..., None], Callable[..., CardWords]]] = {
    "classify": (write_classification_report, many_to_one_words),
    "regress": (write_regression_report, many_to_one_words),
    "tag": (write_tagging_report, tagging_words),
    "model": (write_language_report, language_words),
    "translate": (write_translation_report, translation_words),
}
"""Of each task what writes its report, from (run, training, test, score, history), and what its card says."""


def train(
    task_name: str,
    settings: TaskSettings,
    *,
    given: Given,
    out: Path | None,
    overwrite: bool,
    progress: ProgressDisplay,
    same_data: Path | None = None,
) -> Run:
    """Train a new run.

    Args:
        task_name: from the table of tasks.
        settings: all of them.
        given: data that came as Python objects.
        out: the run folder; None: a new one under `runs/`.
        overwrite: replace the run that is in `out`.
        progress: what is shown meanwhile.
        same_data: a run that has ended, of the same seed, data and settings but for the model: its plain methods are
            taken over, which would be fitted to the same numbers.

    Raises:
        InputError: settings or data are at fault, or the folder is taken.
        WorkError: training failed.
        Interrupted: SIGINT, SIGTERM or SIGHUP came.
    """
    check_task(task_name)
    settings = with_whole_paths(settings, given.data is not None)
    settings.check()
    with contextlib.ExitStack() as stack:
        stack.enter_context(stopping_at_once(lambda: NOTHING_SAVED))
        processes = processes_here(settings.training.device)
        progress = progress if processes.first else Silent()

        def hold() -> bool:
            there = out is not None and out.exists()
            if out is not None and there:
                stack.enter_context(held(out, overwrite))
            return there

        there_already = processes.found(hold)
        trackers = make_trackers(settings.training.track if processes.first else ())
        training, test, files, start = _prepared(task_name, settings, given, progress, processes)
        task = training.task

        def begin() -> tuple[str, dict[str, str]]:
            # nothing is made or removed before the data are known to be good
            folder = out or _new_folder(task_name)
            if not there_already:
                stack.enter_context(held(folder, overwrite))
            stack.enter_context(stopping_at_once(lambda: saved_until_now(folder)))
            clear(folder)
            save_beginning(folder, task, files, VERSION)
            return str(folder), beginning_digests(folder)

        place, beginning = processes.found(begin)
        folder = Path(place)
        display = stack.enter_context(tracked(progress, trackers, folder, flat(task.settings)))
        result = fit(training, task.settings.training, folder, display, beginning=beginning, processes=processes)
        task, result = _refitted(training, result, start, folder, display, beginning, processes)
        return _finished(folder, training, task, test, result, files, processes, same_data)


def try_out(
    task_name: str,
    settings: TaskSettings,
    *,
    given: Given,
    out: Path | None,
    overwrite: bool,
    progress: ProgressDisplay,
) -> DryRun:
    """Read all the data and take a few steps of training, validation, prediction and checkpoint; keep nothing.

    Args and Raises: as of `train`, `out` being only looked at.
    """
    check_task(task_name)
    settings = with_whole_paths(settings, given.data is not None)
    settings.check()
    if several():
        raise SettingsError("dry_run: it measures one process; start it without torchrun")
    if out is not None:
        check_free(out, overwrite)
    make_trackers(settings.training.track)
    training, test, files, _ = _prepared(task_name, settings, given, progress, ALONE)
    task = training.task
    with tempfile.TemporaryDirectory(prefix="recurra-dry-run-") as name:
        folder = Path(name)
        save_beginning(folder, task, files, VERSION)
        measured = measure(training, task.settings.training, folder)
        load_beginning(folder)
    began = time.perf_counter()
    run = make_run(folder, task, files, {})
    some = run.test_inputs(test, PREDICTED_ROWS)
    for answer in run.predict_rows(some):
        if "error" in answer:
            raise WorkError(f"prediction failed on a test row: {answer['error']}")
    steps, sizes = measured.total_steps, task.sizes(training, test)
    every = task.settings.training.evaluate_every or measured.steps_an_epoch
    evaluations = math.ceil(steps / every)
    seconds = steps * measured.step_seconds + evaluations * measured.evaluation_seconds
    limit = task.settings.training.max_time
    return DryRun(
        task=task_name,
        cell=str(task.settings.model.cell),
        **{name: sizes[name] for name in ("train_examples", "valid_examples", "test_examples", "train_cut")},
        parameters=sum(one.numel() for one in task.model.parameters()),
        batch_size=_mean_batch(task.settings.training, sizes["train_examples"], measured.steps_an_epoch),
        steps_per_epoch=measured.steps_an_epoch,
        steps=steps,
        step_seconds=measured.step_seconds,
        evaluation_seconds=measured.evaluation_seconds,
        predict_seconds=(time.perf_counter() - began) / max(1, len(some)),
        expected_seconds=min(seconds, limit) if limit else seconds,
        peak_memory_bytes=_peak_memory(),
        checkpoint_bytes=measured.checkpoint_bytes,
    )


def _mean_batch(settings: TrainingSettings, examples: int, steps: int) -> int:
    """Examples a batch, on average where a budget of tokens makes the batches."""
    assert settings.batch_size != "auto"  # found by trial before
    return settings.batch_size or max(1, round(examples / (steps * settings.accumulate)))


def resume(folder: Path, progress: ProgressDisplay, given: Given | None = None, same_data: Path | None = None) -> Run:
    """Go on with a training that was stopped, exactly where it was; a finished one is loaded.

    Args: as of `train`.

    Raises:
        RunError: the folder is no training, damaged, or held by another training.
        DataError: a data file has changed.
        Interrupted: SIGINT, SIGTERM or SIGHUP came.
        InputError: the data came as Python objects and is not given again.
    """
    if (folder / SEALED).exists():
        return load_run(folder)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stopping_at_once(lambda: saved_until_now(folder)))
        # they join before the folder is held, and its configuration names the device
        processes = processes_here(load_beginning(folder)[0].settings.training.device) if several() else ALONE
        progress = progress if processes.first else Silent()

        def hold() -> bool:
            stack.enter_context(held_to_go_on(folder))
            return (folder / SEALED).exists()  # whoever held it until now has ended it

        if processes.found(hold):
            return load_run(folder)
        task, files = load_beginning(folder)
        trackers = make_trackers(task.settings.training.track if processes.first else ())
        device = processes.device_of(task.settings.training.device)
        task.device = device
        task.model.to(device)
        if not files and given is None:
            raise InputError(
                f"{folder}: the data of this run came as Python objects; call recurra.resume with data=… to go on"
            )
        again = folder / REFIT if task.settings.training.refit else folder
        start = None if checkpoints(again) else _start(task.settings, device)
        check_unchanged(files)
        parts = task.read(task.settings, given, task)
        if not checkpoints(again):
            task.begin_again(parts.train)
        if start is not None:
            task.take_weights(start)  # a checkpoint of the first training, where there is one, takes their place
        training = task.training(parts)
        test = task.examples(parts.test)
        beginning = beginning_digests(folder)
        with tracked(progress, trackers, folder, flat(task.settings), resumed=True) as display:
            result = fit(
                training, task.settings.training, folder, display, resume=True, beginning=beginning, processes=processes
            )
            task, result = _refitted(training, result, start, folder, display, beginning, processes, resume=True)
            return _finished(folder, training, task, test, result, files, processes, same_data)


def describe_data(path: Path, data: DataSettings) -> dict[str, Any]:
    """What a data file looks like to the tasks: rows, columns, lengths, classes, and the problems found.

    Raises:
        DataError: the file cannot be read at all.
    """
    if path.name.lower().removesuffix(".gz").endswith(".txt"):
        return {"file": str(path), "sha256": sha256(path), **describe_text(path, data.encoding)}
    table = read_labelled(path, data)
    found: dict[str, Any] = {
        "file": str(path),
        "sha256": sha256(path),
        "rows": len(table),
        "columns": {name: _example(values) for name, values in table.columns.items()},
    }
    if looks_tagged(table, data):
        return {**found, **describe_tagged(table, data)}
    pairs = PairsSettings(data=(str(path),))
    if not (data.input or data.target or data.id) and looks_paired(table, pairs):
        return {**found, **describe_pairs(table, pairs)}
    problems: list[str] = []
    try:
        check_one_row_each(table, data)
        data = with_inputs(table, data)
        table = sequences(table, data)
        inputs = inputs_of(table, data)
        found["kind"] = kind_of(inputs, table, data)
        unit, length_of = _length(found["kind"], data)
        lengths = [length_of(value) for value in inputs]
        if data.id:
            found |= {"sequences": len(inputs), "inputs": list(data.input)}
        found["lengths"] = {"shortest": min(lengths), "median": int(np.median(lengths)), "longest": max(lengths)}
        found["lengths"]["unit"] = unit
        empty = sum(length == 0 for length in lengths)
        if empty:
            problems.append(f"{empty} row(s) have an empty input")
    except RecurraError as error:
        problems.append(str(error))
    try:
        columns = target_columns(table, data)
        labels = Labels.from_table(table, columns)
        counts = np.zeros(len(labels.names), dtype=int)
        for own in labels.encode_table(table, columns):
            counts[own] += 1
        found["classes"] = {name: int(count) for name, count in zip(labels.names, counts, strict=True)}
        rare = [name for name, count in found["classes"].items() if count < 3]
        if rare:
            problems.append(f"{len(rare)} class(es) have fewer than 3 rows: {', '.join(rare[:5])}")
    except RecurraError as error:
        problems.append(str(error))
    return {**found, "problems": problems}


def _length(kind: str, data: DataSettings) -> tuple[str, Callable[[Any], int]]:
    """What the lengths of inputs are counted in, and the count."""
    if kind == "text":
        return "words", lambda value: len(str(value).split())
    return ("steps", len) if data.id else ("numbers", np.size)


def _prepared(
    task_name: str, settings: TaskSettings, given: Given, progress: ProgressDisplay, processes: Processes
) -> tuple[TaskTraining, Any, tuple[FileRecord, ...], Task | None]:
    """The data read, the model made: what trains, the test examples, the files, and the task to start from."""
    device = processes.device_of(settings.training.device)
    kind = TASKS[task_name]
    start = _start(settings, device)
    if start is not None:
        settings = kind.with_structure(settings, start)
    parts = kind.read(settings, given, start)
    settings = replace(settings, data=parts.settings)
    task = kind.fit_features(settings, parts.train, device, start)
    if start is not None and not task.take_weights(start):
        progress.note("init: the answers are other ones than in that run, so the last layer begins anew")
    training = task.training(parts)
    test = task.examples(parts.test)
    for note in task.notes(training, test):
        progress.note(note)
    if task.settings.training.batch_size == "auto":
        if training.lengths is None:
            raise SettingsError(f"batch_size: the task {task_name} cannot try it out; give a number")
        found = processes.found(partial(find_batch_size, training, training.lengths, task.settings.training))
        progress.note(f"batch_size auto: {found}, found by trial")
        task.settings = replace(task.settings, training=replace(task.settings.training, batch_size=found))
    return training, test, parts.files, start


def _refitted(
    training: TaskTraining,
    first: FitResult,
    start: Task | None,
    folder: Path,
    progress: ProgressDisplay,
    beginning: dict[str, str],
    processes: Processes,
    *,
    resume: bool = False,
) -> tuple[Task, FitResult]:
    """The task whose weights the run keeps, and the first training's result with the seconds of both."""
    settings = training.task.settings.training
    if not settings.refit:
        return training.task, first
    again = training.again()
    if start is not None:
        again.task.take_weights(start)
    second = refit(again, settings, first, folder, progress, resume=resume, beginning=beginning, processes=processes)
    return again.task, replace(first, seconds=first.seconds + second.seconds, skipped=first.skipped + second.skipped)


def _finished(
    folder: Path,
    training: TaskTraining,
    task: Task,
    test: Any,
    fitted: FitResult,
    files: tuple[FileRecord, ...],
    processes: Processes,
    same_data: Path | None,
) -> Run:
    """The run: the first process ends it, the others have its weights and take its result over."""
    run: Run | None = None

    def end() -> dict[str, Any]:
        nonlocal run
        run = _finish(folder, training, task, test, fitted, files, processes.count, same_data)
        return dict(run.result)

    result = processes.found(end)
    task.model.eval()
    return run or make_run(folder, task, files, result)


def _finish(
    folder: Path,
    training: TaskTraining,
    task: Task,
    test: Any,
    fitted: FitResult,
    files: tuple[FileRecord, ...],
    processes: int,
    same_data: Path | None,
) -> Run:
    """Score, write the result and the report, and seal the folder."""
    began = time.perf_counter()
    score = task.score(test)
    seconds = time.perf_counter() - began
    if same_data is None:
        baselines = task.fit_baselines(training)
        save_baselines(folder, task, baselines)
        plain = task.score_baselines(baselines, test)
    else:
        plain = take_baselines(folder, same_data)
    result: dict[str, Any] = {
        **score.metrics,
        **{f"valid_{name}": value for name, value in fitted.best.items()},
        **plain,
        "metric": training.metric,
        "parameters": sum(one.numel() for one in task.model.parameters()),
        "steps": fitted.steps,
        "epochs": round(fitted.epochs, 3),
        "best_step": fitted.best_step,
        "stopped": fitted.stopped,
        "steps_skipped": fitted.skipped,
        "training_seconds": round(fitted.seconds, 3),
        "test_seconds": round(seconds, 3),
        "peak_memory_bytes": _peak_memory(),
        **task.sizes(training, test),
        **({"embeddings_found": round(found.share, 6)} if (found := training.task.embeddings_record) else {}),
        "device": str(task.device),
        "threads": task.settings.training.threads or torch.get_num_threads(),
        "processes": processes,
        "engines": in_use(),
        "versions": {
            "recurra": VERSION,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "data": [asdict(record) for record in files],
    }
    run = make_run(folder, task, files, result)
    task.model.eval()
    report, words = REPORTS[task.name]
    report(run, training, test, score, fitted.history)
    write_card(run, training, words(run, training, test))
    save_end(run, VERSION)
    return run


def _start(settings: TaskSettings, device: torch.device) -> Task | None:
    """The task to start from, where the settings name a run."""
    return load_run(Path(settings.training.init), device).parts if settings.training.init else None


def with_whole_paths(settings: TaskSettings, objects: bool = False) -> TaskSettings:
    """Files by absolute path: the run is then the same from every working directory.

    Args:
        objects: whether the training data come as Python objects.
    """
    init = settings.training.init
    settings = replace(
        settings,
        data=settings.data.with_whole_paths(objects),
        training=replace(settings.training, init=init and str(Path(init).absolute())),
    )
    if isinstance(settings, ManyToOneSettings) and settings.text.embeddings:
        embeddings = str(Path(settings.text.embeddings).absolute())
        settings = replace(settings, text=replace(settings.text, embeddings=embeddings))
    return settings


def _new_folder(task_name: str) -> Path:
    """A folder that is not there yet, made at once so that two trainings cannot choose the same."""
    stem = f"{task_name}-{datetime.now():%Y%m%d-%H%M%S}"
    make_folder(Path("runs"))
    for number in range(1, 1000):
        folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RunError(f"runs/{stem}: a thousand runs began in this second; give --out")


def _peak_memory() -> int:
    """Bytes of the process's largest resident set."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _example(values: list[Any]) -> str:
    text = repr(values[0])
    return text if len(text) <= 60 else f"{text[:57]}…"
