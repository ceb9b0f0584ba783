"""The settings that only language models have."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.settings.groups import LayersSettings, SplitSettings, TrainingSettings
from recurra.settings.names import Automatic, SymbolUnit


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(SplitSettings):
    """Which texts, and how much of them is set aside."""

    data: tuple[str, ...] = ()
    """Plain text to train on, or .gz; may be repeated, the files are then read as one."""
    valid: str = "0.1"
    """Validation text: a file, or the fraction of the text that is set aside near its end."""
    test: str = "0.1"
    """Test text: a file, or the fraction of the text that is set aside at its end."""


@dataclass(frozen=True, kw_only=True)
class SymbolSettings:
    """What a text is made of."""

    unit: SymbolUnit = "char"
    """Symbol of a text: char, byte, bpe (subwords learned from the training text), or word (between spaces)."""
    lowercase: bool = False
    """Fold upper case to lower case."""
    vocabulary_size: int = 20000
    """Most symbols kept, the most frequent first; also the size of a BPE vocabulary."""
    min_count: int = 0
    """Occurrences in the training text below which a symbol is unknown; 0: 1, and 2 for words and BPE's pairs."""
    embedding_size: int = 0
    """Features of a symbol's embedding; 0: 64 for characters and bytes, else as many as hidden_size, at most 256."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = []
        if self.vocabulary_size < 1:
            found.append(f"vocabulary_size: {self.vocabulary_size} is below 1")
        for name in ("min_count", "embedding_size"):
            if getattr(self, name) < 0:
                found.append(f"{name}: {getattr(self, name)} is below 0")
        if self.unit == "byte" and self.lowercase:
            found.append("lowercase: bytes have no case; leave it out, or give another unit")
        return found


@dataclass(frozen=True, kw_only=True)
class LanguageLayersSettings(LayersSettings):
    """The layers of a language model."""

    hidden_size: int = 384
    """Features of the hidden state."""
    tied: bool = True
    """Whether one matrix embeds the symbols and scores them."""
    token_dropout: float = 0.0
    """Probability that a symbol's whole embedding is zero for a window."""
    embedding_dropout: float = 0.0
    """Dropout on embeddings, one mask a row and window."""
    output_dropout: float = 0.2
    """Dropout on the last layer's outputs, one mask a row and window."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        for name in ("token_dropout", "embedding_dropout", "output_dropout"):
            if not 0 <= getattr(self, name) < 1:
                found.append(f"{name}: {getattr(self, name)} is not in [0, 1)")
        return found


@dataclass(frozen=True, kw_only=True)
class LanguageTrainingSettings(TrainingSettings):
    """How a language model is trained."""

    epochs: int = 20
    """Passes over the training text at most."""
    batch_size: int | Automatic = 16
    """Rows: stretches of the text that are read side by side, each with its state carried from window to window."""
    lr: float = 6e-3
    """Learning rate at its highest."""
    metric: str = ""
    """Validation metric that chooses the best weights. Default: loss."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = super().problems()
        if self.batch_size == "auto":
            found.append("batch_size: a language model carries a state along each row, so it cannot be auto")
        if self.batch_tokens:
            found.append("batch_tokens: a language model reads batch_size rows of bptt_length symbols; leave it at 0")
        if self.recompute:
            found.append("recompute: a language model has bptt_memory for it; leave it at 0")
        if self.refit:
            found.append("refit: language models have none; give a smaller --valid")
        return found


@dataclass(frozen=True, kw_only=True)
class LanguageOptions:
    """What only a language model has."""

    bptt_length: int = 64
    """Symbols of a window: gradients reach back as far, the state farther; 0: the whole row (exact)."""
    bptt_varied: bool = False
    """Draw the length of each window about bptt_length (Merity et al., 2018)."""
    bptt_memory: float = 0.0
    """MB that a window may keep for its gradients; what does not fit is computed twice (exact); 0: no bound."""
    activation_penalty: float = 0.0
    """Weight of the squared outputs in the loss (AR of Merity et al., 2017; 2, say, for words)."""
    slowness_penalty: float = 0.0
    """Weight of the squared change of the outputs from step to step (TAR; 1, say, for words)."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = [
            f"{name}: {getattr(self, name)} is not a number of 0 or more"
            for name in ("bptt_length", "bptt_memory", "activation_penalty", "slowness_penalty")
            if not 0 <= getattr(self, name) < float("inf")
        ]
        if self.bptt_varied and not self.bptt_length:
            found.append("bptt_varied: the windows vary about bptt_length, and it is 0; give one")
        return found
