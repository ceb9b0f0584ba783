"""The settings that only tagging has."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.settings.groups import DirectionsSettings, TableSettings, TrainingSettings
from recurra.settings.names import Automatic


@dataclass(frozen=True, kw_only=True)
class TaggedSettings(TableSettings):
    """Which sentences, and how they are read and cut."""

    data: tuple[str, ...] = ()
    """File to train on: CoNLL-U, CoNLL, JSONL or Parquet of lists, or a table with --id, plain or .gz; repeatable."""
    input: tuple[str, ...] = ()
    """Column that holds the tokens. Default: form, token, tokens, words or word, whichever there is."""
    target: tuple[str, ...] = ()
    """Column that holds the tags, one a token. Default: upos, tag, tags, label or labels, whichever there is."""
    id: str = ""
    """Column that names each row's sentence, in a table with one row a token."""
    max_length: int = 0
    """Tokens read together at most, 0: 1024; a longer list is read piece by piece, and nothing of it is cut."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        for name in ("input", "target"):
            count = len(getattr(self, name))
            if count > 1:
                found.append(f"{name}: {count} columns are named, and tag reads one; name one")
        return found


@dataclass(frozen=True, kw_only=True)
class TaggerSettings(DirectionsSettings):
    """The recurrent layers over the tokens."""

    cell: str | None = None
    """Recurrence of the layers, or one a layer as in lstm,transformer: rnn, rnn_relu, lstm, gru, feedforward,
    lstm_layernorm, gru_layernorm, lstm_peephole, lstm_projection, lstm_coupled, slstm, indrnn, mingru, minlstm,
    transformer. Default: lstm."""
    hidden_size: int = 128
    """Features of the hidden state, per direction."""
    num_layers: int = 2
    """Recurrent layers, one above the other; as many as cell names, where it names several."""
    bidirectional: bool = True
    """Read every sentence in both directions (such a model cannot stream; --no-bidirectional can)."""
    dropout: float | None = None
    """Dropout between layers, one mask a sentence. Default: 0.4 with two layers or more, none with one."""


@dataclass(frozen=True, kw_only=True)
class TagTrainingSettings(TrainingSettings):
    """How the tagger is trained."""

    epochs: int = 12
    """Passes over the training data at most."""
    batch_size: int | Automatic = 64
    """Sentences a batch; auto: found by trial before training (and kept in config.toml)."""
    lr: float = 4e-3
    """Learning rate at its highest."""
    average: float = 0.998
    """Decay of an exponential average of the weights, used for evaluation and kept; 0: none."""
    metric: str = ""
    """Validation metric that chooses the best weights. Default: accuracy; span_f1 where tags write spans (B-, I-)."""


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """What is known of a token: its word, its affixes and shape, its characters."""

    lowercase: bool = True
    """Look words and affixes up in lower case; shapes and characters keep the case."""
    vocabulary_size: int = 50000
    """Most words kept, the most frequent first."""
    min_count: int = 1
    """Occurrences in the training data below which a word counts as unknown."""
    embedding_size: int = 100
    """Features of a word's embedding."""
    affixes: bool = True
    """Read each word's beginnings and ends (3 and 4 characters at most) and its shape (case, digits) too."""
    char_hidden_size: int = 50
    """Features of each direction of the layer over a word's characters; 0: no characters are read."""
    char_embedding_size: int = 32
    """Features of a character's embedding."""
    word_dropout: float = 0.25
    """Strength s with which rare training words are read as unknown: one seen n times with probability s / (n + s)."""
    embedding_dropout: float = 0.4
    """Dropout on what is known of a token, one mask a sentence."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = []
        for name in ("vocabulary_size", "min_count", "embedding_size", "char_embedding_size"):
            if getattr(self, name) < 1:
                found.append(f"{name}: {getattr(self, name)} is below 1")
        if self.char_hidden_size < 0:
            found.append(f"char_hidden_size: {self.char_hidden_size} is below 0 (0 reads no characters)")
        if not 0 <= self.word_dropout < float("inf"):
            found.append(f"word_dropout: {self.word_dropout} is not a number of 0 or more")
        if not 0 <= self.embedding_dropout < 1:
            found.append(f"embedding_dropout: {self.embedding_dropout} is not in [0, 1)")
        return found


@dataclass(frozen=True, kw_only=True)
class TagOptions:
    """What only tagging has."""

    also: str = "auto"
    """Columns of tags learned beside the target, between commas; auto: xpos and feats where they are; none."""
    also_weight: float = 1.0
    """Weight of each such column in the loss; the target's is 1."""
    crf: bool = False
    """Score the tags of a sentence together, by a linear-chain conditional random field."""
    output_dropout: float = 0.4
    """Dropout on what the layers give, one mask a sentence."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = []
        if not 0 <= self.output_dropout < 1:
            found.append(f"output_dropout: {self.output_dropout} is not in [0, 1)")
        if not 0 < self.also_weight < float("inf"):
            found.append(f"also_weight: {self.also_weight} is not a number above 0; also none learns no other")
        return found
