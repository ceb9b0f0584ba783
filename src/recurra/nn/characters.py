"""A token read letter by letter: its characters as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.noise import dropout_mask
from recurra.nn.recurrent import Recurrent

PAD = 0
BOUNDS = (4, 8, 12, 16)  # characters: tokens are read together with those of like length
ROWS_TOGETHER = 32


class CharacterEncoder(nn.Module):
    """Recurrent layers over the characters of each token, in both directions (Ling et al., 2015, "Finding function in
    form").

    A token's vector is the last hidden state forwards beside the one backwards. Equal tokens of a batch are read once.

    Args:
        vocabulary_size: rows of the character table; row 0 is padding.
        embedding_size: features of a character.
        hidden_size: features of each direction.
        cell: a name from the cell table.
        dropout: rate on the characters' vectors, one mask a token.

    Shapes:
        [B, T, C] int64 → [B, T, 2 · hidden_size], zeros where a token has no characters.
    """

    def __init__(
        self, vocabulary_size: int, embedding_size: int, hidden_size: int, cell: str = "lstm", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout, self.output_size = dropout, 2 * hidden_size
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PAD)
        self.encoder = Recurrent(cell, embedding_size, hidden_size, bidirectional=True)
        with torch.no_grad():
            nn.init.normal_(self.embedding.weight, std=0.3)[PAD] = 0

    def forward(self, characters: Tensor) -> Tensor:
        """[B, T, C] → [B, T, output_size]."""
        rows, steps, width = characters.shape
        if not characters.numel():
            return self.embedding.weight.new_zeros(rows, steps, self.output_size)
        tokens, where = distinct(characters.flatten(0, 1))
        lengths = (tokens != PAD).sum(1)
        found = self.embedding.weight.new_zeros(len(tokens), self.output_size)
        shorter = 0
        for bound in (*(one for one in BOUNDS if one < width), width):  # short tokens do not wait for the longest one
            own = ((lengths > shorter) & (lengths <= bound)).nonzero()[:, 0]
            if len(own):
                found = found.index_copy(0, own, self._read(tokens[own, :bound], lengths[own]))
            shorter = bound
        return found[where].view(rows, steps, self.output_size)

    def _read(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """[N, C] tokens of at least one character → [N, output_size]."""
        count = len(tokens)
        # few shapes: oneDNN prepares a kernel for each, and keeps it
        tokens = F.pad(tokens, (0, 0, 0, -count % ROWS_TOGETHER), value=PAD)
        lengths = F.pad(lengths, (0, len(tokens) - count))
        x = self.embedding(tokens)
        if self.training and self.dropout:
            x = x * dropout_mask((x.shape[0], 1, x.shape[2]), self.dropout, x)
        outputs, _ = self.encoder(x, lengths=lengths.cpu())
        forwards, backwards = outputs[:count].chunk(2, -1)
        ends = forwards[torch.arange(count, device=tokens.device), lengths[:count] - 1]
        return torch.cat([ends, backwards[:, 0]], -1)


def distinct(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The different rows of [N, C], and of each of the N its place among them.

    Rows are told apart by a sum of odd multiples modulo 2⁶⁴; where two different ones share it, all are kept.
    """
    factors = torch.arange(1, 2 * rows.shape[1], 2, device=rows.device)
    factors = factors * -7046029254386353131 + factors**3  # 2⁶⁴ divided by the golden ratio, odd
    keys = (rows * (2 * factors + 1)).sum(1)
    different, where = torch.unique(keys, return_inverse=True)
    first = rows.new_full((len(different),), len(rows)).scatter_reduce(
        0, where, torch.arange(len(rows), device=rows.device), "amin"
    )
    found = rows[first]
    if not torch.equal(found[where], rows):
        return rows, torch.arange(len(rows), device=rows.device)
    return found, where
