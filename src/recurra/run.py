"""The run folder: a trained model and everything to use it, saved and loaded.

`manifest.json` binds the SHA-256 of every file that decides an answer. A folder without it is a training that has not
ended; one whose files are not those of the manifest is refused by name. Nothing in a run is a pickle.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors
import safetensors.torch
import torch

from recurra.baselines import Baselines, from_files, to_files
from recurra.data.columns import inputs_of
from recurra.data.features import TextFeatures, features_from_json
from recurra.data.partition import FileRecord, check_unchanged, partition, read_labelled
from recurra.data.readers import table_from_python
from recurra.data.table import Table
from recurra.errors import InputError, RecurraError, RunError
from recurra.files import read_bounded, write_whole
from recurra.html import html_table
from recurra.metrics import ClassificationMetrics
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
DECISIVE = ("config.toml", "features.json", "tokenizer.json", "model.safetensors")
BASELINES = ("baselines.json", "baselines.safetensors")  # read only where scores are asked for


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

    def predict(self, inputs: Iterable[Any] | Mapping[str, Any]) -> list[Any]:
        """A prediction for each input, in order: label and probabilities, or the value of a regression.

        Args:
            inputs: texts, or series and vectors as in training; or a mapping of columns with the run's input column.

        Raises:
            DataError: an input cannot be read; with its row.
        """
        table = table_from_python(inputs if isinstance(inputs, Mapping) else {"input": list(inputs)})
        answers = []
        for row, answer in enumerate(self._task.predict(self._inputs(table), self._task.decode)):
            if isinstance(answer, RecurraError):
                raise table.place(row).error(str(answer)) from answer
            answers.append(answer)
        return answers

    def predict_rows(self, rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """A dictionary fit for JSON for each row: label and probabilities, value, or error.

        Rows may be errors already.
        """
        for answer in self._task.predict(rows, self._task.answers):
            yield {"error": str(answer)} if isinstance(answer, RecurraError) else answer

    def inputs_of(self, path: Path, format: str | None = None) -> list[Any]:
        """The inputs of a file in any format the task trains on; targets are not needed.

        Raises:
            DataError: it cannot be read, or has not the run's input column.
        """
        return self._inputs(read_labelled(path, self.settings.data, format))

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
            return read_labelled(data, self.settings.data)
        if data is not None:
            return table_from_python(data)
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
        if set(table.columns) == {"input"} and len(self.settings.data.input) == 1:
            return table.column("input")
        return inputs_of(table, self.settings.data)

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
    """What a training needs to go on from its folder alone: settings, features and labels."""
    content = {**task.to_json(), "features": task.features.to_json()}
    if task.features.tokenizer_json is not None:
        write_whole(folder / "tokenizer.json", task.features.tokenizer_json)
    write_whole(folder / "features.json", json.dumps(content, ensure_ascii=True))
    extra = {"recurra": version, "files": [asdict(record) for record in files]}
    write_whole(folder / "config.toml", to_toml(task.name, task.settings, extra))


def save_baselines(folder: Path, baselines: Baselines) -> None:
    """The plain methods that the run is compared with."""
    for name, content in to_files(baselines).items():
        write_whole(folder / name, content)


def load_baselines(folder: Path) -> Baselines:
    """What `save_baselines` wrote.

    Raises:
        RunError: a file is missing, or not the one that the run was sealed with.
    """
    digests = _json(folder, "manifest.json").get("files")
    content = {name: _read(folder, name) for name in BASELINES}
    for name in BASELINES:
        if not isinstance(digests, dict) or digests.get(name) != _digest(name, content[name]):
            raise RunError(f"{folder / name} is damaged, or of another run: it is not the file of the manifest")
    return from_files(content, folder)


def save_end(run: Run, version: str) -> None:
    """Weights and result, and the manifest last: with it the folder is a run."""
    weights = {name: value.detach().cpu().contiguous() for name, value in run.model.state_dict().items()}
    write_whole(run.path / "model.safetensors", safetensors.torch.save(weights))
    write_whole(run.path / "result.json", json.dumps(run.result, indent=1))
    present = [name for name in (*DECISIVE, *BASELINES) if (run.path / name).exists()]
    digests = {name: _digest(name, _read(run.path, name)) for name in present}
    manifest = {"format": FORMAT, "recurra": version, "files": digests, "bound": _bind(digests)}
    write_whole(run.path / "manifest.json", json.dumps(manifest, indent=1))


def load_run(folder: Path, device: torch.device | str = "cpu") -> Run:
    """A run from its folder.

    Raises:
        RunError: it is missing, has not ended, or is damaged; naming the file.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is no run folder: there is no such folder")
    if not (folder / "manifest.json").exists():
        if (folder / "config.toml").exists():
            raise RunError(f"{folder}: this training has not ended; go on with: recurra train --resume {folder}")
        raise RunError(f"{folder} is no run folder: it has no manifest.json")
    manifest = _json(folder, "manifest.json")
    digests = manifest.get("files")
    if manifest.get("format") != FORMAT:
        raise RunError(
            f"{folder / 'manifest.json'}: format {manifest.get('format')!r} is not one that this version reads "
            f"({FORMAT}); was the run written by a newer one?"
        )
    if not isinstance(digests, dict) or manifest.get("bound") != _bind(digests):
        raise RunError(f"{folder / 'manifest.json'} is damaged: its entries are not those it was bound with")
    content: dict[str, bytes] = {}
    for name in DECISIVE:
        present = (folder / name).exists()
        if present != (name in digests):
            raise RunError(
                f"{folder / name} is {'no part of this run' if present else 'missing'}; is the folder whole?"
            )
        if present:
            content[name] = _read(folder, name)
            if _digest(name, content[name]) != digests[name]:
                raise RunError(f"{folder / name} is damaged, or of another run: it is not the file of the manifest")
    task, files = load_beginning(folder, device)
    _load_weights(task.model, content["model.safetensors"], folder / "model.safetensors")
    task.model.eval()
    return Run(folder, task, files, _json(folder, "result.json"))


