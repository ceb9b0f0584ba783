"""A run folder read: every file once, compared with the seal, sizes compared before memory is taken."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from recurra.data.embeddings import EmbeddingsRecord
from recurra.data.partition import FileRecord
from recurra.errors import InputError, RunError
from recurra.run.files import (
    BEGINNING,
    DECISIVE,
    WHOLE,
    digest,
    json_object,
    read,
    read_if_there,
    read_manifest,
    shown,
)
from recurra.run.kinds import make_run
from recurra.run.run import Run
from recurra.settings.groups import LayersSettings
from recurra.settings.toml import from_toml
from recurra.tasks import TASKS, Task

RECORDED = {"path": str, "sha256": str, "rows": int, "split": str}


def load_run(folder: Path, device: torch.device | str = "cpu") -> Run:
    """A run from its folder.

    Every file is read once and compared with the manifest; sizes are compared with the configuration before the
    model takes memory.

    Raises:
        RunError: it is missing, has not ended, or is damaged; naming the file.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is no run folder: there is no such folder")
    if not os.path.lexists(folder / "manifest.json"):
        if (folder / "config.toml").exists():
            raise RunError(
                f"{folder}: this training has not ended; go on with: recurra train --resume {shlex.quote(str(folder))}"
            )
        raise RunError(f"{folder} is no run folder: it has no manifest.json")
    content = decisive_files(folder)
    result = json_object(folder / "result.json", read(folder, "result.json"))
    task, files = _task(folder, content, "meta")
    _load_weights(task.model, content["model.safetensors"], folder / "model.safetensors", device)
    task.device = torch.device(device)
    task.model.eval()
    return make_run(folder, task, files, result)


def decisive_files(folder: Path) -> dict[str, bytes]:
    """The files that decide the answers of a run, by name, each compared with the manifest.

    Raises:
        RunError: one is missing, damaged, or not known to this version.
    """
    digests = read_manifest(folder / "manifest.json")
    content: dict[str, bytes] = {}
    for name in DECISIVE:
        one = read_if_there(folder, name)
        if (one is not None) != (name in digests):
            raise RunError(f"{folder / name} is {'missing' if one is None else 'no part of this run'}; {WHOLE}")
        if one is not None:
            if digest(folder / name, one) != digests[name]:
                raise RunError(f"{folder / name} is damaged, or of another run: it is not the file of the manifest")
            content[name] = one
    unknown = sorted(digests.keys() - set(DECISIVE))
    if unknown:
        raise RunError(f"{folder / unknown[0]} is part of this run and not known to this version; is it newer?")
    return content


def load_beginning(folder: Path, device: torch.device | str = "cpu") -> tuple[Task, tuple[FileRecord, ...]]:
    """The task of a folder with fresh weights, and its data files: what `save_beginning` wrote.

    Raises:
        RunError: a file is missing or not what was written.
    """
    if not os.path.lexists(folder / "config.toml"):
        raise RunError(f"{folder} is no run folder: it has no config.toml")
    contents = {name: read_if_there(folder, name) for name in BEGINNING}
    return _task(folder, {name: one for name, one in contents.items() if one is not None}, device, whole=True)


def _task(
    folder: Path, content: Mapping[str, bytes], device: torch.device | str, *, whole: bool = False
) -> tuple[Task, tuple[FileRecord, ...]]:
    """The task that the files of a beginning describe.

    Args:
        whole: whether the configuration's own end is to be there: no manifest tells that it was not cut.
    """
    config = folder / "config.toml"
    try:
        name, settings, extra = from_toml(content["config.toml"].decode(), str(config))
    except (InputError, UnicodeDecodeError) as error:
        raise RunError(f"{config} is damaged: {error}") from error
    if name not in TASKS:
        raise RunError(f"{config}: task {name!r} is not known to this version")
    if whole and "digests" not in extra:
        raise RunError(f"{config} is damaged: its end is missing, the digests of the other files; {WHOLE}")
    for other, expected in _record(config, extra, "digests", dict).items():
        if other not in BEGINNING:
            raise RunError(f"{config} is damaged: {other!r} is no file of a run")
        if other not in content:
            raise RunError(f"{folder / other} is missing; {WHOLE}")
        if digest(folder / other, content[other]) != expected:
            raise RunError(f"{folder / other} is damaged, or of another run: it is not the file that config.toml names")
    records = _record(config, extra, "files", list)
    if not all(isinstance(one, dict) and {k: type(v) for k, v in one.items()} == RECORDED for one in records):
        raise RunError(f"{config} is damaged: record.files does not hold path, sha256, rows and split of each file")
    if "features.json" not in content:
        raise RunError(f"{folder / 'features.json'} is missing; {WHOLE}")
    saved = json_object(folder / "features.json", content["features.json"])
    tokenizer = content["tokenizer.json"].decode("utf-8", "replace") if "tokenizer.json" in content else None
    try:
        parts = TASKS[name].from_json(saved, tokenizer)
        embeddings = EmbeddingsRecord.from_json(saved["embeddings"]) if "embeddings" in saved else None
    except (KeyError, TypeError, ValueError, RunError) as error:
        raise RunError(f"{folder / 'features.json'} is damaged: {error}") from error
    if "model.safetensors" in content:
        _check_size(settings.model, len(content["model.safetensors"]), config)
    meta = torch.device("meta") if str(device) == "meta" else contextlib.nullcontext()  # else drawn on the CPU
    try:
        with meta:
            make: Callable[..., Task] = TASKS[name]
            task = make(settings, *parts, device)
    except (RuntimeError, TypeError, ValueError) as error:  # sizes beyond what a tensor can have
        raise RunError(f"{config} describes a model that cannot be built: {shown(error)}") from error
    task.embeddings_record = embeddings
    return task, tuple(FileRecord(**record) for record in records)


def _check_size(model: LayersSettings, weights: int, config: Path) -> None:
    """Refuse a model of more layers than its weights have bytes, before it is built; shapes are compared after."""
    if model.num_layers > weights or model.hidden_size > weights:
        raise RunError(f"{config} describes a model that is larger than model.safetensors; are they of one run?")


def _record(config: Path, extra: Mapping[str, Any], name: str, kind: type) -> Any:
    value = extra.get(name, kind())
    if not isinstance(value, kind):
        raise RunError(f"{config} is damaged: record.{name} is {type(value).__name__}, and {kind.__name__} is expected")
    return value


def _load_weights(model: torch.nn.Module, content: bytes, path: Path, device: torch.device | str) -> None:
    """Give a model without memory its weights: shapes are compared before memory is taken."""
    expected = model.state_dict()
    try:
        found = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if _shapes(found) != _shapes(expected):
        raise RunError(f"{path} does not hold the weights of the model that config.toml describes")
    if not all(bool(value.isfinite().all()) for value in found.values()):
        raise RunError(f"{path} holds weights that are not finite")
    model.to_empty(device=device)
    model.load_state_dict(found)


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
