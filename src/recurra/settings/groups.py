"""The settings that every task has: data, model, training. Each option is documented on the line under it.

Annotations are evaluated here, so that a group in another file can inherit the options.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from recurra.errors import SettingsError
from recurra.settings.names import (
    Automatic,
    ClassWeights,
    InputKind,
    OnNonfinite,
    Optimizer,
    Precision,
    Schedule,
    TrackerName,
    Unit,
    check_pooling,
)
from recurra.settings.stack import LARGEST_REACH, cell_names, dilations, layer_cells, layer_dilations


def _require(ok: bool, problem: str, problems: list[str]) -> None:
    if not ok:
        problems.append(problem)


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """Which data, and how much of it is set aside."""

    data: tuple[str, ...] = ()
    """File to train on, plain or .gz; may be repeated."""
    valid: str = "0.1"
    """Validation data: a file, or the fraction of the training data set aside for it."""
    test: str = "0.1"
    """Test data: a file, or the fraction of the data set aside for it."""
    encoding: str = "utf-8"
    """Encoding of text files."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found: list[str] = []
        for name, value in (("valid", self.valid), ("test", self.test)):
            fraction = as_fraction(value)
            _require(
                fraction is None or 0 < fraction < 1,
                f"{name}: a fraction lies between 0 and 1, not {value}; or name a file",
                found,
            )
        return found

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that is named."""
        return (*self.data, *(value for value in (self.valid, self.test) if as_fraction(value) is None))

    @property
    def names_data(self) -> bool:
        """Whether files of training data are named."""
        return bool(self.data)

    def with_whole_paths(self, objects: bool = False) -> Self:
        """Files by absolute path: a run is then the same from every working directory.

        Args:
            objects: whether the training data come as Python objects.
        """

        def whole(value: str) -> str:
            return value if as_fraction(value) is not None else str(Path(value).absolute())

        data = tuple(str(Path(path).absolute()) for path in self.data)
        return replace(self, data=data, valid=whole(self.valid), test=whole(self.test))


@dataclass(frozen=True, kw_only=True)
class TableSettings(SplitSettings):
    """Which tables, and how they are read and cut."""

    data: tuple[str, ...] = ()
    """File to train on: CSV, TSV, JSONL, Parquet or .npz, plain or .gz; may be repeated."""
    input: tuple[str, ...] = ()
    """Column that holds the input; several columns of numbers make one vector. Default: the only other column."""
    target: tuple[str, ...] = ()
    """Column that holds the label (default: target or label); columns of 0 and 1, or of lists: several labels."""
    id: str = ""
    """Column that names each row's sequence, in a table with one row a time step; the input is then a vector a step."""
    time: str = ""
    """Column that orders the rows of an id: numbers or ISO dates. Default: the order of the file."""
    group: str = ""
    """Column whose groups (authors, patients) are never divided between training, validation and test data."""
    delimiter: str = ""
    """Character between fields. Default: a tab for .tsv, a comma for .csv."""
    header: bool = True
    """Whether the first line of a CSV or TSV names the columns; without it they are called 1, 2, …"""
    max_length: int = 0
    """Longest sequence kept, in tokens or steps; 0: the 99.9th percentile of the training data, at most 4096."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        _require(self.max_length >= 0, f"max_length: {self.max_length} is below 0 (0 chooses by the data)", found)
        _require(len(self.delimiter) <= 1, f"delimiter: {self.delimiter!r} is not one character", found)
        _require(not self.time or bool(self.id), "time: it orders the rows of an id; give --id too", found)
        found += self._columns_of_two_uses()
        return found

    def _columns_of_two_uses(self) -> list[str]:
        found: list[str] = []
        uses: dict[str, str] = {}
        for name in ("id", "time", "group", "input", "target"):
            value = getattr(self, name)
            for column in (value,) if isinstance(value, str) else value:
                other = uses.setdefault(column, name) if column else name
                together = other == name or (other, name) in (("id", "group"), ("time", "input"), ("group", "input"))
                _require(together, f"{name}: the column {column!r} is {other} already; name another", found)
        return found


@dataclass(frozen=True, kw_only=True)
class DataSettings(TableSettings):
    """Which tables, how they are read and cut, and what an input is."""

    input_kind: InputKind = "auto"
    """What an input is: a text, a series of numbers or vectors, or a single vector (one to one)."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        _require(
            not self.id or self.input_kind in ("auto", "series"),
            f"input_kind: with --id every input is a series, not a {self.input_kind}; leave it out",
            found,
        )
        return found


