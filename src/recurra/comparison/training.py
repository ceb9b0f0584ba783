"""The trainings of a comparison, one after the other, each an ordinary run folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from recurra import workflow
from recurra.comparison.folder import how_to_go_on
from recurra.comparison.isolation import Outcome, Work, apart, here
from recurra.comparison.plan import RUNS, Plan, Training
from recurra.data.partition import Given, check_unchanged
from recurra.errors import InputError, WorkError
from recurra.optional import require
from recurra.run import load_beginning
from recurra.settings.names import Progress
from recurra.training.dry_run import DryRun
from recurra.training.folder import BEGUN, SEALED
from recurra.training.progress import make_progress
from recurra.training.protocol import Interrupted

LIBRARIES = dict.fromkeys(("classify", "regress"), ("sklearn.linear_model", "sklearn.svm", "sklearn.metrics"))
"""What the trainings of a task import at their first use."""


def train_all(plan: Plan, folder: Path, given: Given, progress: Progress) -> dict[str, str]:
    """Train what is missing, and go on with what was stopped.

    Args:
        plan: what to train.
        folder: of the comparison, held by the caller.
        given: data that came as Python objects.
        progress: how each training shows itself.

    Returns:
        for each run that failed, by the name of its folder, a sentence.

    Raises:
        InputError: the data cannot be used: the first training said so before it began.
        Interrupted: SIGINT, SIGTERM or SIGHUP came; what is trained is kept.
    """
    trainings, failures = plan.trainings(), dict[str, str]()
    _check_unchanged(folder, trainings)
    do = _doing(plan)
    for number, one in enumerate(trainings, 1):
        out = folder / RUNS / one.name
        if (out / SEALED).exists():
            continue
        make_progress(progress, sys.stderr).note(f"{one.cell}, seed {one.seed}: training {number} of {len(trainings)}")
        ended = [folder / RUNS / other.name for other in trainings if other.seed == one.seed]
        same_data = next((path for path in ended if (path / SEALED).exists()), None)
        outcome = do(partial(_train, plan.task, one, out, given, progress, same_data))
        if outcome.signal is not None:
            goes_on = how_to_go_on(folder, plan.objects)
            raise Interrupted(outcome.signal, f"in the comparison; what it has trained is kept; {goes_on}")
        if outcome.input_at_fault and not _begun(folder, trainings):
            raise InputError(outcome.error)
        if outcome.error:
            failures[one.name] = outcome.error
            make_progress(progress, sys.stderr).note(f"{one.cell}, seed {one.seed}: failed: {outcome.error}")
    return failures


def try_all(plan: Plan, given: Given) -> dict[str, DryRun]:
    """Of each cell a few steps, with the first seed; nothing is kept.

    Raises:
        InputError: the data cannot be used, or a cell cannot be trained.
        WorkError: a training would fail at its first steps.
        Interrupted: SIGINT, SIGTERM or SIGHUP came.
    """
    do, found = _doing(plan), dict[str, DryRun]()
    for one in plan.trainings()[: len(plan.cells)]:
        outcome = do(partial(_try, plan.task, one, given))
        if outcome.signal is not None:
            raise Interrupted(outcome.signal, "in a dry run; nothing of it is kept")
        if outcome.error:
            kind = InputError if outcome.input_at_fault else WorkError
            raise kind(f"{one.cell}: {outcome.error}")
        found[one.cell] = DryRun(**outcome.answer)
    return found


def _doing(plan: Plan) -> Callable[[Work], Outcome]:
    """How each training is done; what every forked process would import anew is imported here, once.

    That takes two seconds each time otherwise. Nothing is computed.
    """
    if not plan.isolated:
        return here
    for name in LIBRARIES.get(plan.task, ()):
        require(name)
    torch.optim.AdamW([torch.nn.Parameter(torch.empty(1, device="meta"))])  # the first brings a part of torch with it
    return apart


def _try(task: str, training: Training, given: Given) -> dict[str, Any]:
    display = make_progress("none", sys.stderr)
    tried = workflow.try_out(task, training.settings, given=given, out=None, overwrite=False, progress=display)
    return tried.to_dict()


def _train(task: str, training: Training, out: Path, given: Given, progress: Progress, same_data: Path | None) -> None:
    display = make_progress(progress, sys.stderr)
    if (out / BEGUN).exists():
        workflow.resume(out, display, None if given.data is None else given, same_data)
    else:
        workflow.train(
            task, training.settings, given=given, out=out, overwrite=False, progress=display, same_data=same_data
        )


def _check_unchanged(folder: Path, trainings: list[Training]) -> None:
    """Refuse to go on with other data than the comparison began with.

    Raises:
        DataError: a file is gone or has changed.
    """
    for one in trainings:
        if (folder / RUNS / one.name / BEGUN).exists():
            check_unchanged(load_beginning(folder / RUNS / one.name, "meta")[1])
            return


def _begun(folder: Path, trainings: list[Training]) -> bool:
    return any((folder / RUNS / one.name / BEGUN).exists() for one in trainings)
