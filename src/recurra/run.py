"""The run folder: a trained model and everything to use it, saved and loaded.

`manifest.json` binds the SHA-256 of every file that decides an answer. A folder without it is a training that has not
ended; one whose files are not those of the manifest is refused by name. Nothing in a run is a pickle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import reprlib
import shlex
import tomllib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors
import safetensors.torch
import torch

from recurra.baselines import Baselines, from_files, to_files
from recurra.data.answers import in_kind_of
from recurra.data.columns import input_columns, inputs_of
from recurra.data.embeddings import EmbeddingsRecord
from recurra.data.features import TextFeatures, features_from_json
from recurra.data.long_form import Keyed, keyed_sequences, sequences
from recurra.data.partition import FileRecord, check_unchanged, partition, read_labelled
from recurra.data.readers import table_from_python
from recurra.data.table import Table
from recurra.errors import DataError, InputError, RecurraError, RunError, WorkError
from recurra.files import parse_json, read_bounded, write_whole
from recurra.html import html_table
from recurra.metrics import ClassificationMetrics
from recurra.settings.groups import ModelSettings
from recurra.settings.tasks import TaskSettings
from recurra.settings.toml import from_toml, to_toml
from recurra.standing import baseline_names
from recurra.tasks import TASKS, Classify, ManyToOne

FORMAT = 1
MEGABYTE = 1 << 20
LIMITS = {  # the most that is read of each file
    "config.toml": MEGABYTE,
    "features.json": 256 * MEGABYTE,
    "tokenizer.json": 256 * MEGABYTE,
    "result.json": 16 * MEGABYTE,
    "manifest.json": MEGABYTE,
    "model.safetensors": 16384 * MEGABYTE,
    "baselines.json": 256 * MEGABYTE,
    "baselines.safetensors": 256 * MEGABYTE,
}
BEGINNING = ("config.toml", "features.json", "tokenizer.json")
BASELINES = ("baselines.json", "baselines.safetensors")
DECISIVE = (*BEGINNING, "model.safetensors", *BASELINES)
RECORDED = {"path": str, "sha256": str, "rows": int, "split": str}
WHOLE = "copy the whole run again, or train it again"


class Run:
    """A trained model, on disk and in memory.

    Args:
        path: the folder.
        task: features, targets and model.
        files: the data files that made it; empty where the data came as Python objects.
        result: what `result.json` holds.
    """

    def __init__(self, path: Path, task: ManyToOne, files: tuple[FileRecord, ...], result: dict[str, Any]) -> None:
        self.path, self.files, self.result = path, files, result
        self._task = task

    @property
    def task(self) -> str:
        """The task's name."""
        return self._task.name

    @property
    def settings(self) -> TaskSettings:
        """Every setting that made the run."""
        return cast(TaskSettings, self._task.settings)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the logits.

        Raises:
            InputError: the run answers numbers.
        """
        return self._classes().targets.names

    @property
    def model(self) -> torch.nn.Module:
        """The trained model, in evaluation mode."""
        return self._task.model

    @property
    def parts(self) -> ManyToOne:
        """The task behind the run: features, targets and model."""
        return self._task

    @property
    def reads_text(self) -> bool:
        """Whether an input is a text; else it is numbers."""
        return isinstance(self._task.features, TextFeatures)

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """The task's metrics.

        Args:
            data: a labelled file, or Python objects as for `train`; None: the test data of the run.

        Returns:
            accuracy, macro_f1, loss (nats), examples; of a regression mae, rmse, r2, loss, examples;
            and the baselines' beside them: `baseline_linear_accuracy`, `baseline_linear_seconds` (of fitting), ….

        Raises:
            InputError: no data is given and the run's came as Python objects, or its files have changed.
            DataError: the data cannot be used.
        """
        examples = self._task.examples(self._table(data))
        found = {**self._task.score(examples).metrics, "examples": len(examples.inputs)}
        if (self.path / BASELINES[0]).exists():
            found |= self._task.score_baselines(load_baselines(self.path), examples)
        return found

    def confusion(self, data: Any = None) -> np.ndarray[Any, np.dtype[np.int64]]:
        """[C, C] rows counted, row = truth, column = prediction, in the order of `labels`; data as in `evaluate`.

        Raises:
            InputError: the run gives several labels a row, or numbers.
        """
        task = self._classes()
        examples = task.examples(self._table(data))
        counted = task.counted(task.outputs(examples.encoded), examples.targets)
        if not isinstance(counted, ClassificationMetrics):
            raise InputError(f"{self.path}: a row has several labels here, and a confusion matrix needs one")
        return counted.confusion.numpy()

    def predict(self, inputs: Any) -> Any:
        """A prediction for each input, in order: label and probabilities, or the value of a regression.

        Args:
            inputs: texts, or series and vectors as in training; or columns with the run's input column: a mapping, a
                list of dictionaries, a frame (of a run with an id: one row a time step, and an answer for each id in
                order of first appearance).

        Returns:
            A list of predictions. For a frame a frame of the same kind with the same index: the columns label and
            probability_NAME for each class, or value (of a run with an id: the id before them, a row an id).

        Raises:
            DataError: an input cannot be read; with its row.
        """
        given = table_from_python(inputs if hasattr(inputs, "__len__") else list(inputs))
        table = self._asked(given)
        names = tuple(table.columns) if len(table.columns) == 1 else input_columns(table, self.settings.data)
        column = names[0] if len(names) == 1 and table is given else None
        answers = []
        for row, (answer, _) in enumerate(self._task.predict(self._inputs(table), self._task.decode)):
            if isinstance(answer, DataError) and answer.source is not None:
                raise answer
            if isinstance(answer, RecurraError):
                raise table.place(row, column).error(str(answer)) from answer
            answers.append(answer)
        keys = {} if table is given else {self.settings.data.id: table.column(self.settings.data.id)}
        return in_kind_of(inputs, answers, keys)

    def predict_rows(self, rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """A dictionary fit for JSON for each row: label and probabilities, value, or error.

        `cut` counts the steps that max_length took from the input, where it took any. Rows may be errors already.
        """
        ids: deque[dict[str, Any]] = deque()

        def values() -> Iterator[Any]:
            for row in rows:
                ids.append({"id": row.id} if isinstance(row, Keyed) else {})
                yield row.value if isinstance(row, Keyed) else row

        for answer, cut in self._task.predict(values(), self._task.answers):
            found = {"error": str(answer)} if isinstance(answer, RecurraError) else answer
            yield ids.popleft() | found | ({"cut": cut} if cut else {})

    def inputs_of(self, path: Path, format: str | None = None) -> list[Any]:
        """The inputs of a file in any format the task trains on; targets are not needed.

        Of a run with an id: a `Keyed` sequence an id, or bare sequences where the file has no columns.

        Raises:
            DataError: it cannot be read, or has not the run's input column.
        """
        table = read_labelled(path, self.settings.data, format)
        if self.settings.data.id and set(table.columns) != {"input"}:
            return list(keyed_sequences(table, self.settings.data))
        return self._inputs(table)

    def describe(self) -> dict[str, Any]:
        """What is in the run, for people."""
        model = self.settings.model
        return {
            "path": str(self.path),
            "task": self.task,
            "cell": model.cell,
            "hidden_size": model.hidden_size,
            "num_layers": model.num_layers,
            "bidirectional": model.bidirectional,
            "pooling": model.pooling,
            "parameters": sum(one.numel() for one in self._task.model.parameters()),
            **({"labels": list(self.labels)} if isinstance(self._task, Classify) else {}),
            **{key: self.result[key] for key in (*self._task.metrics, "training_seconds") if key in self.result},
            "data": [asdict(record) for record in self.files],
        }

    def _table(self, data: Any) -> Table:
        if isinstance(data, str | Path):
            return sequences(read_labelled(data, self.settings.data), self.settings.data)
        if data is not None:
            return sequences(table_from_python(data), self.settings.data)
        if not self.files:
            raise InputError(f"{self.path}: the data of this run came as Python objects; give evaluate its data")
        check_unchanged(self.files)
        return partition(self.settings.data, self.settings.training.seed, stratified=self._task.stratified).test

    def _classes(self) -> Classify:
        if not isinstance(self._task, Classify):
            raise InputError(f"{self.path}: this run is a {self.task} run, which has no classes")
        return self._task

    def _inputs(self, table: Table) -> list[Any]:
        if not self.settings.data.input and len(table.columns) == 1:
            return next(iter(table.columns.values()))
        if set(table.columns) == {"input"} and (self.settings.data.id or len(self.settings.data.input) == 1):
            return table.column("input")
        return inputs_of(table, self.settings.data, faults_in_place=True)

    def _asked(self, table: Table) -> Table:
        """A table to predict with a row an input: of a run with an id its sequences, where they are not whole yet."""
        whole = set(table.columns) == {"input"}
        return table if whole else sequences(table, self.settings.data, labelled=False)

    def __repr__(self) -> str:
        metric = self._task.metric
        score = f", {metric}={self.result[metric]:.4f}" if metric in self.result else ""
        return f"Run({str(self.path)!r}, {self.task}{score})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores beside the baselines' where there are some."""
        measured = [name for name in self._task.metrics if name in self.result]
        baselines = baseline_names(self.result)
        rows = [
            [name, self.result[name], self.result.get(f"valid_{name}")]
            + [self.result.get(f"baseline_{one}_{name}") for one in baselines]
            for name in measured
        ]
        title = f"{self.task} run {self.path}: {self.settings.model.cell} of {self.settings.model.hidden_size}"
        return html_table(title, ["metric", "test", "validation", *baselines], rows)


