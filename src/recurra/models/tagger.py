"""Tokens in, the scores of each token's tag out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recurra.nn import CharacterEncoder, Recurrent, RecurrentState
from recurra.nn.door import entered_zeros
from recurra.nn.noise import dropout_mask
from recurra.sequence import Sequence

PAD = 0


class TokenInput(nn.Module):
    """Tokens as vectors: word, affixes, shape and characters side by side.

    Args:
        words, affixes, shapes: rows of each table; row 0 is padding.
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
        affix_size, shape_size = max(1, embedding_size // 2), max(1, embedding_size // 8)
        self.token = nn.Embedding(words, embedding_size, padding_idx=PAD)
        self.affixes = nn.EmbeddingBag(affixes, affix_size, mode="sum", padding_idx=PAD)
        self.shape = nn.Embedding(shapes, shape_size, padding_idx=PAD)
        self.characters = characters
        self.output_size = embedding_size + affix_size + shape_size + (characters.output_size if characters else 0)
        with torch.no_grad():
            for table in (self.token, self.affixes, self.shape):
                nn.init.normal_(table.weight, std=0.1)[PAD] = 0

    def forward(self, values: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """A batch of tokens → [B, T, output_size], zeros on padding."""
        token, shape, affixes, characters = values
        parts = [self.token(token), self.affixes(affixes.flatten(0, 1)).view(*token.shape, -1), self.shape(shape)]
        if self.characters is not None:
            parts.append(self.characters(characters))
        x = torch.cat(parts, -1)
        if self.training and self.dropout:
            x = x * dropout_mask((x.shape[0], 1, x.shape[2]), self.dropout, x)
        return x


class Tagger(nn.Module):
    """An input, recurrent layers, and a linear layer for each kind of tag.

    Args:
        frontend: values of a batch → vectors [B, T, D], zeros on padding.
        encoder: the layers over them.
        tags: kinds of tags, by name: how many there are; the first is what the tagger is for, the others are learned
            beside it (Plank et al., 2016, "Multilingual part-of-speech tagging with bidirectional LSTMs and auxiliary
            loss").
        output_dropout: rate on what the layers give, one mask a sequence.

    Shapes:
        values of [B, T, …] → logits [B, T, tags].
    """

    def __init__(
        self, frontend: nn.Module, encoder: Recurrent, tags: Mapping[str, int], output_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.frontend, self.encoder, self.output_dropout = frontend, encoder, output_dropout
        self.names = tuple(tags)
        self.heads = nn.ModuleList(nn.Linear(encoder.output_size, count) for count in tags.values())

    def initial_state(self, batch_size: int) -> RecurrentState:
        """The state before the first token."""
        return self.encoder.initial_state(batch_size)

    def forward(self, x: Sequence, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        """Logits [B, T, C] of the tags that the tagger is for, and the state to go on from.

        Raises:
            NotStreamable: a state is given to a bidirectional tagger, which has read the end already.
        """
        logits, state = self.all(x, state)
        return logits[0], state

    def all(self, x: Sequence, state: RecurrentState | None = None) -> tuple[list[Tensor], RecurrentState]:
        """Logits [B, T, …] of every kind of tag, in the order of `names`, and the state to go on from."""
        if state is not None:
            self.encoder.check_streamable()
        outputs, state = self.encoder.run(entered_zeros(self.frontend(x.values), x.lengths), state)
        if self.training and self.output_dropout:
            outputs = outputs * dropout_mask((outputs.shape[0], 1, outputs.shape[2]), self.output_dropout, outputs)
        return [head(outputs) for head in self.heads], state

    def step(self, values: Any, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        """One token of each row: values of [B, …] → logits [B, C], and the next state.

        Raises:
            NotStreamable: the tagger is bidirectional.
        """
        self.encoder.check_streamable()
        x = self.frontend(type(values)(*(part[:, None] for part in values)))[:, 0]
        y, state = self.encoder.step(x, state)
        return self.heads[0](y), state
