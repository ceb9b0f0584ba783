"""A checkpoint: one file with all that training needs to go on as if it had never stopped.

`checkpoints/step-00000123.safetensors` holds tensors (weights, optimiser, average, best weights) and, in the header's
metadata, a JSON text with everything else, and the SHA-256 of both. It is one unit, so no half-new mixture can load,
and no pickle, so loading runs no code. Noise is a function of (seed, step), so no random state is kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cattrs
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as format_safetensors
from torch import Tensor

from recurra.errors import InputError, RunError
from recurra.files import parse_json, read_bounded, remove, write_whole
from recurra.training.schedule import Plateau
from recurra.training.step import StepRecord

FOLDER = "checkpoints"
FORMAT = 1
NAME = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass
class Tally:
    """Sums over the steps since the last evaluation."""

    steps: int = 0
    loss: float = 0.0
    targets: float = 0.0
    gradient_norm: float = 0.0
    examples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0
    """That of the last step."""
    skipped: int = 0
    """Steps whose update was left out."""

    def add(self, record: StepRecord) -> None:
        """Count one more step."""
        self.steps += 1
        self.loss += record.loss * record.targets
        self.targets += record.targets
        self.gradient_norm += record.gradient_norm
        self.examples += record.examples
        self.tokens += record.tokens
        self.seconds += record.seconds
        self.learning_rate = record.learning_rate
        self.skipped += bool(record.skipped)


@dataclass
class TrainingState:
    """Where a training stands, apart from its tensors."""

    step: int = 0
    """Optimiser steps taken."""
    epoch: int = 0
    """Epochs completed."""
    position: int = 0
    """Batches of the running epoch that are done."""
    seconds: float = 0.0
    """Seconds trained, over all processes that had a part in it."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """The lines of metrics.jsonl."""
    best: int = -1
    """Index of the best evaluation in the history; -1 before the first."""
    plateau: Plateau = field(default_factory=Plateau)
    """State of the plateau schedule."""
    skipped: int = 0
    """Steps whose update was left out, for a loss or gradient that was not finite."""
    skipped_in_row: int = 0
    """Of these, the last ones, without a step in between that was made."""
    tally: Tally = field(default_factory=Tally)
    """Sums since the last evaluation."""
    stopped: str = ""
    """Why training ended: epochs, max_steps, max_time or patience; empty while it goes on."""


@dataclass
class Checkpoint:
    """Everything about a training at one moment.

    Args:
        state: where it stands.
        settings: the training settings, as plain values.
        surroundings: versions, device and threads, which decide the last bits of the numbers.
        tensors: by kind ("weights", "optimiser", "average", "best") and name.
        beginning: digests of the files that the run began with, by name; empty where it has none.
    """

    state: TrainingState
    settings: dict[str, Any]
    surroundings: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]
    beginning: dict[str, str] = field(default_factory=dict)


def checkpoint_path(folder: Path, step: int) -> Path:
    """The file of a step's checkpoint."""
    return folder / FOLDER / f"step-{step:08d}.safetensors"


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files of a run folder, newest first.

    Raises:
        RunError: their folder is a link.
    """
    place = folder / FOLDER
    if place.is_symlink():
        raise RunError(f"{place} is a link, and a folder of the run's own is expected; remove it")
    found = [path for path in place.iterdir() if NAME.fullmatch(path.name)] if place.is_dir() else []
    return sorted(found, key=lambda path: (len(path.name), path.name), reverse=True)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, and remove the earlier ones once it is in place.

    Raises:
        WorkError: the disk is full or fails; the earlier checkpoint is still there.
    """
    flat = {
        f"{kind}:{name}": tensor.detach().to("cpu", copy=True).contiguous()
        for kind, tensors in checkpoint.tensors.items()
        for name, tensor in tensors.items()
    }
    text = json.dumps(
        {
            "format": FORMAT,
            "state": dataclasses.asdict(checkpoint.state),
            "settings": checkpoint.settings,
            "surroundings": checkpoint.surroundings,
            "beginning": checkpoint.beginning,
        },
        allow_nan=False,
    )
    content = format_safetensors(flat, metadata={"training": text, "sha256": _digest(flat, text)})
    path = checkpoint_path(folder, checkpoint.state.step)
    write_whole(path, content)
    remove(other for other in checkpoints(folder) if other != path)
    return path


def load_checkpoint(folder: Path, limit: int) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where there is none at all.

    Args:
        folder: the run folder.
        limit: bytes that a checkpoint of this model can have at most.

    Raises:
        RunError: there are checkpoints and none of them is whole; names the newest.
    """
    first: RunError | None = None
    for path in checkpoints(folder):
        try:
            return read_checkpoint(path, limit)
        except RunError as error:
            first = first or error
    if first is not None:
        raise first
    return None


def read_checkpoint(path: Path, limit: int) -> Checkpoint:
    """The checkpoint in a file of at most `limit` bytes.

    Raises:
        RunError: it is damaged, too large, or of a format that this version does not know.
    """
    try:
        content = read_bounded(path, limit)
        flat = parse_safetensors(content)
        header = parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
        text = header["__metadata__"]["training"]
        if header["__metadata__"]["sha256"] != _digest(flat, text):
            raise ValueError("its content is not what was written")
        values = parse_json(text)
        if values["format"] != FORMAT:
            raise RunError(f"{path} has the checkpoint format {values['format']}, and this version reads {FORMAT}")
        state = cattrs.Converter(forbid_extra_keys=True).structure(values["state"], TrainingState)
        counts = (state.step, state.epoch, state.position, state.skipped, state.skipped_in_row)
        if min(counts) < 0 or not -1 <= state.best < len(state.history):
            raise ValueError("its counters do not fit each other")
        if NAME.fullmatch(path.name) and path != checkpoint_path(path.parents[1], state.step):
            raise ValueError(f"it is the checkpoint of step {state.step}")
        beginning = dict(values.get("beginning", {}))
        return Checkpoint(state, dict(values["settings"]), dict(values["surroundings"]), _by_kind(flat), beginning)
    except RunError:
        raise
    except InputError as error:
        raise RunError(str(error)) from error
    except (SafetensorError, cattrs.BaseValidationError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} is damaged ({_first_line(error)}); train again into a new folder, or put a good copy in its place"
        ) from error


def _by_kind(flat: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    tensors: dict[str, dict[str, Tensor]] = {}
    for path, tensor in flat.items():
        kind, _, name = path.partition(":")
        tensors.setdefault(kind, {})[name] = tensor
    return tensors


def _digest(flat: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(flat):
        tensor = flat[name]
        digest.update(f"\n{name}\n{tensor.dtype}\n{list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