def save_beginning(folder: Path, task: ManyToOne, files: tuple[FileRecord, ...], version: str) -> None:
    """What a training needs to go on from its folder alone: settings, features and targets.

    The configuration comes last and holds the digests of the others, so that they are one unit.
    """
    content = {**task.to_json(), "features": task.features.to_json()}
    if task.embeddings_record is not None:
        content["embeddings"] = task.embeddings_record.to_json()
    others = {"features.json": json.dumps(content, ensure_ascii=True)}
    if task.features.tokenizer_json is not None:
        others["tokenizer.json"] = task.features.tokenizer_json
    for name, text in others.items():
        write_whole(folder / name, text)
    digests = {name: _digest(folder / name, text.encode()) for name, text in others.items()}
    extra = {"recurra": version, "files": [asdict(record) for record in files], "digests": digests}
    write_whole(folder / "config.toml", to_toml(task.name, task.settings, extra))


def save_baselines(folder: Path, baselines: Baselines) -> None:
    """The plain methods that the run is compared with."""
    for name, content in to_files(baselines).items():
        write_whole(folder / name, content)


def load_baselines(folder: Path) -> Baselines:
    """What `save_baselines` wrote; loading the run has compared it with the manifest.

    Raises:
        RunError: a file is missing or damaged.
    """
    return from_files({name: _read(folder, name) for name in BASELINES}, folder)


