"""`recurra train TASK`: train a model and write its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from recurra.cli.configuration import ConfigFile, fill_from_file, task_of
from recurra.cli.processes import speaks
from recurra.cli.show import facts, print_text, table
from recurra.cli.tasks import add_tasks, no_data
from recurra.errors import SettingsError
from recurra.settings.names import TASKS, Progress, TaskName, check_task, did_you_mean
from recurra.settings.tasks import TaskSettings
from recurra.standing import baseline_names, beside, not_beaten

if TYPE_CHECKING:
    from recurra.run import Run

train_app = App(
    name="train", help="Train a model: `recurra train TASK -h` lists the options of a task.", config=fill_from_file
)

OutFolder = Annotated[
    Path | None, Parameter(help="Run folder to write. Default: runs/TASK-DATE.", negative_iterable=())
]
ProgressKind = Annotated[
    Progress, Parameter(help="How training shows itself, on standard error: auto is a bar in a terminal, else lines.")
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is no setting of a run: where it goes and what is seen of it."""

    config: ConfigFile = None
    out: OutFolder = None
    overwrite: Annotated[bool, Parameter(help="Replace the run folder if it exists.", negative="")] = False
    dry_run: Annotated[
        bool,
        Parameter(help="Read all the data, take a few steps, say what training would cost, keep nothing.", negative=""),
    ] = False
    progress: ProgressKind = "auto"


@train_app.default
def resume(
    *unknown: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    resume: Annotated[Path | None, Parameter(help="Run folder whose training goes on where it stopped.")] = None,
    progress: ProgressKind = "auto",
) -> None:
    """Train a model: `recurra train TASK -h` lists the options of a task; --resume goes on with a run."""
    if task := task_of(unknown):
        again = [task, *unknown, "--progress", progress]
        train_app(again, exit_on_error=False, print_error=False, result_action="return_value")
        return
    if unknown and not unknown[0].startswith("-"):
        check_task(unknown[0])
    if unknown:
        known = ("--resume", "--progress")
        raise SettingsError(
            f"{unknown[0]} is no option of `recurra train` before the task's name; {did_you_mean(unknown[0], known)}; "
            f"a task's options follow it: recurra train {TASKS[0]} {unknown[0]} …"
        )
    if resume is None:
        raise SettingsError(f"name a task ({', '.join(TASKS)}), or a run to go on with: recurra train --resume RUN")

    from recurra import api

    _finish(api.resume(resume, progress=progress))


def _train(task: TaskName, settings: TaskSettings, run: RunOptions) -> None:
    settings.check()
    if not settings.data.names_data and run.config is None:
        raise SettingsError(no_data(task, "train"))

    from recurra import api

    if run.dry_run:
        tried = api.try_settings(task, settings, config=run.config, out=run.out, overwrite=run.overwrite)
        print_text(facts(tried.to_dict()))
        return
    _finish(
        api.train_settings(
            task, settings, config=run.config, out=run.out, overwrite=run.overwrite, progress=run.progress
        )
    )


def _finish(run: Run) -> None:
    """The test metrics beside those of validation, and the folder on the last line."""
    if not speaks():
        return
    result = run.result
    measured = [name for name in result if f"valid_{name}" in result]
    rows = [[name, result[f"valid_{name}"], *values] for name, *values in beside(result, measured)]
    print(table(["metric", "valid", "test", *(f"{name}, test" for name in baseline_names(result))], rows))
    if sentence := not_beaten(result, result["metric"]):
        print_text(sentence)
    print()
    print_text(str(run.path))


add_tasks(train_app, RunOptions, _train)