def load_beginning(folder: Path, device: torch.device | str = "cpu") -> tuple[ManyToOne, tuple[FileRecord, ...]]:
    """The task of a folder with fresh weights, and its data files: what `save_beginning` wrote.

    Raises:
        RunError: a file is missing or not what was written.
    """
    if not (folder / "config.toml").exists():
        raise RunError(f"{folder} is no run folder: it has no config.toml")
    try:
        name, settings, extra = from_toml(_read(folder, "config.toml").decode(), str(folder / "config.toml"))
        files = tuple(FileRecord(**record) for record in extra.get("files", []))
    except (InputError, UnicodeDecodeError, TypeError) as error:
        raise RunError(f"{folder / 'config.toml'} is damaged: {error}") from error
    if name not in TASKS:
        raise RunError(f"{folder / 'config.toml'}: task {name!r} is not known to this version")
    saved = _json(folder, "features.json")
    has_tokenizer = (folder / "tokenizer.json").exists()
    tokenizer = _read(folder, "tokenizer.json").decode("utf-8", "replace") if has_tokenizer else None
    try:
        features = features_from_json(saved["features"], tokenizer)
        return TASKS[name].from_json(settings, features, saved, device), files
    except (KeyError, TypeError, ValueError, RunError) as error:
        raise RunError(f"{folder / 'features.json'} is damaged: {error}") from error


def _load_weights(model: torch.nn.Module, content: bytes, path: Path) -> None:
    expected = model.state_dict()
    try:
        found = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    shapes = {name: value.shape for name, value in found.items()}
    if shapes != {name: value.shape for name, value in expected.items()}:
        raise RunError(f"{path} does not hold the weights of the model that config.toml describes")
    if not all(bool(value.isfinite().all()) for value in found.values()):
        raise RunError(f"{path} holds weights that are not finite")
    model.load_state_dict(found)


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(_read(folder, name))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{folder / name} is damaged: it is no JSON") from error
    if not isinstance(content, dict):
        raise RunError(f"{folder / name} is damaged: an object is expected")
    return content


def _read(folder: Path, name: str) -> bytes:
    try:
        return read_bounded(folder / name, LIMITS[name])
    except InputError as error:
        raise RunError(f"run folder {folder}: {error}") from error


def _digest(name: str, content: bytes) -> str:
    """SHA-256 of a file; of a configuration by what it says, so that comments may change."""
    if name == "config.toml":
        try:
            parsed = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"config.toml is damaged: {error}") from error
        content = json.dumps(parsed, sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()


def _bind(digests: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