@dataclass(frozen=True, kw_only=True)
class LayersSettings:
    """The recurrent layers."""

    cell: str | None = None
    """Recurrence of the layers, or one a layer as in lstm,transformer: rnn, rnn_relu, lstm, gru, feedforward,
    lstm_layernorm, gru_layernorm, lstm_peephole, lstm_projection, lstm_coupled, slstm, indrnn, mingru, minlstm,
    transformer. Default: lstm; feedforward where an input is a single vector."""
    hidden_size: int = 128
    """Features of the hidden state, per direction."""
    num_layers: int = 1
    """Recurrent layers, one above the other; as many as cell names, where it names several."""
    residual: bool = False
    """Add each layer's input to its output, from the second layer on."""
    dilation: str = "1"
    """Steps back that a layer's state comes from: one number, or one a layer as in 1,2,4."""
    attention_window: int | None = None
    """Steps that a transformer layer attends to, the present one among them. Default: 256; all, if bidirectional."""
    dropout: float | None = None
    """Dropout between layers. Default: 0.2 with two layers or more, none with one."""
    recurrent_dropout: float = 0.0
    """Dropout on the hidden state that enters the recurrence, one mask a sequence (runs in the slower loop)."""
    weight_dropout: float = 0.0
    """Dropout on the recurrent weights, one mask a batch."""
    zoneout: float = 0.0
    """Probability that a state unit keeps its old value for a step (runs in the slower loop)."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found: list[str] = []
        _require(self.hidden_size >= 1, f"hidden_size: {self.hidden_size} is below 1", found)
        _require(self.num_layers >= 1, f"num_layers: {self.num_layers} is below 1", found)
        found += self._stack_problems()
        layers = self.layers
        for name in ("dropout", "recurrent_dropout", "weight_dropout", "zoneout"):
            value = getattr(self, name)
            _require(value is None or 0 <= value < 1, f"{name}: {value} is not in [0, 1)", found)
        if self.dropout and layers == 1:
            found.append(
                f"dropout: {self.dropout} acts between layers and there is one layer; "
                "give num_layers 2 or more, or use embedding_dropout or output_dropout"
            )
        if self.residual and layers == 1:
            found.append("residual: connections start at the second layer and there is one; give num_layers 2 or more")
        return found

    @property
    def layers(self) -> int:
        """The layers that there are: as many as cell names, where it names several and num_layers is left out."""
        named = len((self.cell or "").split(","))
        left_out = self.num_layers in (1, type(self).num_layers)
        return named if named > 1 and left_out else self.num_layers

    def dropout_between(self, usual: float) -> float:
        """The rate between layers: as given, else the usual one of a task, where there are several layers."""
        if self.dropout is not None:
            return self.dropout
        return usual if self.layers > 1 else 0.0

    def _stack_problems(self) -> list[str]:
        """What is wrong with the cells, and with what only some of them have."""
        found: list[str] = []
        cells: tuple[str, ...] = ()
        try:
            cells = layer_cells(cell_names(self.cell or "lstm"), self.layers)
        except SettingsError as error:
            found.append(str(error))
        try:
            layer_dilations(dilations(self.dilation), self.layers)
        except SettingsError as error:
            found.append(str(error))
        if self.attention_window is not None:
            window = self.attention_window
            _require(1 <= window <= LARGEST_REACH, f"attention_window: {window} is not in 1 to {LARGEST_REACH}", found)
            _require(
                not cells or "transformer" in cells,
                "attention_window: it is the memory of the cell transformer, and no layer is one; leave it out",
                found,
            )
        return found


@dataclass(frozen=True, kw_only=True)
class DirectionsSettings(LayersSettings):
    """The recurrent layers, in one direction or both."""

    bidirectional: bool = False
    """Read every sequence in both directions (such a model cannot stream)."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        _require(
            self.attention_window is None or not self.bidirectional,
            "attention_window: in both directions a layer attends to every step; leave it out",
            found,
        )
        transformers = [name.strip() == "transformer" for name in (self.cell or "").split(",")]
        _require(
            not (self.residual and self.bidirectional and len(set(transformers)) == 2),
            "residual: in both directions a transformer layer gives hidden_size features and the others twice as many, "
            "which cannot be added; leave residual out",
            found,
        )
        return found


