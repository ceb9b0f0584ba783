"""The Python calls: a few lines each over the rooms below."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, overload

from recurra import workflow
from recurra.certification import certify_run
from recurra.comparison import (
    DEFAULT_CELLS,
    SEEDS,
    Comparison,
    compare_cells,
    compare_runs,
    representative,
    resume_comparison,
    try_cells,
)
from recurra.configuration import read_configuration
from recurra.data.partition import Given, check_recorded
from recurra.errors import SettingsError
from recurra.explanation import Attended, attended
from recurra.laws import Certificate
from recurra.run import Run, load_run
from recurra.settings.names import Progress
from recurra.settings.options import flat
from recurra.settings.own_cells import OwnCells, knowing, named
from recurra.settings.structure import from_keywords
from recurra.settings.tasks import TaskSettings
from recurra.training.devices import choose_device
from recurra.training.dry_run import DryRun
from recurra.training.progress import ProgressDisplay, make_progress


def train(
    task: str,
    *,
    data: Any = None,
    valid: Any = None,
    test: Any = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    config: str | Path | None = None,
    progress: bool | Progress = False,
    **settings: Any,
) -> Run:
    """Train a model and return its run.

    Args:
        task: "classify", "regress", "tag", "model" or "translate".
        data: a file or several, or Python objects: a frame (pandas, polars, Arrow, Hugging Face datasets), a mapping
            of columns, a list of dictionaries, of "translate" also a list of pairs.
        valid, test: a file, a fraction of the data, or Python objects like data.
        out: the run folder; None: a new one under `runs/`.
        overwrite: replace the run that is in `out`.
        config: a settings file, as `recurra config TASK` prints it or as a run holds it (config.toml), to start from;
            what is given beside it overrides it. Paths in it are relative to the working directory.
        progress: True for what suits the terminal, or "bar", "lines", "json", "none".
        settings: any option of `recurra train TASK`, by the same name: `hidden_size=128`. `cell` may also be a Cell
            class of one's own, or hold some in a list; the run stores its name in small letters (`my_cell`).

    Raises:
        InputError: settings or data are at fault; one sentence says where and what to do.
        WorkError: training failed.

    Example:
        >>> run = recurra.train("classify", data="reviews.csv", input="text", target="label")
    """
    with _own_cells(settings):
        chosen, given = _gathered(task, config, data, valid, test, settings)
        return train_settings(
            task,
            chosen,
            given=given,
            config=config,
            out=out,
            overwrite=overwrite,
            progress=_kind(progress),
        )


def dry_run(
    task: str,
    *,
    data: Any = None,
    valid: Any = None,
    test: Any = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    config: str | Path | None = None,
    **settings: Any,
) -> DryRun:
    """Read all the data, take a few steps of training, validation, prediction and checkpoint, and keep nothing.

    Args:
        task, data, valid, test, out, overwrite, config, settings: as for `train`.

    Returns:
        rows, parameters, steps, memory and the time that training would take at most.

    Raises:
        InputError: settings or data are at fault; what `train` would say.
        WorkError: training would fail at its first steps.
    """
    with _own_cells(settings):
        chosen, given = _gathered(task, config, data, valid, test, settings)
        return try_settings(task, chosen, given=given, config=config, out=out, overwrite=overwrite)


def train_settings(
    task: str,
    settings: TaskSettings,
    *,
    given: Given | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = "none",
) -> Run:
    """`train` with the settings in one object; `config` is the file they came from, if any."""
    _check_repeat(task, settings, config, given)
    return workflow.train(
        task,
        settings,
        given=given or Given(),
        out=None if out is None else Path(out),
        overwrite=overwrite,
        progress=_display(progress),
    )


def try_settings(
    task: str,
    settings: TaskSettings,
    *,
    given: Given | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> DryRun:
    """`dry_run` with the settings in one object."""
    _check_repeat(task, settings, config, given)
    return workflow.try_out(
        task,
        settings,
        given=given or Given(),
        out=None if out is None else Path(out),
        overwrite=overwrite,
        progress=_display("none"),
    )


def resume(
    folder: str | Path,
    *,
    data: Any = None,
    valid: Any = None,
    test: Any = None,
    progress: bool | Progress = False,
    cells: OwnCells | None = None,
) -> Run:
    """Go on with a training that was stopped: to the same weights as if it never had been.

    Args:
        folder: its run folder.
        data, valid, test: the Python objects it was trained on, where it was not trained on files.
        progress: as for `train`.
        cells: cells of one's own by the names that the run has for them, as for `load`.

    Raises:
        RunError: the folder is no training, or damaged.
        DataError: a data file has changed since.
    """
    given = None if data is None else Given(data, valid, test)
    with knowing(cells):
        return workflow.resume(Path(folder), _display(_kind(progress)), given)


def load(folder: str | Path, *, device: str = "auto", cells: OwnCells | None = None) -> Run:
    """A run from its folder.

    Args:
        folder: of the run.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        cells: cells of one's own by the names that the run has for them: `cells={"my_cell": MyCell}`. A run holds no
            code.

    Raises:
        RunError: it is missing, has not ended, or is damaged; naming the file.
    """
    with knowing(cells):
        return load_run(Path(folder), choose_device(device))


def certify(run: Run | str | Path, *, cells: OwnCells | None = None) -> Certificate:
    """Compare one shot of a run with every other way to its answers, and keep the certificate in its folder.

    Args:
        run: a run, or its folder.
        cells: cells of one's own by the names that the run has for them, as for `load`; it is loaded once more.

    Returns:
        The pairs with their largest differences; `certificate.holds` is the verdict. For a module of one's own there
        is `recurra.laws.certify_module`.

    Raises:
        RunError: the folder is no run, or in use.
    """
    with knowing(cells):
        return certify_run(run if isinstance(run, Run) else load(run))


def compare(
    what: str | Iterable[Run | str | Path] | None = None,
    *,
    data: Any = None,
    valid: Any = None,
    test: Any = None,
    cells: Sequence[Any] | OwnCells = DEFAULT_CELLS,
    seeds: int | Sequence[int] = SEEDS,
    out: str | Path | None = None,
    overwrite: bool = False,
    config: str | Path | None = None,
    progress: bool | Progress = False,
    resume: str | Path | None = None,
    isolated: bool = False,
    **settings: Any,
) -> Comparison:
    """Compare cells on the same data with the same budget, or runs that exist.

    Args:
        what: a task, whose cells are then trained; or runs or their folders, two or more; None: with `resume`.
        data, valid, test, config, settings: as for `train`, but for `cell`. Of runs that exist `data` and the others
            are asked for only where they came as Python objects, and only to time a step.
        cells: names or Cell classes of one's own, a list where several stand one above the other in a model; the others
            are compared with the first. Of runs that exist, and with `resume`: cells of one's own by their names.
        seeds: how many, from `seed` on, or which.
        out: the folder; None: a new one under `runs/`.
        overwrite: replace the comparison that is in `out`.
        progress: as for `train`.
        resume: the folder of a comparison that goes on where it stopped.
        isolated: on Linux, train each in a forked process of its own, so that its peak memory is measured and a crash
            leaves the others. Only for a program that has not computed with torch before.

    Returns:
        The rows with their intervals; it has been written to its folder as compare.html, compare.json and compare.csv.

    Raises:
        InputError: settings, data or a run are at fault; one sentence says where and what to do.

    Example:
        >>> recurra.compare("classify", data="reviews.csv", cells=["rnn", "lstm", "gru"], seeds=3)
        >>> recurra.compare(["runs/a", "runs/b"])
    """
    known: OwnCells = cells if isinstance(cells, Mapping) else {}
    folder = None if out is None else Path(out)
    if resume is not None:
        if what is not None or settings:
            raise SettingsError("resume: a comparison goes on with its own settings; give data and progress alone")
        with knowing(known):
            return resume_comparison(
                Path(resume), given=Given(data, valid, test), progress=_kind(progress), isolated=isolated
            )
    if isinstance(what, str):
        if "cell" in settings:
            raise SettingsError("cell: a comparison trains several; name them in cells, as in cells=['rnn', 'lstm']")
        names, own = _named_cells(cells)
        with knowing(own):
            settings["cell"] = representative(names)
            chosen, given = _gathered(what, config, data, valid, test, settings)
            return compare_settings(
                what, chosen, cells=names, seeds=seeds, given=given, config=config, out=folder, overwrite=overwrite,
                progress=_kind(progress), isolated=isolated,
            )  # fmt: skip
    if what is None or settings or config is not None:
        raise SettingsError("compare: give a task with its settings, runs that exist, or resume=FOLDER")
    with knowing(known):
        paths = [run.path if isinstance(run, Run) else Path(run) for run in what]
        return compare_runs(paths, given=Given(data, valid, test), out=folder, overwrite=overwrite)


def compare_settings(
    task: str,
    settings: TaskSettings,
    *,
    cells: Sequence[str] = DEFAULT_CELLS,
    seeds: int | Sequence[int] = SEEDS,
    given: Given | None = None,
    config: str | Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = "none",
    isolated: bool = False,
) -> Comparison:
    """`compare` of cells with the settings in one object; `config` is the file they came from, if any."""
    _check_repeat(task, settings, config, given)
    return compare_cells(
        task, settings, cells=cells, seeds=seeds, given=given, out=out, overwrite=overwrite, progress=progress,
        isolated=isolated,
    )  # fmt: skip


def try_comparison(
    task: str,
    settings: TaskSettings,
    *,
    cells: Sequence[str] = DEFAULT_CELLS,
    seeds: int | Sequence[int] = SEEDS,
    given: Given | None = None,
    config: str | Path | None = None,
    isolated: bool = False,
) -> tuple[dict[str, DryRun], int]:
    """What a comparison would cost: a dry run of each cell, and how many trainings there would be."""
    _check_repeat(task, settings, config, given)
    return try_cells(task, settings, cells=cells, seeds=seeds, given=given, isolated=isolated)


def _named_cells(cells: Sequence[Any] | OwnCells) -> tuple[list[str], dict[str, Any]]:
    """Cells in names, those of a stack with commas between, and the cells of one's own among them."""
    names, own = list[str](), dict[str, Any]()
    for cell in [cells] if isinstance(cells, str) else cells:
        name, found = named(cell)
        for one, kind in found.items():
            if own.setdefault(one, kind) is not kind:
                raise SettingsError(f"cells: two cells are called {one!r}; give one another name")
        names.append(name if isinstance(name, str) else ",".join(map(str, name)))
    return names, own


