"""The settings that only translation has: pairs of texts, their symbols, the two halves of the model, the search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from recurra.errors import SettingsError
from recurra.settings.groups import DirectionsSettings, SplitSettings, TrainingSettings, as_fraction
from recurra.settings.names import Automatic, DecoderAttention, ForcingSchedule, ForcingUnit, Unit
from recurra.settings.stack import cell_names, layer_cells

MOST_BEAMS = 1024
MOST_TOKENS = 2500  # a batch, where the settings do not say
FED = ("dot", "general", "concat")  # the attentions whose result can be fed: Bahdanau's is read within the step


@dataclass(frozen=True, kw_only=True)
class PairsSettings(SplitSettings):
    """Which pairs of texts, and how they are read and cut.

    Where `data` names a table, `source` and `target` name its columns; where it names none, they name files, and line n
    of one is the translation of line n of the other. So one pair of words says where the two sides are, whatever the
    data are kept in.
    """

    data: tuple[str, ...] = ()
    """Table to train on: CSV, TSV, JSONL or Parquet, plain or .gz; may be repeated. Without it source and target are
    files."""
    source: tuple[str, ...] = ()
    """File of source texts, one a line, plain or .gz; may be repeated. With data its column of source texts. Default:
    source, src or input."""
    target: tuple[str, ...] = ()
    """File of target texts, line by line beside the source. With data its column of target texts. Default: target, tgt
    or output."""
    valid_source: str = ""
    """Source texts to validate on, one a line; in place of valid."""
    valid_target: str = ""
    """Target texts to validate on, line by line beside valid_source."""
    test_source: str = ""
    """Source texts to test on, one a line; in place of test."""
    test_target: str = ""
    """Target texts to test on, line by line beside test_source."""
    valid: str = "0.1"
    """Validation data: a table with the same columns, or the fraction of the training data set aside for it."""
    test: str = "0.1"
    """Test data: a table with the same columns, or the fraction of the data set aside for it."""
    group: str = ""
    """Column whose groups (documents, scenes) are never divided between training, validation and test data; source or
    target: pairs with the same text stay together."""
    delimiter: str = ""
    """Character between fields of a table. Default: a tab for .tsv, a comma for .csv."""
    header: bool = True
    """Whether the first line of a CSV or TSV names the columns; without it they are called 1, 2, …"""
    max_length: int = 0
    """Longest source and target kept, in tokens; 0: the 99.9th percentile of the training data, at most 4096."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        if self.max_length < 0:
            found.append(f"max_length: {self.max_length} is below 0 (0 chooses by the data)")
        if len(self.delimiter) > 1:
            found.append(f"delimiter: {self.delimiter!r} is not one character")
        found += self._table_problems() if self.data else self._line_problems()
        for name, fraction in (("valid", self.valid), ("test", self.test)):
            source, target = self.lines_of(name)
            if bool(source) != bool(target):
                there, missing = ("source", "target") if source else ("target", "source")
                found.append(f"{name}_{there}: it needs the lines beside it; give {name}_{missing} too")
            elif source and as_fraction(fraction) is None:
                found.append(f"{name}: give a table, or {name}_source and {name}_target, not both")
            elif source and source == target:
                found.append(f"{name}_source: {source} is {name}_target too; name the file of the other side")
        return found

    def lines_of(self, part: str) -> tuple[str, str]:
        """The two files of lines of "valid" or "test"; empty where they are not named."""
        return (self.valid_source, self.valid_target) if part == "valid" else (self.test_source, self.test_target)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that is named, with data that are no Python objects."""
        lines = () if self.data else (*self.source, *self.target)
        others = (self.valid_source, self.valid_target, self.test_source, self.test_target)
        return (*lines, *super().paths, *(path for path in others if path))

    @property
    def names_data(self) -> bool:
        """Whether files of training data are named."""
        return bool(self.data or (self.source and self.target))

    def with_whole_paths(self, objects: bool = False) -> Self:
        """Files by absolute path; with Python objects source and target are columns, and stay."""
        settings = super().with_whole_paths(objects)
        if not self.data and not objects:
            settings = replace(settings, source=tuple(map(_whole, self.source)), target=tuple(map(_whole, self.target)))
        return replace(
            settings,
            valid_source=_whole(self.valid_source),
            valid_target=_whole(self.valid_target),
            test_source=_whole(self.test_source),
            test_target=_whole(self.test_target),
        )

    def _table_problems(self) -> list[str]:
        found = []
        for name in ("source", "target"):
            count = len(getattr(self, name))
            if count > 1:
                found.append(f"{name}: {count} columns are named, and a table has one; name one")
        if self.source and self.source == self.target:
            found.append(f"target: the column {self.target[0]!r} is source already; name another")
        return found

    def _line_problems(self) -> list[str]:
        sources, targets = len(self.source), len(self.target)
        if sources != targets:
            return [
                f"source: {sources} file(s) are named, and {targets} of target; name the two sides in pairs, "
                "or a table with data"
            ]
        return [
            f"source: {source} is target too; name the file of the other side, or give a table with data and its two "
            "columns with source and target"
            for source, target in zip(self.source, self.target, strict=True)
            if source == target
        ]


@dataclass(frozen=True, kw_only=True)
class PairSymbolSettings:
    """What the two texts are made of."""

    unit: Unit = "bpe"
    """Token of a text: bpe (subwords learned from the training texts), word, or char."""
    target_unit: Unit | None = None
    """Token of a target text. Default: that of unit."""
    joint: bool = True
    """Learn one vocabulary from both sides; with two units, or two scripts, give no-joint."""
    lowercase: bool = False
    """Fold upper case to lower case, in answers too."""
    vocabulary_size: int = 0
    """Most tokens of a vocabulary, the most frequent first; 0: 6000 of BPE, 30000 words or characters."""
    min_count: int = 0
    """Occurrences in the training texts below which a token is unknown; 0: 1, and 2 for words and BPE's pairs."""
    bpe_dropout: float = 0.1
    """Probability that a merge of BPE is left out where a training text is read (Provilkov et al., 2020)."""
    embedding_size: int = 0
    """Features of a token's embedding; 0: as many as hidden_size, at most 256."""
    word_dropout: float = 0.0
    """Probability that a token of a training source is read as unknown."""
    embedding_dropout: float = 0.3
    """Dropout on embeddings, one mask a sequence."""

    @property
    def units(self) -> tuple[Unit, Unit]:
        """Of source and target."""
        return self.unit, self.target_unit or self.unit

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = []
        for name in ("vocabulary_size", "min_count", "embedding_size"):
            if getattr(self, name) < 0:
                found.append(f"{name}: {getattr(self, name)} is below 0")
        for name in ("bpe_dropout", "word_dropout", "embedding_dropout"):
            if not 0 <= getattr(self, name) < 1:
                found.append(f"{name}: {getattr(self, name)} is not in [0, 1)")
        source, target = self.units
        if self.joint and source != target:
            found.append(f"joint: {source} and {target} have no vocabulary in common; give no-joint, or one unit")
        return found


