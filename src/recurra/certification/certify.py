"""The way of a certificate: the run's rows, the pairs of its model and its own, the file, and the card's section."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from torch import nn

from recurra import __version__
from recurra.certification.model import model_subject
from recurra.certification.pairs import pairs_of
from recurra.certification.rows import given_to
from recurra.errors import DataError, RunError
from recurra.files import locked, read_bounded, write_whole
from recurra.laws import Certificate
from recurra.laws.certificate import certify_subject
from recurra.report.certificate_section import with_section
from recurra.run import Run
from recurra.run.certificate import CERTIFICATE, certified, seal_of
from recurra.state import State
from recurra.state_file import load_state, save_state, weights_digest

LARGEST_CARD = 4 << 20  # bytes


def certify_run(run: Run) -> Certificate:
    """Compare a run's answers in every way that it can give them, and keep what was found in its folder.

    `certificate.json` is written, bound to the files that decide the run's answers, and the section of the model card
    that says what it says.

    Args:
        run: as it was loaded, or trained.

    Returns:
        The certificate; `holds` is the verdict.

    Raises:
        RunError: the folder is no run any more, or in use.
        WorkError: the disk is full or fails.
    """
    seal = seal_of(run.path)
    given = given_to(run)
    certificate = certify_subject(
        model_subject(run.model),
        given.rows,
        str(run.path),
        keep=kept_in_a_file(run.model),
        more=pairs_of(run, given.inputs),
        versions={"recurra": __version__, "python": platform.python_version()},
    )
    with locked(run.path):
        if seal_of(run.path) != seal:
            raise RunError(f"{run.path} was changed while it was certified; certify it again")
        content = {"format": 1, "seal": seal, "rows": given.source, **certificate.to_json(), "subject": run.path.name}
        write_whole(run.path / CERTIFICATE, json.dumps(content, indent=1, ensure_ascii=True) + "\n")
        card = run.path / "README.md"
        with suppress(DataError):  # a card that was taken away is not made anew
            old = read_bounded(card, LARGEST_CARD).decode("utf-8", "surrogatepass")
            write_whole(card, with_section(old, certified(run.path)))
    return certificate


def kept_in_a_file(model: nn.Module) -> Callable[[State], State]:
    """What writes a state of a model to a file and reads it again."""
    weights = weights_digest(model)

    def keep(state: State) -> State:
        with tempfile.TemporaryDirectory(prefix="recurra-certify-") as folder:
            path = Path(folder) / "state.safetensors"
            save_state(path, state, weights=weights)
            return load_state(path, like=state, weights=weights)

    return keep