@overload
def explain(run: Run | str | Path, texts: str) -> Attended: ...  # type: ignore[overload-overlap]
@overload
def explain(run: Run | str | Path, texts: Iterable[str]) -> list[Attended]: ...
def explain(run: Run | str | Path, texts: str | Iterable[str]) -> Attended | list[Attended]:
    """What a translator looked at for each token of its answer; a notebook shows it as a heat-map.

    Args:
        run: of the task translate, or its folder.
        texts: one, or several (at most 50).

    Returns:
        For a text its answer, the tokens of both and the weights between them; for several a list. `recurra explain`
        draws them.

    Raises:
        RunError: the run is of another task, or its decoder has no attention.
        DataError: an input is no text.

    Example:
        >>> recurra.explain("runs/numbers", "ninety-seven").weights.shape
        (8, 4)
    """
    loaded = run if isinstance(run, Run) else load(run)
    explained = attended(loaded, [texts] if isinstance(texts, str) else texts)
    return explained[0] if isinstance(texts, str) else explained


def _own_cells(settings: dict[str, Any]) -> AbstractContextManager[None]:
    """Put names in place of the cells of one's own; they are known while the context lasts."""
    if "cell" not in settings:
        return knowing({})
    settings["cell"], cells = named(settings["cell"])
    return knowing(cells)