@dataclass(frozen=True, kw_only=True)
class ModelSettings(DirectionsSettings):
    """The recurrent model, and how a sequence becomes one vector."""

    pooling: str = "last"
    """How a sequence becomes one vector: last, mean, max, attention, or several joined as in mean+max."""
    pool_inputs: bool = False
    """Pool the embeddings or values that enter the layers too, beside what the layers make of them."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        try:
            check_pooling(self.pooling)
        except SettingsError as error:
            found.append(str(error))
        return found


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How the model is trained."""

    epochs: int = 20
    """Passes over the training data at most."""
    max_steps: int = 0
    """Optimiser steps at most; 0: no bound."""
    max_time: float = 0.0
    """Seconds of training at most; 0: no bound (with a bound, an exact repeat is not promised)."""
    batch_size: int | Automatic = 32
    """Sequences a batch; auto: found by trial before training (and kept in config.toml)."""
    batch_tokens: int = 0
    """Tokens (steps, with padding) a batch, in place of batch_size; 0: count sequences."""
    accumulate: int = 1
    """Batches whose gradients are added before one optimiser step."""
    recompute: int = 0
    """Steps of time a block whose inside backward computes anew instead of keeping it: long sequences in little memory,
    with the same gradients, in a third more time; 0: none."""
    lr: float = 1e-3
    """Learning rate at its highest."""
    optimizer: Optimizer = "adamw"
    """Optimiser."""
    schedule: Schedule = "cosine"
    """Learning rate over time: constant, falling as a cosine to zero, or cut when validation stalls (plateau)."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises to its highest."""
    weight_decay: float = 0.01
    """Decoupled weight decay; biases, norms and initial states are spared."""
    clip_norm: float = 1.0
    """Largest gradient norm: a larger gradient is scaled down to it; 0: no clipping."""
    label_smoothing: float = 0.0
    """Share of a target's probability spread over all classes."""
    patience: int = 5
    """Evaluations without a better validation metric before training stops; 0: never stop early."""
    metric: str = ""
    """Validation metric that chooses the best weights. Default: accuracy; macro_f1 with several labels; rmse."""
    evaluate_every: int = 0
    """Steps between evaluations; 0: once an epoch."""
    refit: bool = False
    """Train once more on training and validation data for the steps of the best evaluation (twice the time)."""
    average: float = 0.0
    """Decay of an exponential average of the weights, used for evaluation and kept (0.999, say); 0: none."""
    average_checkpoints: int = 0
    """Evaluations whose weights are averaged alike, used for evaluation and kept (5, say); 0: none."""
    on_nonfinite: OnNonfinite = "stop"
    """A loss or gradient that is not finite: stop, or skip the step's update (and stop after 10 in a row)."""
    checkpoint_every: float = 10.0
    """Seconds between checkpoints; one is also written at each evaluation."""
    init: str = ""
    """Run to start from: its weights and vocabulary; its model options are taken over where they are not given."""
    seed: int = 0
    """Seed of splits, weights, order and noise."""
    threads: int = 0
    """CPU threads; 0: as torch chooses."""
    device: str = "auto"
    """Device: auto, cpu, cuda, cuda:N or mps."""
    precision: Precision = "fp32"
    """Number format of the arithmetic; bf16 where the device has it."""
    track: tuple[TrackerName, ...] = ()
    """Where the numbers of each evaluation go too: tensorboard, trackio, wandb or mlflow; may be repeated."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found: list[str] = []
        if self.batch_size == "auto":
            _require(not self.batch_tokens, "batch_size: auto and batch_tokens exclude each other; give one", found)
        elif self.batch_size < 1:
            found.append(f"batch_size: {self.batch_size} is below 1")
        for name in ("epochs", "accumulate"):
            _require(getattr(self, name) >= 1, f"{name}: {getattr(self, name)} is below 1", found)
        for name in (
            "max_steps", "max_time", "batch_tokens", "recompute", "warmup_steps", "weight_decay", "clip_norm",
            "patience", "average_checkpoints", "evaluate_every", "checkpoint_every", "seed", "threads",
        ):  # fmt: skip
            _require(getattr(self, name) >= 0, f"{name}: {getattr(self, name)} is below 0", found)
        _require(0 < self.lr < float("inf"), f"lr: {self.lr} is not a positive number", found)
        _require(len(set(self.track)) == len(self.track), "track: names one tracker twice; name each once", found)
        for name in ("label_smoothing", "average"):
            _require(0 <= getattr(self, name) < 1, f"{name}: {getattr(self, name)} is not in [0, 1)", found)
        if self.average and self.average_checkpoints:
            found.append(
                f"average_checkpoints: {self.average_checkpoints} and average {self.average} exclude each other; "
                "give 0 for one"
            )
        if self.refit and self.average_checkpoints:
            found.append("refit: it makes no evaluations whose weights average_checkpoints could average; use average")
        if self.refit and self.schedule == "plateau":
            found.append(
                "refit: the schedule plateau follows validation data, and refit leaves none; use another schedule"
            )
        device, _, index = self.device.partition(":")
        _require(
            device in ("auto", "cpu", "cuda", "mps") and (not index or (device == "cuda" and index.isdigit())),
            f"device: {self.device!r} is none of auto, cpu, cuda, cuda:N, mps",
            found,
        )
        return found


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """How a text becomes tokens, and how it is blurred in training."""

    unit: Unit = "word"
    """Token of a text: word, char, or bpe (subwords learned from the training texts)."""
    lowercase: bool = True
    """Fold upper case to lower case."""
    vocabulary_size: int = 20000
    """Most tokens kept, the most frequent first; also the size of a BPE vocabulary."""
    min_count: int = 1
    """Occurrences in the training texts below which a token counts as unknown."""
    embedding_size: int = 128
    """Features of a token's embedding."""
    embeddings: str = ""
    """File of pretrained vectors to start from: GloVe, word2vec or fastText (.vec) as text; it sets embedding_size."""
    char_ngrams: bool = False
    """Add to each word's embedding the mean of its hashed character 3- to 5-gram embeddings."""
    ngram_buckets: int = 32768
    """Rows of the table that character n-grams are hashed into."""
    word_dropout: float = 0.0
    """Probability that a training token is read as unknown."""
    char_noise: float = 0.0
    """Probability that a character of a training text is dropped, doubled, swapped or replaced."""
    embedding_dropout: float = 0.3
    """Dropout on embeddings, one mask a sequence."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found: list[str] = []
        for name in ("vocabulary_size", "min_count", "embedding_size", "ngram_buckets"):
            _require(getattr(self, name) >= 1, f"{name}: {getattr(self, name)} is below 1", found)
        for name in ("word_dropout", "char_noise", "embedding_dropout"):
            _require(0 <= getattr(self, name) < 1, f"{name}: {getattr(self, name)} is not in [0, 1)", found)
        _require(
            not self.char_ngrams or self.unit == "word",
            f"char_ngrams: character n-grams stand beside words, and unit is {self.unit}; give unit word",
            found,
        )
        return found


def as_fraction(value: str) -> float | None:
    """The number that `--valid` or `--test` gives, or None where it names a file."""
    try:
        return float(value)
    except ValueError:
        return None


__all__ = [
    "ClassWeights",
    "DataSettings",
    "DirectionsSettings",
    "LayersSettings",
    "ModelSettings",
    "SplitSettings",
    "TableSettings",
    "TextSettings",
    "TrainingSettings",
    "as_fraction",
]
