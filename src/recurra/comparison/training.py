"""The trainings of a comparison, one after the other, each an ordinary run folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from recurra import workflow
from recurra.comparison.folder import how_to_go_on
from recurra.comparison.isolation import Outcome, apart, here
from recurra.comparison.plan import RUNS, Plan, Training
from recurra.data.partition import Given
from recurra.errors import InputError
from recurra.optional import require
from recurra.settings.names import Progress
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
    do: Callable[[Callable[[], None]], Outcome] = apart if plan.isolated else here
    trainings, failures = plan.trainings(), dict[str, str]()
    if plan.isolated:
        _import_once(plan.task)
    for number, one in enumerate(trainings, 1):
        out = folder / RUNS / one.name
        if (out / SEALED).exists():
            continue
        make_progress(progress, sys.stderr).note(f"{one.cell}, seed {one.seed}: training {number} of {len(trainings)}")
        outcome = do(partial(_train, plan.task, one, out, given, progress))
        if outcome.signal is not None:
            raise Interrupted(outcome.signal, f"in the comparison; what it has trained is kept; {how_to_go_on(folder)}")
        if outcome.input_at_fault and not _begun(folder, trainings):
            raise InputError(outcome.error)
        if outcome.error:
            failures[one.name] = outcome.error
            make_progress(progress, sys.stderr).note(f"{one.cell}, seed {one.seed}: failed: {outcome.error}")
    return failures


def _train(task: str, training: Training, out: Path, given: Given, progress: Progress) -> None:
    display = make_progress(progress, sys.stderr)
    if (out / BEGUN).exists():
        workflow.resume(out, display, None if given.data is None else given)
    else:
        workflow.train(task, training.settings, given=given, out=out, overwrite=False, progress=display)


def _import_once(task: str) -> None:
    """Import here what every forked process would import anew, two seconds each; nothing is computed."""
    for name in LIBRARIES.get(task, ()):
        require(name)
    torch.optim.AdamW([torch.nn.Parameter(torch.empty(1, device="meta"))])  # brings what torch imports at its first


def _begun(folder: Path, trainings: list[Training]) -> bool:
    return any((folder / RUNS / one.name / BEGUN).exists() for one in trainings)
