"""What classification and regression share: a sequence in, one vector of outputs out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.baselines import BaselineKind, Baselines, fit_baselines, from_files, to_files
from recurra.data.batching import plan
from recurra.data.columns import input_column, inputs_of, kind_of, target_columns
from recurra.data.embeddings import Embeddings
from recurra.data.features import Encoded, Features, SeriesFeatures, TextFeatures, features_from_json
from recurra.data.partition import Given, Parts, partition
from recurra.data.table import Table
from recurra.errors import DataError, RecurraError, SettingsError
from recurra.memory import memory_faults_named
from recurra.randomness import seed_of
from recurra.settings.names import UNIT_WORDS
from recurra.tasks.building import build_model, with_cell
from recurra.tasks.evaluating import evaluating
from recurra.tasks.examples import Batch, Examples, Score
from recurra.tasks.pretrained import embeddings_again, embeddings_for, with_embedding_size
from recurra.tasks.task import Task
from recurra.tasks.training import ManyToOneTraining
from recurra.tasks.warm_start import take_weights, with_structure

LESS_MEMORY = "train with a smaller max_length, hidden_size or batch_tokens, or predict where there is more memory"
PREDICT_ROWS = 4096  # rows encoded and sorted together in prediction: memory stays flat, batches stay full

T = TypeVar("T")


Criterion = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""(model, batch) → the sum of the losses, and the count to divide by; the forward pass included."""


