"""tag: a list of tokens in, a tag for each out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from recurra.baselines import FrequentTag
from recurra.data.batching import plan
from recurra.data.encoded import Encoded
from recurra.data.partition import Given, Parts, partition
from recurra.data.spans import all_legal, are_span_tags, legal_tags, spans_of
from recurra.data.table import Table
from recurra.data.tagged import UNSEEN, Tags, also_columns, gathered, tag_column, tags_of, token_column
from recurra.data.token_features import TokenFeatures, pieces, tokens_of
from recurra.data.vocabulary import UNK_ID
from recurra.errors import RecurraError, RunError, SettingsError
from recurra.memory import memory_faults_named
from recurra.metrics import ClassificationMetrics, SpanMetrics
from recurra.models import Tagger
from recurra.nn import Legal, viterbi
from recurra.randomness import seed_of
from recurra.settings.tasks import TagSettings
from recurra.tasks.evaluating import evaluating
from recurra.tasks.tag_examples import Numbers, TaggedExamples, TagScore, target_tensor
from recurra.tasks.tag_model import STRUCTURE, build_tagger
from recurra.tasks.tag_training import TagTraining, target_losses
from recurra.tasks.task import Task
from recurra.tasks.warm_start import structure_of, take_weights

MOST_TOKENS = 1024  # read together where the settings do not say
PREDICT_ROWS = 4096  # lists encoded and sorted together in prediction: memory stays flat, batches stay full
LESS_MEMORY = "train with a smaller max_length, hidden_size or batch_tokens, or predict where there is more memory"
ACCURACIES = {"accuracy": True, "known_accuracy": True, "unknown_accuracy": True, "loss": False}
SPAN_METRICS = {"span_f1": True, "span_precision": True, "span_recall": True}


class Tagged(NamedTuple):
    """tags: one for each token, in order"""

    tags: tuple[str, ...]


class Tag(Task):
    """Tokens, tags and the model of one tagging run.

    Args:
        settings: all of them; `model.cell` is filled in.
        features: tokens → tensors.
        tags: of each kind, the target's first.
        constrained: whether the target's tags write spans by rule in all training sentences, so that only such are
            answered.
        device: where the model is.
    """

    name = "tag"
    model: Tagger
    metrics: ClassVar[dict[str, bool]] = ACCURACIES

    def __init__(
        self,
        settings: TagSettings,
        features: TokenFeatures,
        tags: tuple[Tags, ...],
        constrained: bool,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(settings, device)
        self.features, self.tags, self.constrained = features, tags, constrained
        self.has_spans = are_span_tags(tags[0].names)
        if self.has_spans:
            self.metrics = {**ACCURACIES, **SPAN_METRICS}  # type: ignore[misc]
        with torch.device("cpu"):  # a model without memory is built from these all the same
            self.legal = Legal(*legal_tags(tags[0].names)) if constrained else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(settings.training.seed, "weights"))
            self.model = build_tagger(settings, features, [len(one) for one in tags]).to(self.device)

    @classmethod
    def read(cls, settings: TagSettings, given: Given | None, known: Any = None) -> Parts:
        """The sentences of a run."""
        return partition(settings.data, settings.training.seed, given, stratified=False, gather=gathered)

    @classmethod
    def fit_features(
        cls, settings: TagSettings, train: Table, device: torch.device | str = "cpu", start: Any = None
    ) -> Self:
        """Learn words, characters and tags from the training sentences, and build the model.

        Raises:
            DataError: a sentence that cannot be used, or tags that leave nothing to learn.
            SettingsError: no word is frequent enough.
        """
        column = token_column(train, settings.data)
        target = tag_column(train, settings.data)
        place = partial(train.place, column=column)
        inputs = [tokens_of(value, place(row)) for row, value in enumerate(train.column(column))]
        lengths = [len(tokens) for tokens in inputs]
        names = (target, *also_columns(train, settings.tag.also, target))
        tags = tuple(Tags.fit(train, name, lengths) for name in names)
        features = start.features if start is not None else _learned(inputs, settings)
        if start is not None:
            tags = tuple(_adopted(one, start.tags) for one in tags)
        sentences = map(tags_of, train.column(target), lengths, [place(0)] * len(train))  # checked by Tags.fit
        constrained = are_span_tags(tags[0].names) and all_legal(sentences, tags[0].names)
        layers = settings.model
        settings = replace(settings, model=replace(layers, cell=layers.cell or "lstm", num_layers=layers.layers))
        return cls(settings, features, tags, constrained, device)

    @classmethod
    def from_json(cls, saved: dict[str, Any], tokenizer: str | None) -> tuple[TokenFeatures, tuple[Tags, ...], bool]:
        """Features, tags, and whether they are constrained."""
        features = TokenFeatures.from_json(saved["features"])
        tags = tuple(Tags.from_json(one) for one in saved["tags"])
        if not tags or not isinstance(saved["constrained"], bool):
            raise RunError("tags: at least one kind, and a truth value 'constrained', are expected")
        return features, tags, saved["constrained"]

    def to_json(self) -> dict[str, Any]:
        """Features and tags, as plain values."""
        return {
            "tags": [one.to_json() for one in self.tags],
            "constrained": self.constrained,
            "features": self.features.to_json(),
        }

    @property
    def tokenizer_json(self) -> None:
        """None: tokens come as they are."""
        return None

    @property
    def metric(self) -> str:
        """Accuracy; the F1 of spans where the tags write some."""
        return "span_f1" if self.has_spans else "accuracy"

    @property
    def max_length(self) -> int:
        """Tokens read together at most."""
        return int(self.settings.data.max_length) or MOST_TOKENS

    @classmethod
    def with_structure(cls, settings: TagSettings, start: Task) -> TagSettings:
        """The settings with the structure of an earlier run."""
        if not isinstance(start, Tag):
            raise SettingsError(f"init: {settings.training.init} is a {start.name} run, and tag cannot start there")
        return structure_of(settings, start.settings, STRUCTURE)

    def take_weights(self, start: Task) -> bool:
        """Copy the earlier run's weights; those of the last layer where the tags mean the same."""
        assert isinstance(start, Tag)
        same_head = self.tags == start.tags
        take_weights(self.model, start.model, () if same_head else ("head.", "crf."))
        return same_head

    def training(self, parts: Parts) -> TagTraining:
        """Batches, losses and validation metrics on the sentences."""
        return TagTraining(self, self.examples(parts.train), self.examples(parts.valid))

    def examples(self, part: Table) -> TaggedExamples:
        """Sentences with tags made ready.

        Raises:
            DataError: a column that is not there, tokens that cannot be read, tags that do not fit them.
        """
        data = self.settings.data
        column = token_column(part, data)
        place = partial(part.place, column=column)
        inputs = [tokens_of(value, place(row)) for row, value in enumerate(part.column(column))]
        encoded = [self.features.encode(tokens) for tokens in inputs]
        names = [tag_column(part, data), *(one.column for one in self.tags[1:])]
        columns = [part.columns.get(name) for name in names]
        targets, tags = [], []
        for row, tokens in enumerate(inputs):
            numbers = np.full((len(tokens), len(self.tags)), UNSEEN, np.int64)
            for kind, (one, name, values) in enumerate(zip(self.tags, names, columns, strict=True)):
                if values is not None:  # what is learned beside the target may be missing where it is scored
                    numbers[:, kind] = one.encode(values[row], len(tokens), part.place(row, name))
            targets.append(numbers)
            values = columns[0]
            assert values is not None
            tags.append(tags_of(values[row], len(tokens), part.place(row, names[0])))
        return TaggedExamples(part, inputs, encoded, targets, tags)

    def decided(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, Σ sizes] → the numbers of the target's tags [B, T]."""
        own = self.model.kinds(logits)[0].float()
        legal = None if self.legal is None else Legal(*(part.to(own.device) for part in self.legal))
        if self.model.crf is not None:
            return self.model.crf.decode(own, lengths, legal)
        return own.argmax(-1) if legal is None else viterbi(own.log_softmax(-1), lengths, legal=legal)

    def predicted(self, encoded: list[Encoded]) -> list[Numbers]:
        """The numbers of the tags [T] of encoded lists, in their order; the model in evaluation mode."""
        return [numbers for numbers, _ in self.outputs(encoded)]

    def outputs(self, encoded: list[Encoded], targets: list[Numbers] | None = None) -> list[tuple[Numbers, float]]:
        """Of each list the numbers of its tags [T], and the sum of its losses in nats where its targets are given."""
        parts = [pieces(one, self.max_length) for one in encoded]
        owners = [(row, at * self.max_length) for row, own in enumerate(parts) for at in range(len(own))]
        flat = [piece for own in parts for piece in own]
        training = self.settings.training
        batches = plan(
            [one.length for one in flat],
            batch_size=max(training.batch_size, 64),
            batch_tokens=training.batch_tokens,
            rng=None,
        )
        found = [np.zeros(one.length, np.int64) for one in encoded]
        losses = [0.0] * len(encoded)
        with evaluating(self.model):
            for rows in batches:
                with memory_faults_named("prediction", partial(_in_words, flat, rows), LESS_MEMORY):
                    x = self.features.collate([flat[row] for row in rows]).to(self.device)
                    logits, _ = self.model(x)
                    numbers = self.decided(logits, x.lengths).cpu().numpy()
                    for at, row in enumerate(rows):
                        owner, start = owners[row]
                        found[owner][start : start + flat[row].length] = numbers[at, : flat[row].length]
                    if targets is not None:
                        own = [targets[owners[row][0]][owners[row][1] :][: flat[row].length] for row in rows]
                        tensor = target_tensor(own, x.steps, len(self.tags)).to(self.device)
                        sums = target_losses(self.model, logits, x.lengths, tensor).tolist()
                        for row, nats in zip(rows, sums, strict=True):
                            losses[owners[row][0]] += nats
        return list(zip(found, losses, strict=True))

    def score(self, examples: TaggedExamples) -> TagScore:
        """Metrics and tags on sentences."""
        outputs = self.outputs(examples.encoded, examples.targets)
        predicted = [numbers for numbers, _ in outputs]
        loss = sum(loss for _, loss in outputs) / max(1, examples.tokens - examples.unseen)
        return TagScore({**self.measure(self.names_of(predicted), examples), "loss": loss}, predicted)

    def names_of(self, predicted: Iterable[Numbers]) -> list[list[str]]:
        """The tags of each list, by name."""
        return [self.tags[0].decode(numbers.tolist()) for numbers in predicted]

    def measure(self, predicted: list[list[str]], examples: TaggedExamples) -> dict[str, float]:
        """accuracy over all tokens, of known and of unknown words; with spans their F1, precision and recall."""
        hits, counts = np.zeros(2, np.int64), np.zeros(2, np.int64)
        for tags, truth, encoded in zip(predicted, examples.tags, examples.encoded, strict=True):
            right = np.fromiter((a == b for a, b in zip(tags, truth, strict=True)), np.int64, len(truth))
            unknown = (encoded.values.token == UNK_ID).astype(np.int64)
            hits += np.bincount(unknown, right, 2).astype(np.int64)
            counts += np.bincount(unknown, minlength=2)
        shares = hits / np.maximum(counts, 1)
        found = {
            "accuracy": float(hits.sum() / max(1, counts.sum())),
            "known_accuracy": float(shares[0]),
            "unknown_accuracy": float(shares[1]),
        }
        return {**found, **self.spans(predicted, examples).compute()} if self.has_spans else found

    def spans(self, predicted: list[list[str]], examples: TaggedExamples) -> SpanMetrics:
        """The spans found against those of the truth."""
        found = SpanMetrics()
        for tags, truth in zip(predicted, examples.tags, strict=True):
            found.update(spans_of(tags), spans_of(truth))
        return found

    def confusion(self, predicted: list[Numbers], examples: TaggedExamples) -> ClassificationMetrics:
        """Tokens counted by tag; one more class, the last, is what training has not seen."""
        found = ClassificationMetrics(len(self.tags[0]) + 1)
        for numbers, targets in zip(predicted, examples.targets, strict=True):
            truth = np.where(targets[:, 0] == UNSEEN, len(self.tags[0]), targets[:, 0])
            found.update(torch.from_numpy(numbers), torch.from_numpy(truth))
        return found

    def fit_baselines(self, training: TagTraining) -> FrequentTag:
        """The most frequent tag of each word."""
        sentences = [training.train, *([training.valid] if self.settings.training.refit else [])]
        return FrequentTag.fit(
            (tokens for one in sentences for tokens in one.inputs), (tags for one in sentences for tags in one.tags)
        )

    def score_baselines(self, baselines: FrequentTag, examples: TaggedExamples) -> dict[str, float]:
        """`baseline_frequent_accuracy` and what else is measured, and the seconds of fitting."""
        metrics = self.measure([baselines.predict(tokens) for tokens in examples.inputs], examples)
        found = {f"baseline_frequent_{name}": value for name, value in metrics.items()}
        return {**found, "baseline_frequent_seconds": round(baselines.seconds, 3)}

    def baselines_to_files(self, baselines: FrequentTag) -> dict[str, bytes]:
        """Words and endings as JSON."""
        return baselines.to_files()

    def baselines_from_files(self, files: Mapping[str, bytes], folder: Path) -> FrequentTag:
        """As `baselines_to_files` wrote them."""
        return FrequentTag.from_files(files, folder)

    def sizes(self, training: TagTraining, test: TaggedExamples) -> dict[str, int]:
        """Sentences and tokens of each part."""
        parts = {"train": training.train, "valid": training.valid, "test": test}
        return (
            {f"{name}_examples": len(part.inputs) for name, part in parts.items()}
            | {f"{name}_tokens": part.tokens for name, part in parts.items()}
            | {"train_cut": 0}
        )

    def notes(self, training: TagTraining, test: TaggedExamples) -> list[str]:
        """What is learned beside the target, and tags that training has not seen."""
        found = []
        if len(self.tags) > 1:
            found.append(f"learned beside {self.tags[0].column}: {', '.join(one.column for one in self.tags[1:])}")
        for part, examples in (("validation", training.valid), ("test", test)):
            if examples.unseen:
                found.append(f"{examples.unseen:,} {part} tokens have a tag that is not in the training data")
        return found

    def predict(self, inputs: Iterable[Any]) -> Iterator[tuple[str, ...] | RecurraError]:
        """The tags of each input, in order; in place of what cannot be read stands the error."""
        waiting: list[Encoded | RecurraError] = []
        for value in inputs:
            waiting.append(value if isinstance(value, RecurraError) else self._encoded(value))
            if len(waiting) == PREDICT_ROWS:
                yield from self._tagged(waiting)
                waiting = []
        yield from self._tagged(waiting)

    def _encoded(self, value: Any) -> Encoded | RecurraError:
        try:
            return self.features.encode(value)
        except RecurraError as error:
            return error

    def _tagged(self, rows: list[Encoded | RecurraError]) -> Iterator[tuple[str, ...] | RecurraError]:
        predicted = iter(self.names_of(self.predicted([row for row in rows if not isinstance(row, RecurraError)])))
        for row in rows:
            yield row if isinstance(row, RecurraError) else tuple(next(predicted))


def _learned(inputs: list[list[str]], settings: TagSettings) -> TokenFeatures:
    tokens = settings.tokens
    return TokenFeatures.fit(
        inputs,
        vocabulary_size=tokens.vocabulary_size,
        min_count=tokens.min_count,
        lowercase=tokens.lowercase,
        use_characters=tokens.char_hidden_size > 0,
    )


def _adopted(fitted: Tags, earlier: tuple[Tags, ...]) -> Tags:
    """An earlier run's tags of the same column, where they hold all of these."""
    return next((one for one in earlier if one.column == fitted.column and set(fitted.names) <= set(one.names)), fitted)


def _in_words(encoded: list[Encoded], rows: list[int]) -> str:
    return f"{len(rows)} lists at a time, the longest of {max(encoded[row].length for row in rows)} tokens"
