"""Tokens in, the scores of each token's tag out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from recurra.nn import CharacterEncoder, ConditionalRandomField, Recurrent, RecurrentState
from recurra.nn.door import entered_zeros
from recurra.nn.noise import dropout_mask
from recurra.sequence import Sequence

PAD = 0


class TokenInput(nn.Module):
    """Tokens as vectors: word, affixes, shape and characters side by side.

    Args:
        words: rows of the table of words; row 0 is padding.
        affixes, shapes: rows of theirs; 0: neither is read.
        embedding_size: features of a word; affixes have half of them, shapes an eighth.
        characters: the encoder of a token's characters, or None.
        dropout: rate on the vectors, one mask a sequence.

    Shapes:
        (token [B, T], shape [B, T], affixes [B, T, A], characters [B, T, C]) int64 → [B, T, output_size].
    """

    def __init__(
        self,
        words: int,
        affixes: int,
        shapes: int,
        embedding_size: int,
        characters: CharacterEncoder | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.token = nn.Embedding(words, embedding_size, padding_idx=PAD)
        self.output_size = embedding_size + (characters.output_size if characters is not None else 0)
        self.affixes: nn.EmbeddingBag | None = None
        self.shape: nn.Embedding | None = None
        if affixes and shapes:
            affix_size, shape_size = max(1, embedding_size // 2), max(1, embedding_size // 8)
            self.affixes = nn.EmbeddingBag(affixes, affix_size, mode="sum", padding_idx=PAD)
            self.shape = nn.Embedding(shapes, shape_size, padding_idx=PAD)
            self.output_size += affix_size + shape_size
        self.characters = characters
        with torch.no_grad():
            for table in (self.token, self.affixes, self.shape):
                if table is not None:
                    nn.init.normal_(table.weight, std=0.1)[PAD] = 0

    def forward(self, values: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """A batch of tokens → [B, T, output_size], zeros on padding."""
        token, shape, affixes, characters = values
        parts = [self.token(token)]
        if self.affixes is not None and self.shape is not None:
            bags = self.affixes(affixes.flatten(0, 1))
            parts += [bags.view(*token.shape, bags.shape[-1]), self.shape(shape)]
        if self.characters is not None:
            parts.append(self.characters(characters))
        x = torch.cat(parts, -1)
        if self.training and self.dropout:
            x = x * dropout_mask((x.shape[0], 1, x.shape[2]), self.dropout, x)
        return x


class Tagger(nn.Module):
    """An input, recurrent layers, and one linear layer for the tags of every kind.

    Kinds beside the first are learned with it and share all but their rows of the head (Plank et al., 2016,
    "Multilingual part-of-speech tagging with bidirectional LSTMs and auxiliary loss").

    Args:
        frontend: values of a batch → vectors [B, T, D], zeros on padding.
        encoder: the layers over them.
        sizes: how many tags each kind has; the first is what the tagger is for.
        output_dropout: rate on what the layers give, one mask a sequence.
        crf: whether the tags of the first kind are scored together; `crf` then holds the field.

    Shapes:
        values of [B, T, …] → logits [B, T, Σ sizes].
    """

    def __init__(
        self,
        frontend: nn.Module,
        encoder: Recurrent,
        sizes: Iterable[int],
        output_dropout: float = 0.0,
        crf: bool = False,
    ) -> None:
        super().__init__()
        self.frontend, self.encoder, self.output_dropout = frontend, encoder, output_dropout
        self.sizes = tuple(sizes)
        self.head = nn.Linear(encoder.output_size, sum(self.sizes))
        self.crf = ConditionalRandomField(self.sizes[0]) if crf else None

    def check_streamable(self) -> None:
        """Refuse what needs the whole sequence; the characters of a token are all there with it.

        Raises:
            NotStreamable: naming the layer and the mend.
        """
        self.encoder.check_streamable()

    def initial_state(self, batch_size: int) -> RecurrentState:
        """The state before the first token."""
        return self.encoder.initial_state(batch_size)

    def forward(self, x: Sequence, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        """Logits [B, T, Σ sizes], and the state to go on from; what lies beyond the lengths means nothing.

        Raises:
            NotStreamable: a state is given to a bidirectional tagger, which has read the end already.
        """
        if state is not None:
            self.check_streamable()
        outputs, state = self.encoder.run(entered_zeros(self.frontend(x.values), x.lengths), state)
        if self.training and self.output_dropout:
            outputs = outputs * dropout_mask((outputs.shape[0], 1, outputs.shape[2]), self.output_dropout, outputs)
        return self.head(outputs), state

    def step(self, values: Any, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        """One token of each row: values of [B, …] → logits [B, Σ sizes], and the next state.

        Raises:
            NotStreamable: the tagger is bidirectional.
        """
        self.check_streamable()
        y, state = self.encoder.step(self.vectors(values), state)
        return self.head(y), state

    def vectors(self, values: Any) -> Tensor:
        """Values of one token of each row, [B, …] → vectors [B, D]."""
        found: Tensor = self.frontend(type(values)(*(part[:, None] for part in values)))[:, 0]
        return found

    def kinds(self, logits: Tensor) -> tuple[Tensor, ...]:
        """The logits of each kind of tag, [B, T, size]."""
        return torch.split(logits, list(self.sizes), -1)