def _gathered(
    task: str, config: str | Path | None, data: Any, valid: Any, test: Any, settings: dict[str, Any]
) -> tuple[TaskSettings, Given]:
    """Settings from a file and from keywords, and the data that came as objects."""
    names: dict[str, Any] = {}
    if config is not None:
        names = flat(read_configuration(Path(config), task).settings)
        if data is not None:
            names["data"] = ()
    names |= settings
    objects = {}
    for name, value in (("data", data), ("valid", valid), ("test", test)):
        if _names_files(value):
            names[name] = value
        elif value is not None:
            objects[name] = value
    return from_keywords(task, **names), Given(**objects)


def _check_repeat(task: str, settings: TaskSettings, config: str | Path | None, given: Given | None) -> None:
    """Refuse a run's own settings file where its data are no longer what they were."""
    if config is not None:
        check_recorded(read_configuration(Path(config), task).record, settings.data, config, given)


def _names_files(value: Any) -> bool:
    if isinstance(value, list | tuple) and value:
        return all(isinstance(one, str | Path) for one in value)
    return isinstance(value, str | Path | float)


def _kind(progress: bool | Progress) -> Progress:
    return "auto" if progress is True else (progress or "none")


def _display(progress: Progress) -> ProgressDisplay:
    return make_progress(progress, sys.stderr)
