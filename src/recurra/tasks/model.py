"""model: the symbol that follows, at every step of a text (a language model)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from recurra.baselines import ORDERS, NgramModel, fit_ngrams, ngrams_from_files, ngrams_to_files
from recurra.data.corpus import Corpus, Text, Window, cut_rows, read_corpus, window_lengths
from recurra.data.partition import FileRecord, Given
from recurra.data.symbols import Symbols, symbols_from_json
from recurra.errors import DataError, SettingsError
from recurra.html import html_table
from recurra.models import LanguageModel, LanguageModelState
from recurra.randomness import seed_of
from recurra.settings.language import CorpusSettings
from recurra.settings.stack import dilations
from recurra.settings.tasks import LanguageSettings
from recurra.state import detach, leaves, map_state, merge
from recurra.tasks.evaluating import evaluating
from recurra.tasks.task import Task, TaskTraining
from recurra.tasks.warm_start import structure_of, take_weights

FEW_FEATURES = 64  # of an embedding of characters or bytes, where embedding_size is left to us
LARGEST_EMBEDDING = 256  # of other units
DROPOUT = 0.2  # between layers where the settings do not say
EVALUATION_ROWS = 32  # read side by side
WARM_UP = 256  # symbols that a row reads, uncounted, before those it is scored on
SHORTEST_ROW = 1024  # symbols of a text that make a row of its own worth it
WINDOW = 512  # symbols read at once where no gradient is needed
NEXT_SYMBOLS = 5  # the likeliest, in an answer
STRUCTURE = {
    "model": ("cell", "hidden_size", "num_layers", "residual", "dilation", "attention_window", "tied"),
    "text": ("unit", "lowercase", "embedding_size"),
}


class Continuation(NamedTuple):
    """What follows a text.

    next: the likeliest symbols with their probabilities, the likeliest first. loss: nats a symbol of the text itself,
    read from a fresh state; NaN where it is empty. perplexity: its exponential. unseen: symbols of the text that
    training never saw.
    """

    next: dict[str, float]
    loss: float
    perplexity: float
    unseen: tuple[str, ...]

    def _repr_html_(self) -> str:
        """What a notebook shows: the likeliest symbols."""
        return html_table("next", ["symbol", "probability"], [[repr(name), one] for name, one in self.next.items()])


@dataclass(frozen=True)
class CorpusParts:
    """The texts of a run, the symbols learned from them, and the settings of data."""

    corpus: Corpus
    settings: CorpusSettings

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Where the texts came from."""
        return self.corpus.files

    @property
    def train(self) -> Corpus:
        """The symbols, and the text that the weights are trained on."""
        return self.corpus

    @property
    def test(self) -> Text | None:
        """The text that the run is scored on."""
        return self.corpus.test


class LanguageScore(NamedTuple):
    """metrics by name"""

    metrics: dict[str, float]