@dataclass(frozen=True, kw_only=True)
class TranslatorSettings(DirectionsSettings):
    """The layers of encoder and decoder."""

    cell: str | None = None
    """Recurrence of the encoder, or one a layer as in lstm,transformer: rnn, rnn_relu, lstm, gru, feedforward,
    lstm_layernorm, gru_layernorm, lstm_peephole, lstm_projection, lstm_coupled, slstm, indrnn, mingru, minlstm,
    transformer. Default: lstm."""
    decoder_cell: str | None = None
    """Recurrence of the decoder, or one a layer. Default: that of cell."""
    hidden_size: int = 256
    """Features of the hidden state of the decoder, and of each direction of the encoder."""
    encoder_size: int = 0
    """Features of each direction of the encoder, where they are others; 0: as many as hidden_size, and half as many
    with dot attention, which multiplies the two."""
    num_layers: int = 1
    """Layers of the encoder, and of the decoder; as many as cell names, where it names several."""
    bidirectional: bool = True
    """Whether the encoder reads a source in both directions."""
    attention: DecoderAttention | None = None
    """How the decoder looks at the source: additive (Bahdanau et al., 2015), dot, general or concat (Luong et al.,
    2015), or none: a single vector of the source is all it knows. Default: general; inside each layer where all layers
    of the decoder are transformer."""
    input_feeding: bool = False
    """Whether a step of the decoder reads what the last one attended to (Luong et al., 2015), with dot, general and
    concat; steps then wait for each other, and training takes several times as long."""
    tied: bool = True
    """Whether one matrix embeds the target's tokens and scores them, and with a joint vocabulary the source's too."""
    dropout: float | None = None
    """Dropout between layers, one mask a sequence. Default: 0.3 with two layers or more, none with one."""
    output_dropout: float = 0.3
    """Dropout on what the decoder gives, one mask a sequence."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        if not 0 <= self.output_dropout < 1:
            found.append(f"output_dropout: {self.output_dropout} is not in [0, 1)")
        if self.decoder_cell is not None:
            try:
                layer_cells(cell_names(self.decoder_cell), self.layers)
            except SettingsError as error:
                found.append(f"decoder_{error}")
        if self.encoder_size < 0:
            found.append(f"encoder_size: {self.encoder_size} is below 0")
        if self.input_feeding and self.attention not in (None, *FED):
            found.append(
                f"input_feeding: attention {self.attention} has nothing to feed; leave it out, or give general"
            )
        if self.dilation != "1":
            found.append(f"dilation: it is {self.dilation}, and translate has none; leave it out")
        return found

    @property
    def encoder_features(self) -> int:
        """Features of each direction of the encoder."""
        halved = self.attention == "dot" and self.bidirectional
        return self.encoder_size or (max(1, self.hidden_size // 2) if halved else self.hidden_size)


@dataclass(frozen=True, kw_only=True)
class TranslateTrainingSettings(TrainingSettings):
    """How the translator is trained."""

    epochs: int = 30
    """Passes over the training data at most."""
    batch_size: int | Automatic = 0
    """Pairs a batch; 0: as many as batch_tokens allows; auto: found by trial before training (and kept in
    config.toml)."""
    batch_tokens: int = 0
    """Tokens (with padding, of the longer side) a batch, where batch_size is 0; 0: 2500, and fewer where an epoch of
    the training data would have less than 60 batches."""
    lr: float = 2e-3
    """Learning rate at its highest."""
    warmup_steps: int = 400
    """Steps over which the learning rate rises to its highest; a tenth of all steps at most."""
    label_smoothing: float = 0.1
    """Share of a target's probability spread over all tokens."""
    patience: int = 6
    """Evaluations without a better validation metric before training stops; 0: never stop early."""
    metric: str = ""
    """Validation metric that chooses the best weights: bleu, chrf, exact_match, token_accuracy, rouge_l or loss.
    Default: bleu; chrf where most targets have fewer than four words."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        counted = replace(self, batch_size=self.batch_size or 1, batch_tokens=0)  # each has its turn, and not both
        found = TrainingSettings.problems(counted)
        if self.batch_tokens < 0:
            found.append(f"batch_tokens: {self.batch_tokens} is below 0")
        if self.recompute:
            found.append("recompute: translate has none, as its sequences are short; leave it at 0")
        return found

    @property
    def budget(self) -> tuple[int, int]:
        """batch_size and batch_tokens as batching takes them, one of them 0."""
        size = self.batch_size if isinstance(self.batch_size, int) else 0
        return (size, 0) if size else (0, self.batch_tokens or MOST_TOKENS)


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """What only translation has."""

    teacher_forcing: float = 1.0
    """Probability that the decoder reads the true token and not its own answer, in training; what a schedule ends
    with."""
    forcing_schedule: ForcingSchedule = "constant"
    """How teacher_forcing is reached: constant from the start, or from 1 along a line (linear) or an inverse sigmoid
    (inverse_sigmoid; Bengio et al., 2015) over the training."""
    forcing_unit: ForcingUnit = "token"
    """Whether chance decides for each token or for a whole sequence."""
    beam: int = 5
    """Answers that the search keeps side by side; 1: greedy."""
    length_penalty: float = 1.0
    """Exponent of the length that an answer's score is divided by (Wu et al., 2016); 0: no favour for long answers."""
    coverage_penalty: float = 0.0
    """Weight of source tokens that an answer did not look at (Wu et al., 2016)."""
    min_target_length: int = 0
    """Fewest tokens of an answer."""
    max_target_length: int = 0
    """Most tokens of an answer; 0: by the length of the source and of what training has seen."""
    no_repeat_ngram: int = 0
    """Tokens in a row that an answer holds once at most; 0: any may come again."""
    copy_unknown: bool = True
    """Put the source word that was looked at in place of an unknown word of the answer."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = []
        if not 0 <= self.teacher_forcing <= 1:
            found.append(f"teacher_forcing: {self.teacher_forcing} is not in [0, 1]")
        elif self.teacher_forcing == 1 and self.forcing_schedule != "constant":
            found.append(
                f"forcing_schedule: {self.forcing_schedule} falls from 1 to teacher_forcing, and that is 1; "
                "give a lower teacher_forcing"
            )
        if not 1 <= self.beam <= MOST_BEAMS:
            found.append(f"beam: {self.beam} is not in 1 to {MOST_BEAMS}; 1 searches greedily")
        for name in ("length_penalty", "coverage_penalty"):
            if not 0 <= getattr(self, name) < float("inf"):
                found.append(f"{name}: {getattr(self, name)} is not a number of 0 or more")
        for name in ("min_target_length", "max_target_length", "no_repeat_ngram"):
            if getattr(self, name) < 0:
                found.append(f"{name}: {getattr(self, name)} is below 0")
        if 0 < self.max_target_length < self.min_target_length:
            found.append(
                f"min_target_length: {self.min_target_length} is above max_target_length, {self.max_target_length}; "
                "lower it"
            )
        return found


def _whole(path: str) -> str:
    return path and str(Path(path).absolute())


__all__ = [
    "PairSymbolSettings",
    "PairsSettings",
    "TranslateOptions",
    "TranslateTrainingSettings",
    "TranslatorSettings",
]
