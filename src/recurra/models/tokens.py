"""Tokens at the door of a model that embeds them, and the checks of its sizes and rates."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.errors import SettingsError, ShapeError
from recurra.sequence import check_lengths, valid_mask

EMBEDDING_STD = 0.1  # smaller than torch's 1: logits of tied weights begin near zero


def enter_tokens(
    tokens: Tensor, lengths: Tensor | None, vocabulary_size: int, where: str
) -> tuple[Tensor, Tensor | None]:
    """[B, T] tokens with 0 beyond the lengths, and the lengths on the CPU.

    Raises:
        ShapeError: tokens or lengths do not fit.
    """
    if lengths is not None and tokens.dim() == 2:
        lengths = check_lengths(lengths, tokens.shape[0], tokens.shape[1], where)
        tokens = torch.where(valid_mask(lengths, tokens.shape[1], tokens.device), tokens, 0)
    check_tokens(tokens, 2, vocabulary_size, where)
    return tokens, lengths


def check_tokens(tokens: Tensor, dimensions: int, vocabulary_size: int, where: str) -> None:
    """Refuse what is no batch of tokens.

    Raises:
        ShapeError: another dtype or shape, or a token that is not in the vocabulary.
    """
    layout = "[B]" if dimensions == 1 else "[B, T]"
    if tokens.dim() != dimensions or tokens.dtype != torch.int64:
        raise ShapeError(f"{where}: tokens are {tokens.dtype} of shape {list(tokens.shape)}, expected int64 {layout}")
    if tokens.device.type == "cpu" and tokens.numel():  # elsewhere the look would wait for the device
        least, most = (int(one) for one in tokens.aminmax())
        if least < 0 or most >= vocabulary_size:
            raise ShapeError(
                f"{where}: tokens lie between {least} and {most}, expected 0 to {vocabulary_size - 1}. "
                "Were they made by another vocabulary?"
            )


def check_rates(**rates: float) -> None:
    """Refuse a rate of dropout outside [0, 1).

    Raises:
        SettingsError: naming it.
    """
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise SettingsError(f"{name}: {rate} is not in [0, 1)")


def check_positive(**sizes: int) -> None:
    """Refuse a size below 1.

    Raises:
        SettingsError: naming it.
    """
    for name, size in sizes.items():
        if size < 1:
            raise SettingsError(f"{name}: {size} is below 1")