class Model(Task):
    """A language model: its symbols, and the model over them.

    Args:
        settings: all of them; `model.cell` and `text.embedding_size` are filled in.
        symbols: text ↔ ids.
        device: where the model is.
    """

    name = "model"
    metrics: ClassVar[dict[str, bool]] = {"loss": False, "perplexity": False, "bits_per_character": False}
    metric = "loss"
    settings: LanguageSettings
    model: LanguageModel

    def __init__(self, settings: LanguageSettings, symbols: Symbols, device: torch.device | str = "cpu") -> None:
        text, layers = settings.text, settings.model
        few = settings.text.unit in ("char", "byte")
        size = text.embedding_size or min(layers.hidden_size, FEW_FEATURES if few else LARGEST_EMBEDDING)
        layers = replace(layers, cell=layers.cell or "lstm", num_layers=layers.layers)
        settings = replace(settings, text=replace(text, embedding_size=size), model=layers)
        super().__init__(settings, device)
        self.symbols = symbols
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(settings.training.seed, "weights"))
            self.model = _build(settings, len(symbols)).to(self.device)

    @classmethod
    def read(cls, settings: LanguageSettings, given: Given | None, known: Any = None) -> CorpusParts:
        """The texts, cut and encoded."""
        if known is not None and not isinstance(known, Model):
            raise SettingsError(
                f"init: {settings.training.init} is a {known.name} run, and a language model is expected"
            )
        text, data = settings.text, settings.data
        corpus = read_corpus(
            data.data,
            text.unit,
            valid=data.valid,
            test=data.test,
            given=given,
            vocabulary_size=text.vocabulary_size,
            min_count=text.min_count or None,
            lowercase=text.lowercase,
            encoding=data.encoding,
            symbols=None if known is None else known.symbols,
        )
        return CorpusParts(corpus, data)

    @classmethod
    def fit_features(
        cls, settings: LanguageSettings, train: Corpus, device: torch.device | str = "cpu", start: Any = None
    ) -> Self:
        """The model over the corpus' symbols, which begins with their frequencies."""
        task = cls(settings, train.symbols, device)
        task.begin_again(train)
        return task

    def begin_again(self, train: Corpus) -> None:
        """The logits begin at the frequencies of the symbols in the training text."""
        self.model.begin_at(torch.from_numpy(train.train.occurrences))

    @classmethod
    def from_json(cls, saved: dict[str, Any], tokenizer: str | None) -> tuple[Symbols]:
        """The symbols."""
        return (symbols_from_json(saved["symbols"], tokenizer),)

    def to_json(self) -> dict[str, Any]:
        """The symbols."""
        return {"symbols": self.symbols.to_json()}

    @property
    def tokenizer_json(self) -> str | None:
        """What BPE has learned."""
        return self.symbols.tokenizer_json

    @classmethod
    def with_structure(cls, settings: LanguageSettings, start: Task) -> LanguageSettings:
        """The settings with the structure of an earlier language model."""
        if not isinstance(start, Model):
            where = settings.training.init
            raise SettingsError(f"init: {where} is a {start.name} run, and a language model cannot start there")
        return structure_of(settings, start.settings, STRUCTURE)

    def take_weights(self, start: Task) -> bool:
        """Copy the earlier run's weights, head and all: the symbols are the same."""
        take_weights(self.model, start.model)
        return True

    def training(self, parts: CorpusParts) -> ModelTraining:
        """Windows of the training text, and the score of the validation text."""
        return ModelTraining(self, parts.corpus)

    def examples(self, part: Text | None) -> Text | None:
        """A text is ready as it is."""
        return part

    def score(self, examples: Text | None) -> LanguageScore:
        """Metrics of a text, its state carried from beginning to end; NaN where there is none.

        A long text is read in rows side by side, each of which reads the symbols before it first, uncounted.
        """
        if examples is None or not len(examples):
            return LanguageScore(dict.fromkeys(self.metrics, math.nan))
        return LanguageScore(self.measured(self._nats(examples), examples))

    def measured(self, nats: float, text: Text) -> dict[str, float]:
        """Metrics by the cost of a whole text in nats."""
        loss = nats / len(text)
        return {
            "loss": loss,
            "perplexity": math.exp(min(loss, 700.0)),
            "bits_per_character": nats / math.log(2) / max(1, text.counts.characters),
        }

    def fit_baselines(self, training: ModelTraining) -> dict[str, NgramModel]:
        """N-grams of the symbols of the training text: of two symbols, and of several."""
        ids, symbols = training.corpus.train.ids, self.symbols
        orders = {"bigram": 2, "ngram": ORDERS[symbols.unit]}
        return {name: fit_ngrams(ids, len(symbols), symbols.begin_id, order) for name, order in orders.items()}

    def score_baselines(self, baselines: dict[str, NgramModel], examples: Text | None) -> dict[str, float]:
        """The same metrics of the n-gram models."""
        found: dict[str, float] = {}
        for name, ngrams in baselines.items():
            if examples is not None and len(examples):
                metrics = self.measured(float(ngrams.losses(examples.ids).sum()), examples)
                found |= {f"baseline_{name}_{metric}": value for metric, value in metrics.items()}
            found[f"baseline_{name}_seconds"] = round(ngrams.seconds, 3)
        return found

    def baselines_to_files(self, baselines: dict[str, NgramModel]) -> dict[str, bytes]:
        """The longer n-grams; those of two symbols are among them."""
        return ngrams_to_files(baselines["ngram"])

    def baselines_from_files(self, files: Mapping[str, bytes], folder: Path) -> dict[str, NgramModel]:
        """As `baselines_to_files` wrote them."""
        return {"ngram": ngrams_from_files(files, folder, size=len(self.symbols))}

    def sizes(self, training: ModelTraining, test: Text | None) -> dict[str, int]:
        """Symbols of each text."""
        corpus = training.corpus
        texts = {"train": corpus.train, "valid": corpus.valid, "test": test}
        return {f"{name}_examples": 0 if text is None else len(text) for name, text in texts.items()} | {"train_cut": 0}

    def ids_of(self, text: str) -> Tensor:
        """[1 + N] int64: the beginning, and the symbols of a text.

        Raises:
            DataError: it is no text.
        """
        if not isinstance(text, str):
            raise DataError(f"a text is expected, not {type(text).__name__}")
        return torch.tensor([self.symbols.begin_id, *self.symbols.encode(text).tolist()], device=self.device)

    @torch.inference_mode()
    def continuation(self, text: str) -> Continuation:
        """What follows a text, and what the text itself costs.

        Raises:
            DataError: it is no text.
        """
        ids = self.ids_of(text)[None]
        state = self.model.initial_state(1)
        nats = 0.0
        for first in range(0, ids.shape[1] - 1, WINDOW):
            window = ids[:, first : first + WINDOW + 1]
            found = self.model.loss(window[:, :-1], window[:, 1:], state)
            nats, state = nats + float(found.nats), found.state
        logits, _ = self.model.step(ids[:, -1], state)
        loss = nats / (ids.shape[1] - 1) if ids.shape[1] > 1 else math.nan
        unseen = tuple(dict.fromkeys(one.symbol for one in self.symbols.unseen(text)))
        return Continuation(self.likeliest(logits[0]), loss, math.exp(min(loss, 700.0)), unseen)

    def likeliest(self, logits: Tensor) -> dict[str, float]:
        """The likeliest symbols of logits [V] with their probabilities."""
        logits = logits.float().index_fill(0, self.silent, -math.inf)
        probabilities = logits.double().softmax(0)
        values, order = probabilities.topk(min(NEXT_SYMBOLS, len(self.symbols) - len(self.silent)))
        return {self.symbols.names[i]: p for i, p in zip(order.tolist(), values.tolist(), strict=True)}

    @property
    def silent(self) -> Tensor:
        """Ids that no text is made of."""
        return torch.tensor(self.symbols.silent_ids, dtype=torch.int64, device=self.device)

    def _nats(self, text: Text) -> float:
        """The cost of a text in all."""
        rows = replace(cut_rows(text.ids, EVALUATION_ROWS, self.symbols, SHORTEST_ROW), goes_on=True)
        with evaluating(self.model):
            state = self._warmed(text, rows.starts[1:-1].tolist())
            total = torch.zeros((), dtype=torch.float64, device=self.device)
            for window in rows.windows(window_lengths(rows.steps, WINDOW)):
                inputs, targets, lengths = on_device(window, self.device)
                found = self.model.loss(inputs, targets, state, lengths=lengths)
                total, state = total + found.nats, found.state
            return float(total)

    def _warmed(self, text: Text, starts: Iterable[int]) -> LanguageModelState:
        """The states with which rows go on: of the first row fresh, of the others after the symbols before them."""
        states = [self.model.initial_state(1)]
        before = [text.ids[max(0, start - 1 - WARM_UP) : start - 1].astype("int64") for start in starts]
        if before:
            _, warmed = self.model(torch.stack([torch.from_numpy(one) for one in before]).to(self.device))
            states.append(warmed)
        return merge(states)


