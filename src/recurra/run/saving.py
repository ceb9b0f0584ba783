"""A run folder written: its beginning before training, its end after it, and the seal last."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch

from recurra.data.partition import FileRecord
from recurra.errors import WorkError
from recurra.files import write_whole
from recurra.run.files import BEGINNING, DECISIVE, FORMAT, bind, digest, read_if_there
from recurra.run.run import Run
from recurra.settings.toml import to_toml
from recurra.tasks import Task


def save_beginning(folder: Path, task: Task, files: tuple[FileRecord, ...], version: str) -> None:
    """What a training needs to go on from its folder alone: settings, features and targets.

    The configuration comes last and holds the digests of the others, so that they are one unit.
    """
    content = task.to_json()
    if task.embeddings_record is not None:
        content["embeddings"] = task.embeddings_record.to_json()
    others = {"features.json": json.dumps(content, ensure_ascii=True)}
    if task.tokenizer_json is not None:
        others["tokenizer.json"] = task.tokenizer_json
    for name, text in others.items():
        write_whole(folder / name, text)
    digests = {name: digest(folder / name, text.encode()) for name, text in others.items()}
    extra = {"recurra": version, "files": [asdict(record) for record in files], "digests": digests}
    write_whole(folder / "config.toml", to_toml(task.name, task.settings, extra))


def beginning_digests(folder: Path) -> dict[str, str]:
    """Of each file that a training began with, a digest: a checkpoint belongs to these files and to no others.

    The settings of training itself are left out: a checkpoint holds them, and knows which may change.

    Raises:
        RunError: a file is missing or no file of its own.
    """
    digests = {}
    for name in BEGINNING:
        content = read_if_there(folder, name)
        if content is not None:
            digests[name] = digest(folder / name, content, without="training")
    return digests


def save_end(run: Run, version: str) -> None:
    """Weights and result, and the manifest last: with it the folder is a run.

    Raises:
        WorkError: a weight is not finite, or the disk fails.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in run.model.state_dict().items()}
    for name, value in weights.items():
        if not bool(value.isfinite().all()):
            raise WorkError(f"the weight {name} is not finite, so the run is not saved; train again with a smaller lr")
    write_whole(run.path / "model.safetensors", safetensors.torch.save(weights))
    write_whole(run.path / "result.json", json.dumps(run.result, indent=1))
    contents = {name: read_if_there(run.path, name) for name in DECISIVE}
    digests = {name: digest(run.path / name, one) for name, one in contents.items() if one is not None}
    manifest = {"format": FORMAT, "recurra": version, "files": digests, "bound": bind(digests)}
    write_whole(run.path / "manifest.json", json.dumps(manifest, indent=1))