def beginning_digests(folder: Path) -> dict[str, str]:
    """Of each file that a training began with, a digest: a checkpoint belongs to these files and to no others.

    The settings of training itself are left out: a checkpoint holds them, and knows which may change.

    Raises:
        RunError: a file is missing or no file of its own.
    """
    digests = {}
    for name in BEGINNING:
        content = _read_if_there(folder, name)
        if content is not None:
            digests[name] = _digest(folder / name, content, without="training")
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
    contents = {name: _read_if_there(run.path, name) for name in DECISIVE}
    digests = {name: _digest(run.path / name, one) for name, one in contents.items() if one is not None}
    manifest = {"format": FORMAT, "recurra": version, "files": digests, "bound": _bind(digests)}
    write_whole(run.path / "manifest.json", json.dumps(manifest, indent=1))


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
    digests = _manifest(folder / "manifest.json")
    content: dict[str, bytes] = {}
    for name in DECISIVE:
        one = _read_if_there(folder, name)
        if (one is not None) != (name in digests):
            raise RunError(f"{folder / name} is {'missing' if one is None else 'no part of this run'}; {WHOLE}")
        if one is not None:
            if _digest(folder / name, one) != digests[name]:
                raise RunError(f"{folder / name} is damaged, or of another run: it is not the file of the manifest")
            content[name] = one
    unknown = sorted(digests.keys() - set(DECISIVE))
    if unknown:
        raise RunError(f"{folder / unknown[0]} is part of this run and not known to this version; is it newer?")
    result = _object(folder / "result.json", _read(folder, "result.json"))
    task, files = _task(folder, content, "meta")
    _load_weights(task.model, content["model.safetensors"], folder / "model.safetensors", device)
    task.device = torch.device(device)
    task.model.eval()
    return Run(folder, task, files, result)


def load_beginning(folder: Path, device: torch.device | str = "cpu") -> tuple[ManyToOne, tuple[FileRecord, ...]]:
    """The task of a folder with fresh weights, and its data files: what `save_beginning` wrote.

    Raises:
        RunError: a file is missing or not what was written.
    """
    if not os.path.lexists(folder / "config.toml"):
        raise RunError(f"{folder} is no run folder: it has no config.toml")
    contents = {name: _read_if_there(folder, name) for name in BEGINNING}
    return _task(folder, {name: one for name, one in contents.items() if one is not None}, device, whole=True)


