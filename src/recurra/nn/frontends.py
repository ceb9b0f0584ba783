"""What turns the values of a batch into the vectors that the layers read; padding becomes zeros."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.nn.noise import dropout, dropout_mask

PAD = 0  # row of every table that padding points to; it stays zero


class TokenNgrams(NamedTuple):
    """token [B, T] int64 and the hashed character n-grams of each, ngrams [B, T, P] int64; 0 is padding"""

    token: Tensor
    ngrams: Tensor


class TokenEmbedding(nn.Module):
    """Tokens as vectors, with the mean of their character n-grams added where there are any.

    Words that training never saw still have n-grams (Bojanowski et al., 2017, "Enriching word vectors").

    Args:
        vocabulary_size: rows of the token table; row 0 is padding.
        embedding_size: features of a vector.
        ngram_buckets: rows of the n-gram table; 0: no n-grams.
        dropout: rate on the vectors, one mask a sequence.

    Shapes:
        [B, T] int64, or any named tuple (token [B, T], ngrams [B, T, P]) → [B, T, embedding_size].
    """

    def __init__(self, vocabulary_size: int, embedding_size: int, ngram_buckets: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_size, self.dropout = embedding_size, dropout
        self.token = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PAD)
        self.ngrams = None
        with torch.no_grad():
            # ±0.1-sized vectors learn faster under a recurrent layer than torch's N(0, 1)
            nn.init.normal_(self.token.weight, std=0.1)[PAD] = 0
            if ngram_buckets:
                self.ngrams = nn.EmbeddingBag(ngram_buckets, embedding_size, mode="mean", padding_idx=PAD)
                nn.init.normal_(self.ngrams.weight, std=0.1)[PAD] = 0

    def forward(self, values: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """[B, T] (or with n-grams) → [B, T, embedding_size]."""
        if isinstance(values, Tensor):
            x: Tensor = self.token(values)
        else:
            token, ngrams = values
            x = self.token(token)
            if self.ngrams is not None and ngrams.numel():
                x = x + self.ngrams(ngrams.flatten(0, 1)).view_as(x)
        if self.training and self.dropout:
            x = x * dropout_mask((x.shape[0], 1, x.shape[2]), self.dropout, x)
        return x


class VectorInput(nn.Module):
    """Numbers as they are, zero on padding, with dropout on features where asked: [B, T, D] → [B, T, D]."""

    def __init__(self, input_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_size, self.dropout = input_size, dropout

    def forward(self, values: Tensor) -> Tensor:
        """[B, T, D] → the same."""
        return dropout(values, self.dropout, self.training)