class ModelTraining(TaskTraining):
    """Windows of the training text, in rows side by side, the state carried from window to window.

    Args:
        task: symbols and model.
        corpus: the texts.
    """

    task: Model
    model: LanguageModel

    def __init__(self, task: Model, corpus: Corpus) -> None:
        self.choose_metric(task)
        self.corpus = corpus
        settings = task.settings
        self.rows = cut_rows(corpus.train.ids, int(settings.training.batch_size), task.symbols, 2)
        self._length = settings.language.bptt_length or self.rows.steps
        self._segment = 0
        if settings.language.bptt_memory:
            longest = min(self._length, self.rows.steps)
            self._segment = self.model.segment_length(len(self.rows), longest, settings.language.bptt_memory)
        self._state: LanguageModelState | None = None

    def plan(self, epoch: int) -> list[list[int]]:
        """Windows, each by its first step and its length; in every epoch they begin elsewhere."""
        settings = self.task.settings
        lengths = window_lengths(
            self.rows.steps,
            self._length,
            seed=settings.training.seed,
            epoch=epoch,
            varied=settings.language.bptt_varied,
        )
        first, windows = 0, []
        for length in lengths:
            windows.append([first, length])
            first += length
        return windows

    def batch(self, indices: list[int], step_seed: int) -> tuple[bool, Window]:
        """A window, and whether it is the first of an epoch."""
        first, length = indices
        return first == 0, self.rows.window(first, length)

    def size(self, batch: tuple[bool, Window]) -> tuple[int, int]:
        """Rows, and symbols."""
        return len(self.rows), batch[1].num_targets

    def loss(self, batch: tuple[bool, Window]) -> tuple[Tensor, Tensor]:
        """The sum of the losses, penalties included, and the count of symbols; the state goes on to the next window."""
        begins, window = batch
        settings = self.task.settings
        inputs, targets, lengths = on_device(window, self.task.device)
        found = self.model.loss(
            inputs,
            targets,
            None if begins else self._state,
            lengths=lengths,
            label_smoothing=settings.training.label_smoothing,
            activation_penalty=settings.language.activation_penalty,
            slowness_penalty=settings.language.slowness_penalty,
            segment=self._segment,
        )
        finite = bool(torch.isfinite(found.nats.detach()))
        self._state = detach(found.state) if finite else None  # what is not finite is not carried on
        return found.nats + found.penalty, found.targets

    def evaluate(self) -> dict[str, float]:
        """The score of the validation text."""
        return self.task.score(self.corpus.valid).metrics

    def describe(self, indices: list[int]) -> str:
        """Where the window lies in each row."""
        first, length = indices[-2:]
        return (
            f"symbols {first + 1:,} to {first + length:,} of {len(self.rows)} rows of the training text "
            f"(the longest has {length} steps)"
        )

    def carried(self) -> dict[str, Tensor]:
        """The state after the last window."""
        return {} if self._state is None else dict(leaves(self._state))

    def carry(self, tensors: dict[str, Tensor]) -> None:
        """Take a state over."""
        if not tensors:
            self._state = None
            return
        like = self.model.initial_state(len(next(iter(tensors.values()))))  # of several processes each has its rows
        expected = dict(leaves(like))
        if {name: one.shape for name, one in tensors.items()} != {name: one.shape for name, one in expected.items()}:
            raise ValueError("the state that it carries is not one of this model")
        names = iter(expected)
        self._state = map_state(lambda leaf: tensors[next(names)].to(leaf), like)


def on_device(window: Window, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inputs and targets on a device, and the lengths, which stay where they are."""
    return window.inputs.to(device), window.targets.to(device), window.lengths


def _build(settings: LanguageSettings, size: int) -> LanguageModel:
    layers = settings.model
    return LanguageModel(
        layers.cell or "lstm",
        size,
        settings.text.embedding_size,
        layers.hidden_size,
        layers.layers,
        tied=layers.tied,
        token_dropout=layers.token_dropout,
        embedding_dropout=layers.embedding_dropout,
        dropout=layers.dropout_between(DROPOUT),
        output_dropout=layers.output_dropout,
        weight_dropout=layers.weight_dropout,
        recurrent_dropout=layers.recurrent_dropout,
        zoneout=layers.zoneout,
        residual=layers.residual,
        dilation=dilations(layers.dilation),
        attention_window=layers.attention_window,
    )