def _task(
    folder: Path, content: Mapping[str, bytes], device: torch.device | str, *, whole: bool = False
) -> tuple[ManyToOne, tuple[FileRecord, ...]]:
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
    for other, digest in _record(config, extra, "digests", dict).items():
        if other not in BEGINNING:
            raise RunError(f"{config} is damaged: {other!r} is no file of a run")
        if other not in content:
            raise RunError(f"{folder / other} is missing; {WHOLE}")
        if _digest(folder / other, content[other]) != digest:
            raise RunError(f"{folder / other} is damaged, or of another run: it is not the file that config.toml names")
    records = _record(config, extra, "files", list)
    if not all(isinstance(one, dict) and {k: type(v) for k, v in one.items()} == RECORDED for one in records):
        raise RunError(f"{config} is damaged: record.files does not hold path, sha256, rows and split of each file")
    if "features.json" not in content:
        raise RunError(f"{folder / 'features.json'} is missing; {WHOLE}")
    saved = _object(folder / "features.json", content["features.json"])
    tokenizer = content["tokenizer.json"].decode("utf-8", "replace") if "tokenizer.json" in content else None
    try:
        features = features_from_json(saved["features"], tokenizer)
        targets = TASKS[name].targets_from_json(saved)
        embeddings = EmbeddingsRecord.from_json(saved["embeddings"]) if "embeddings" in saved else None
    except (KeyError, TypeError, ValueError, RunError) as error:
        raise RunError(f"{folder / 'features.json'} is damaged: {error}") from error
    if "model.safetensors" in content:
        _check_size(settings.model, len(content["model.safetensors"]), config)
    meta = torch.device("meta") if str(device) == "meta" else contextlib.nullcontext()  # else drawn on the CPU
    try:
        with meta:
            task = TASKS[name](settings, features, targets, device)
    except (RuntimeError, TypeError, ValueError) as error:  # sizes beyond what a tensor can have
        raise RunError(f"{config} describes a model that cannot be built: {_shown(error)}") from error
    task.embeddings_record = embeddings
    return task, tuple(FileRecord(**record) for record in records)


def _check_size(model: ModelSettings, weights: int, config: Path) -> None:
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


def _manifest(path: Path) -> dict[str, str]:
    """The digests of a manifest, by file."""
    manifest = _object(path, _read(path.parent, path.name))
    if "format" in manifest and manifest["format"] != FORMAT:
        raise RunError(
            f"{path}: format {_shown(manifest['format'])} is not one that this version reads ({FORMAT}); "
            "was the run written by a newer one?"
        )
    digests = manifest.get("files")
    if "format" not in manifest or not isinstance(digests, dict) or manifest.get("bound") != _bind(digests):
        raise RunError(f"{path} is damaged: its entries are not those it was bound with; {WHOLE}")
    return digests


def _object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        value = parse_json(content)
    except ValueError as error:
        raise RunError(f"{path} is damaged: it is no JSON; {WHOLE}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: an object is expected; {WHOLE}")
    return value


def _read(folder: Path, name: str) -> bytes:
    try:
        return read_bounded(folder / name, LIMITS[name])
    except InputError as error:
        raise RunError(f"{error}; {WHOLE}") from error


def _read_if_there(folder: Path, name: str) -> bytes | None:
    """A file of the run; None where there is nothing at all (a link to nothing is something)."""
    return _read(folder, name) if os.path.lexists(folder / name) else None


def _digest(path: Path, content: bytes, without: str = "") -> str:
    """SHA-256 of a file; of a configuration by what it says, so that comments may change.

    Args:
        without: a table of the configuration that may change too.
    """
    if path.name == "config.toml":
        try:
            parsed = tomllib.loads(content.decode())
        except (ValueError, RecursionError) as error:  # bad TOML, bad UTF-8, a number of thousands of digits
            raise RunError(f"{path} is damaged: it is no TOML: {_shown(error)}") from error
        parsed.pop(without, None)
        content = json.dumps(parsed, sort_keys=True, default=repr).encode()
    return hashlib.sha256(content).hexdigest()


def _bind(digests: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _shown(value: object) -> str:
    return reprlib.repr(value) if not isinstance(value, Exception) else str(value).partition("\n")[0][:100]