class ManyToOne(Task):
    """Features, targets and the model of one run: what a run keeps.

    Args:
        settings: all of them; `model.cell` is filled in.
        features: raw input → tensors.
        targets: what the outputs mean: the classes, or the scale of a number.
        device: where the model is.
    """

    stratified: ClassVar[bool]
    """Whether rows are cut into parts target by target."""

    def __init__(self, settings: Any, features: Features, targets: Any, device: torch.device | str = "cpu") -> None:
        super().__init__(settings, device)
        self.features, self.targets = features, targets
        self.embeddings: Embeddings | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(settings.training.seed, "weights"))
            self.model = build_model(settings, features, self.output_size, self.output_dropout).to(self.device)

    @classmethod
    def read(cls, settings: Any, given: Given | None, known: Any = None) -> Parts:
        """The tables of a run."""
        return partition(settings.data, settings.training.seed, given, stratified=cls.stratified)

    @classmethod
    def fit_features(
        cls, settings: Any, train: Table, device: torch.device | str = "cpu", start: ManyToOne | None = None
    ) -> Self:
        """Learn vocabulary, scaling and targets from the training table, and build the model.

        Args:
            settings: all of them.
            train: the training table.
            device: where the model is to be.
            start: an earlier run's task, whose vocabulary or scaling is taken over, and its targets where they serve.

        Raises:
            DataError: a row that cannot be used, or targets that leave nothing to learn.
            SettingsError: an option that has no effect on this task, or another size than that of the embeddings.
        """
        inputs = inputs_of(train, settings.data)
        kind = kind_of(inputs, train, settings.data)
        targets = cls.fit_targets(train, target_columns(train, settings.data))
        features: Features
        if start is not None:
            features = _taken_over(start.features, kind, settings.data.max_length)
            targets = cls.adopt_targets(targets, start.targets) if isinstance(start, cls) else targets
        elif kind == "text":
            features = TextFeatures.fit(inputs, settings.text, settings.data.max_length)
        else:
            longest = settings.data.max_length
            place = partial(train.place, column=input_column(train, settings.data))
            features = SeriesFeatures.fit(inputs, longest, vector=kind == "vector", place=place)
        embeddings = embeddings_for(settings, features)
        if embeddings is not None:
            settings = with_embedding_size(settings, embeddings)
        task = cls(with_cell(settings, features), features, targets, device)
        if embeddings is not None:
            task.begin_with(embeddings)
        return task

    def begin_with(self, embeddings: Embeddings) -> None:
        """Put pretrained vectors in the place of fresh ones; they are trained on like those."""
        table = self.model.get_parameter("frontend.token.weight")
        with torch.no_grad():
            table[embeddings.ids] = torch.from_numpy(embeddings.vectors).to(table)
        self.embeddings, self.embeddings_record = embeddings, embeddings.record

    @classmethod
    @abstractmethod
    def fit_targets(cls, train: Table, columns: tuple[str, ...]) -> Any:
        """What the targets of the training table are."""

    @classmethod
    @abstractmethod
    def adopt_targets(cls, fitted: Any, earlier: Any) -> Any:
        """The targets of an earlier run where these data can keep them, else those fitted."""

    @classmethod
    @abstractmethod
    def targets_from_json(cls, saved: dict[str, Any]) -> Any:
        """The targets as `to_json` wrote them.

        Raises:
            KeyError, RunError: what was saved is damaged.
        """

    @classmethod
    def from_json(cls, saved: dict[str, Any], tokenizer: str | None) -> tuple[Features, Any]:
        """Features and targets."""
        return features_from_json(saved["features"], tokenizer), cls.targets_from_json(saved)

    @abstractmethod
    def targets_to_json(self) -> dict[str, Any]:
        """What the outputs mean, as plain values."""

    def to_json(self) -> dict[str, Any]:
        """Features and targets, as plain values."""
        return {**self.targets_to_json(), "features": self.features.to_json()}

    @property
    def tokenizer_json(self) -> str | None:
        """The tokenizer of texts in BPE."""
        return self.features.tokenizer_json

    @property
    def reads_text(self) -> bool:
        """Whether an input is a text; else it is numbers."""
        return isinstance(self.features, TextFeatures)

    @classmethod
    def with_structure(cls, settings: Any, start: Task) -> Any:
        """The settings with the structure of an earlier run."""
        if not isinstance(start, ManyToOne):
            where = settings.training.init
            raise SettingsError(f"init: {where} is a {start.name} run, and {cls.name} cannot start there")
        return with_structure(settings, start.settings)

    def take_weights(self, start: Task) -> bool:
        """Copy the earlier run's weights; the head only where the answers mean the same."""
        same_head = isinstance(start, ManyToOne) and type(self) is type(start) and self.targets == start.targets
        take_weights(self.model, start.model, () if same_head else ("body.head.",))
        return same_head

    def begin_again(self, train: Any) -> None:
        """Put the pretrained vectors of the run's file in their place."""
        if self.embeddings_record is not None:
            self.begin_with(embeddings_again(self.embeddings_record, self.features))

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Outputs of the model, O."""

    @property
    @abstractmethod
    def output_dropout(self) -> float:
        """Dropout on the pooled vector."""

    @abstractmethod
    def target_tensor(self, targets: list[Any]) -> Tensor:
        """Targets of some rows as a tensor, the first dimension being the row."""

    @abstractmethod
    def criterion(self, targets: list[Any]) -> Criterion:
        """The loss of a batch, given the targets of the training data.

        Raises:
            SettingsError: an option that this loss cannot have.
        """

    @abstractmethod
    def measure(self, outputs: Tensor, targets: list[Any]) -> dict[str, float]:
        """Metrics, loss among them, of outputs [N, O] against N targets."""

    @property
    @abstractmethod
    def baseline_kind(self) -> BaselineKind:
        """What the targets are to a baseline."""

    @abstractmethod
    def measure_answers(self, answers: NDArray[Any], targets: list[Any]) -> dict[str, float]:
        """Metrics of a baseline's answers against N targets; those that need no probabilities."""

    @abstractmethod
    def decode(self, outputs: Tensor) -> list[Any]:
        """Outputs [N, O] as N predictions."""

    def decode_one(self, outputs: list[float]) -> Any:
        """The outputs of one sequence as its prediction: `decode` without what a tensor costs, to the last bits."""
        return self.decode(torch.tensor([outputs]))[0]

    @abstractmethod
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Outputs [N, O] as plain values fit for JSON, with no more digits than mean something."""

    @abstractmethod
    def encode_targets(self, table: Table, columns: tuple[str, ...]) -> list[Any]:
        """The targets of a table.

        Raises:
            DataError: one is missing or cannot be used; with its place.
        """

    def examples(self, table: Table) -> Examples:
        """A table with targets made ready.

        Raises:
            DataError: a column that is not there, a row that cannot be read, a target that cannot be used.
        """
        inputs = inputs_of(table, self.settings.data)
        column = input_column(table, self.settings.data)
        encoded = [self.features.encode(value, place=table.place(row, column)) for row, value in enumerate(inputs)]
        return Examples(table, inputs, encoded, self.encode_targets(table, target_columns(table, self.settings.data)))

    def batch(self, encoded: list[Encoded], targets: list[Any]) -> Batch:
        """Encoded rows and their targets on the model's device."""
        return Batch(self.features.collate(encoded).to(self.device), self.target_tensor(targets).to(self.device))

    def outputs(self, encoded: list[Encoded]) -> Tensor:
        """[N, O] for encoded rows, in their order, in batches of like length; the model in evaluation mode."""
        training = self.settings.training
        result = torch.zeros(len(encoded), self.output_size)
        batches = plan(
            [one.length for one in encoded],
            batch_size=max(training.batch_size, 64),
            batch_tokens=training.batch_tokens,
            rng=None,
        )
        with evaluating(self.model):
            for rows in batches:
                with memory_faults_named("prediction", partial(_rows_in_words, encoded, rows), LESS_MEMORY):
                    inputs = self.features.collate([encoded[row] for row in rows]).to(self.device)
                    result[rows] = self.model(inputs)[0].float().cpu()
        return result

    def score(self, examples: Examples) -> Score:
        """Metrics and outputs on examples."""
        outputs = self.outputs(examples.encoded)
        return Score(self.measure(outputs, examples.targets), outputs)

    def training(self, parts: Parts) -> ManyToOneTraining:
        """Batches, losses and validation metrics on the tables."""
        return ManyToOneTraining(self, self.examples(parts.train), self.examples(parts.valid))

    def sizes(self, training: ManyToOneTraining, test: Examples) -> dict[str, int]:
        """Rows of each part, and how many of them max_length cut."""
        parts = {"train": training.train, "valid": training.valid, "test": test}
        return {f"{name}_examples": len(part.inputs) for name, part in parts.items()} | {
            f"{name}_cut": part.cut for name, part in parts.items()
        }

    def notes(self, training: ManyToOneTraining, test: Examples) -> list[str]:
        """Found vectors, and what was cut."""
        record = self.embeddings_record
        found = []
        if record is not None:
            name = Path(record.path).name
            found.append(
                f"embeddings: {record.found:,} of {record.tokens:,} tokens have a vector in {name} ({record.share:.1%})"
            )
        kind, unit = "series", "steps"
        if isinstance(self.features, TextFeatures):
            kind, unit = "texts", UNIT_WORDS[self.features.unit]
        for part, examples in (("training", training.train), ("validation", training.valid), ("test", test)):
            if examples.cut:
                found.append(
                    f"{examples.cut:,} of {len(examples.inputs):,} {part} {kind} were cut to "
                    f"{self.features.max_length:,} {unit}"
                )
        return found

    def fit_baselines(self, training: ManyToOneTraining) -> Baselines:
        """The plain methods, fitted and chosen on the rows that train the model and choose its weights."""
        train, valid = training.train, training.valid
        settings = self.settings.training
        return fit_baselines(
            self.baseline_kind,
            self.features.kind,
            train.inputs,
            self.baseline_targets(train.targets),
            valid=(valid.inputs, self.baseline_targets(valid.targets)),
            metric="macro_f1" if (settings.metric or self.metric) == "macro_f1" else "accuracy",
            refit=settings.refit,
            seed=settings.seed,
        )

    def score_baselines(self, baselines: Baselines, examples: Examples) -> dict[str, float]:
        """`baseline_NAME_METRIC` and `baseline_NAME_seconds` (of fitting) on examples."""
        found: dict[str, float] = {}
        for name in baselines.names:
            metrics = self.measure_answers(baselines.predict(name, examples.inputs), examples.targets)
            found |= {f"baseline_{name}_{metric}": value for metric, value in metrics.items()}
            found[f"baseline_{name}_seconds"] = round(baselines.seconds[name], 3)
        return found

    def baselines_to_files(self, baselines: Baselines) -> dict[str, bytes]:
        """N-grams and settings as JSON, numbers as safetensors."""
        return to_files(baselines)

    def baselines_from_files(self, files: Mapping[str, bytes], folder: Path) -> Baselines:
        """As `baselines_to_files` wrote them."""
        return from_files(files, folder)

    def baseline_targets(self, targets: list[Any]) -> NDArray[Any]:
        """Targets as a baseline takes them: numbers, or marks [N, L]."""
        return self.target_tensor(targets).numpy() if self.baseline_kind == "marks" else np.asarray(targets)

    def predict(
        self, inputs: Iterable[Any], decode: Callable[[Tensor], list[T]]
    ) -> Iterator[tuple[T | RecurraError, int]]:
        """What `decode` makes of each input's outputs, in order, and the steps of it that max_length cut.

        In place of an answer to what cannot be read stands the error.
        """
        waiting: list[Encoded | RecurraError] = []
        for value in inputs:
            waiting.append(value if isinstance(value, RecurraError) else self._encoded(value))
            if len(waiting) == PREDICT_ROWS:
                yield from self._decoded(waiting, decode)
                waiting = []
        yield from self._decoded(waiting, decode)

    def _encoded(self, value: Any) -> Encoded | RecurraError:
        try:
            return self.features.encode(value)
        except RecurraError as error:
            return error

    def _decoded(
        self, rows: list[Encoded | RecurraError], decode: Callable[[Tensor], list[T]]
    ) -> Iterator[tuple[T | RecurraError, int]]:
        predictions = iter(decode(self.outputs([row for row in rows if not isinstance(row, RecurraError)])))
        for row in rows:
            yield (row, 0) if isinstance(row, RecurraError) else (next(predictions), row.cut)


def _taken_over(features: Features, kind: str, max_length: int) -> Features:
    """An earlier run's features for inputs of a kind.

    Raises:
        DataError: that run reads another kind of input.
    """
    if features.kind != kind:
        raise DataError(f"init: that run reads {features.kind} inputs, and these data hold {kind} inputs")
    return replace(features, max_length=max_length) if max_length else features


def _rows_in_words(encoded: list[Encoded], rows: list[int]) -> str:
    return f"{len(rows)} rows at a time, the longest of {max(encoded[row].length for row in rows)} steps"
